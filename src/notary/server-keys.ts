import { bytes, empty, type Reply } from "../http/reply.ts";
import type { Request } from "../http/request.ts";
import type { Handler } from "../http/route.ts";
import type { NotaryDeps } from "./deps.ts";
import { missing } from "./errors.ts";
import { gunParams } from "./gun-params.ts";
import { deleteFiles } from "./metadata-store.ts";
import { insertSignatures, type NewSignature } from "./signatures-store.ts";
import { type Key, keyJson } from "./tuf/key.ts";
import { parseRoot } from "./tuf/metadata.ts";
import type { Gun, ServerRole } from "./tuf/names.ts";

/**
 * `GET /v2/<gun>/_trust/tuf/<snapshot|timestamp>.key`: the key that the current root names and this server holds; where there
 * is none, the one that the next root may name.
 * @see notary `server/handlers/default.go` GetKeyHandler
 */
export function getKey(deps: NotaryDeps): Handler {
  return async (request) => {
    const { gun } = gunParams(deps, request);
    const role = serverRole(request);
    const key =
      (await findKeyInUse(deps, gun, role)) ?? (await deps.keys.pending(deps.database, gun, role, deps.now()));
    return keyReply(key);
  };
}

/**
 * `POST …/<snapshot|timestamp>.key`: the key to change to, never one that has signed. It changes nothing until a root names
 * it; asked again, it answers the same key.
 * @see notary `server/handlers/default.go` RotateKeyHandler
 */
export function rotateKey(deps: NotaryDeps): Handler {
  return async (request) => {
    const { gun } = gunParams(deps, request);
    const role = serverRole(request);
    const key = await deps.database.transaction(async (sql) => {
      await deps.confirm(request)(sql);
      return deps.keys.pending(sql, gun, role, deps.now());
    });
    return keyReply(key);
  };
}

/** `DELETE /v2/<gun>/_trust/tuf/`: every file of this GUN, none of its keys. Answers 200 too where nothing was. */
export function deleteAll(deps: NotaryDeps): Handler {
  return async (request) => {
    const { gun } = gunParams(deps, request);
    await deps.database.transaction(async (sql) => {
      await deps.confirm(request)(sql);
      const [at, { repositoryId }] = [deps.now(), request.admission];
      const wasThere = await deleteFiles(sql, gun, at);
      if (wasThere && repositoryId !== undefined)
        await insertSignatures(sql, { repositoryId, at, signatures: [DELETED] });
    });
    return empty(200);
  };
}

/** What was signed until then stays in the history of the repository. */
const DELETED: NewSignature = {
  ...{ kind: "deleted" as const, tag: "", role: "", digest: "", previous: "", version: 0 },
  ...{ keyIds: [], spkis: [] },
};

async function findKeyInUse({ files, keys }: NotaryDeps, gun: Gun, role: ServerRole): Promise<Key | undefined> {
  const found = await files.findCurrent(gun, "root");
  if (found === undefined) return undefined;
  const root = parseRoot(found.content);
  const held = new Set((await keys.list(gun, role)).map(({ id }) => id));
  return root.roles[role].keyIds.filter((id) => held.has(id)).map((id) => root.keys.get(id))[0];
}

function serverRole(request: Request): ServerRole {
  const role = request.param("role");
  if (role !== "snapshot" && role !== "timestamp") throw missing();
  return role;
}

function keyReply(key: Key): Reply {
  return bytes(200, "application/json", Buffer.from(keyJson(key)));
}
