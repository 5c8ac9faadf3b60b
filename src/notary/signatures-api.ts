import { z } from "zod";
import { json, type Reply } from "../http/reply.ts";
import type { Request } from "../http/request.ts";
import { operation, type RestOperation, readQuery } from "../http/rest-operation.ts";
import { pageQuery, pageSchema } from "../http/rest-page.ts";
import type { Access } from "../http/route.ts";
import { namespaceOf } from "../oci/repository-name.ts";
import type { NotaryDeps, People } from "./deps.ts";
import { type Signature, signatureKinds } from "./signatures-store.ts";
import { getRepository } from "./tag-trust-api.ts";

const PULL: Access = { kind: "org-repository", action: "pull" };

const signatureSchema = z.strictObject({
  id: z.string().describe("they rise with time"),
  at: z.iso.datetime(),
  kind: z
    .enum(signatureKinds)
    .describe("deleted: with all trust data of the repository; allowed, refused: from then on, by a policy"),
  tag: z.string().nullable().describe("null: all of them"),
  role: z.string().nullable(),
  digest: z.string().nullable().describe("what was signed, or is no longer"),
  previous: z.string().nullable().describe("what a re-signed tag was before"),
  version: z.int().describe("of the role's file"),
  keyIds: z.array(z.string()).describe("that signed the file"),
  policy: z.string().nullable().describe("that allows or refuses the tag's image since then"),
  users: z.array(z.string()).describe("whom these keys belong to, also those that were removed since"),
});

const historyQuery = pageQuery.extend({
  tag: z.string().max(1024).optional().describe("only of this tag"),
  after: z
    .string()
    .regex(/^\d{1,18}$/, "an id")
    .optional()
    .describe("the id of the last entry of the page before"),
});

/** What was signed in a repository; it outlives the trust data and goes with the repository. */
export const signaturesOperations = (deps: NotaryDeps): RestOperation[] => [
  operation(["trust-history", "GET", "/api/v1/orgs/<org>/repositories/<repo>/trust/history", PULL], {
    summary: "What was signed, signed anew for another image, or revoked, newest first.",
    query: historyQuery,
    answers: { 200: pageSchema("signatures", signatureSchema) },
    act: listSignatures(deps),
  }),
];

function listSignatures(deps: NotaryDeps) {
  return async (request: Request): Promise<Reply> => {
    const { id, name } = await getRepository(deps, request);
    const { tag, after, limit } = readQuery(request, historyQuery);
    const before = after === undefined ? maxId : BigInt(after);
    const found = await deps.signatures.list({ repositoryId: id, tag, before, limit: limit + 1 });
    const shown = found.slice(0, limit);
    const spkis = shown.flatMap((one) => one.spkis);
    const people = await deps.findPeople(spkis, namespaceOf(name));
    const wire = { signatures: shown.map((one) => toWire(one, people)) };
    const last = shown.at(-1);
    if (last === undefined || found.length <= limit) return json(200, wire);
    const page = { ...(tag === undefined ? {} : { tag }), after: last.id, limit: String(limit) };
    const next = `${request.path}?${new URLSearchParams(page)}`;
    return json(200, { ...wire, next }, { Link: `<${next}>; rel="next"` });
  };
}

const maxId = 2n ** 63n - 1n;

function toWire({ spkis, ...one }: Signature, people: People) {
  const { id, at, kind, version, keyIds, tag, role, digest, previous, policy } = one;
  return {
    ...{ id, at: at.toISOString(), kind, version, keyIds },
    ...{ tag: tag || null, role: role || null, digest: digest || null, previous: previous || null },
    policy: policy ?? null,
    users: [...new Set(spkis.flatMap((spki) => people.get(spki)?.user ?? []))],
  };
}
