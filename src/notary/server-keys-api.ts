import { z } from "zod";
import { json, type Reply } from "../http/reply.ts";
import type { Request } from "../http/request.ts";
import { operation, type RestOperation } from "../http/rest-operation.ts";
import { pageQuery, pageSchema, replyPage } from "../http/rest-page.ts";
import type { Access } from "../http/route.ts";
import { OciError } from "../oci/error.ts";
import { gunOfRepository } from "../oci/gun.ts";
import { parseRepositoryName } from "../oci/repository-name.ts";
import { findRepository } from "../storage/repository-store.ts";
import type { NotaryDeps } from "./deps.ts";
import type { ServerKeyRow } from "./server-keys-store.ts";
import { parseGun } from "./tuf/names.ts";

const SYSTEM_ADMIN: Access = { kind: "system-admin" };
const ADMIN: Access = { kind: "org-repository", action: "admin" };

const keySchema = z.strictObject({
  gun: z.string(),
  role: z.enum(["snapshot", "timestamp"]),
  keyId: z.string(),
  algorithm: z.enum(["ed25519", "ecdsa"]),
  createdAt: z.iso.datetime(),
  firstUsedAt: z.iso.datetime().nullable().describe("null: it waits for a root that names it"),
});

/** Keys that the server signs with. A rotation makes the next ones; a root that names them, signed by its owner, uses them. */
export const serverKeysOperations = (deps: NotaryDeps): RestOperation[] => [
  operation(["trust-keys-list", "GET", "/api/v1/trust-keys", SYSTEM_ADMIN], {
    summary: "The keys that this server signs trust data with; never their private halves.",
    query: pageQuery,
    answers: { 200: pageSchema("trustKeys", keySchema) },
    act: listKeys(deps),
  }),
  operation(["trust-keys-rotate-all", "POST", "/api/v1/trust-keys/rotate", SYSTEM_ADMIN], {
    summary: "Make the next key of every GUN and role that has none waiting.",
    answers: { 200: z.strictObject({ made: z.int() }) },
    act: rotateAll(deps),
  }),
  operation(["trust-keys-rotate", "POST", "/api/v1/orgs/<org>/repositories/<repo>/trust-keys/rotate", ADMIN], {
    summary: "Make the next timestamp and snapshot key of one repository, or answer those that wait.",
    answers: { 200: z.strictObject({ timestamp: z.string(), snapshot: z.string() }) },
    act: rotateOne(deps),
  }),
];

function listKeys({ keys }: NotaryDeps) {
  return (request: Request): Promise<Reply> =>
    replyPage<ServerKeyRow>(request, {
      name: "trustKeys",
      keyOf: ({ gun, role, keyId }) => `${gun} ${role} ${keyId}`,
      toWire: ({ createdAt, firstUsedAt, ...row }) => ({ ...row, createdAt, firstUsedAt: firstUsedAt ?? null }),
      read: ({ after, limit }) => keys.page(after, limit),
    });
}

function rotateAll({ database, keys, confirm, now }: NotaryDeps) {
  return async (request: Request): Promise<Reply> => {
    await database.transaction(confirm(request));
    // One after the other, since there may be very many: asked again, it goes on where it was.
    const without = await keys.listWithoutPending();
    for (const { gun, role } of without) await keys.pending(database, gun, role, now());
    return json(200, { made: without.length });
  };
}

/** @throws OciError NAME_UNKNOWN: keys of a GUN that is still to come are for its signers to ask for */
function rotateOne({ database, keys, authority, confirm, now }: NotaryDeps) {
  return async (request: Request): Promise<Reply> => {
    const name = parseRepositoryName(`${request.param("org")}/${request.param("repo")}`);
    const gun = parseGun(gunOfRepository(name, authority));
    const made = await database.transaction(async (sql) => {
      await confirm(request)(sql);
      if ((await findRepository(sql, name)) === undefined) throw new OciError("NAME_UNKNOWN");
      const timestamp = await keys.pending(sql, gun, "timestamp", now());
      const snapshot = await keys.pending(sql, gun, "snapshot", now());
      return { timestamp: timestamp.id, snapshot: snapshot.id };
    });
    return json(200, made);
  };
}
