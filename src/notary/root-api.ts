import { z } from "zod";
import { json, type Reply } from "../http/reply.ts";
import type { Request } from "../http/request.ts";
import { bodyOperation, operation, type RestOperation } from "../http/rest-operation.ts";
import type { Access } from "../http/route.ts";
import { OciError } from "../oci/error.ts";
import { gunOfRepository } from "../oci/gun.ts";
import { parseRepositoryName, type RepositoryName } from "../oci/repository-name.ts";
import type { Sql } from "../storage/database.ts";
import { findRepository } from "../storage/repository-store.ts";
import type { NotaryDeps } from "./deps.ts";
import { holdsRoot } from "./founding-keys-store.ts";
import { takeOver } from "./root-takeover.ts";
import { UpdateError } from "./tuf/error.ts";
import { canonicalKeyId } from "./tuf/key.ts";
import { parseRoot, type Root } from "./tuf/metadata.ts";
import type { Gun } from "./tuf/names.ts";

const PULL: Access = { kind: "org-repository", action: "pull" };
const ADMIN: Access = { kind: "org-repository", action: "admin" };
const ROOT_PATH = "/api/v1/orgs/<org>/repositories/<repo>/trust/root";

const rootSchema = z.strictObject({
  heldBy: z
    .enum(["people", "server"])
    .describe("server: it founded this trust data, and all of it is attested by a server, whoever signed"),
  version: z.int(),
  keyIds: z.array(z.string()).describe("canonical"),
});

const fileSchema = z.base64().min(1).describe("base64 of the file");
const takeOverSchema = z.strictObject({
  root: fileSchema.describe(
    "base64 of the next version, signed by the new root key; the server adds the signature of the old one",
  ),
  targets: fileSchema.describe("base64 of the next version, signed by the new repository key"),
});

/** Whose the root of a repository's trust data is; people take over one that the server founded. */
export const rootOperations = (deps: NotaryDeps): RestOperation[] => [
  operation(["trust-root", "GET", ROOT_PATH, PULL], {
    summary: "Who holds the root of a repository's trust data: people, or this server that founded it.",
    answers: { 200: rootSchema },
    act: getRoot(deps),
  }),
  bodyOperation(["trust-root-put", "PUT", ROOT_PATH, ADMIN], {
    summary: `Take over trust data that this server founded: people's root in the place of the server's, which signs it once
      and then has its own keys of root and targets no more.`,
    body: takeOverSchema,
    answers: { 200: rootSchema },
    act: putRoot(deps),
  }),
];

/** @throws OciError NAME_UNKNOWN where there is no such repository, or no trust data of it */
function getRoot(deps: NotaryDeps) {
  return async (request: Request): Promise<Reply> => {
    const { gun } = await getNames(deps, deps.database, request);
    const found = await deps.files.findCurrent(gun, "root");
    if (found === undefined) throw new OciError("NAME_UNKNOWN");
    const root = parseRoot(found.content);
    const own = await deps.foundingKeys.find(deps.database, gun);
    return json(200, toWire(root, own !== undefined && holdsRoot(own, root)));
  };
}

function putRoot(deps: NotaryDeps) {
  return async (request: Request, body: z.infer<typeof takeOverSchema>): Promise<Reply> => {
    // What it puts there is for everybody to read, and is too long for the record.
    request.asked = {};
    const parts = [
      { filename: "root", bytes: Buffer.from(body.root, "base64") },
      { filename: "targets", bytes: Buffer.from(body.targets, "base64") },
    ];
    const root = await deps.database
      .transaction(async (sql) => {
        await deps.confirm(request)(sql);
        const { repository } = await getNames(deps, sql, request);
        return takeOver(deps, sql, { repository, parts, now: deps.now() });
      })
      .catch((error: unknown) => {
        if (!(error instanceof UpdateError)) throw error;
        if (error.code === "VERSION")
          throw deps.refusal("precondition-failed", "others published meanwhile; read it again");
        throw request.badRequest(error.message);
      });
    return json(200, toWire(root, false));
  };
}

/** @throws OciError NAME_UNKNOWN */
async function getNames({ authority }: NotaryDeps, sql: Sql, request: Request) {
  const repository: RepositoryName = parseRepositoryName(`${request.param("org")}/${request.param("repo")}`);
  if ((await findRepository(sql, repository)) === undefined) throw new OciError("NAME_UNKNOWN");
  // One that is too long to be a GUN has no trust data.
  return { repository, gun: gunOfRepository(repository, authority) as Gun };
}

function toWire({ version, keys, roles }: Root, isServers: boolean): z.infer<typeof rootSchema> {
  const keyIds = roles.root.keyIds.flatMap((id) => {
    const key = keys.get(id);
    return key === undefined ? [] : [canonicalKeyId(key) as string];
  });
  return { heldBy: isServers ? "server" : "people", version, keyIds };
}
