import { z } from "zod";
import { json, type Reply } from "../http/reply.ts";
import type { Request } from "../http/request.ts";
import { operation, type RestOperation } from "../http/rest-operation.ts";
import { pageQuery, pageSchema, replyPage } from "../http/rest-page.ts";
import type { Access } from "../http/route.ts";
import { OciError } from "../oci/error.ts";
import { gunOfRepository } from "../oci/gun.ts";
import { namespaceOf, parseRepositoryName, type RepositoryName } from "../oci/repository-name.ts";
import { findRepository } from "../storage/repository-store.ts";
import type { NotaryDeps, People } from "./deps.ts";
import type { TagSignature } from "./tag-signatures.ts";
import type { TrustView } from "./trust-view.ts";
import { VerificationError } from "./tuf/error.ts";
import { parseGun } from "./tuf/names.ts";

const PULL: Access = { kind: "org-repository", action: "pull" };
const REPOSITORY = "/api/v1/orgs/<org>/repositories/<repo>";

export const tagStates = ["signed", "outdated", "unsigned", "dangling"] as const;
type TagState = (typeof tagStates)[number];

const signedSchema = z.strictObject({
  digest: z.string().nullable().describe("null: it was signed without a SHA-256, which clients refuse"),
  size: z.int().describe("bytes of the manifest, as signed"),
  held: z.boolean().describe("whether the repository has this manifest"),
  signers: z
    .array(
      z.strictObject({
        role: z.string().describe("the one that clients take the tag from comes first"),
        keyIds: z.array(z.string()),
        users: z.array(z.string()).describe("whom these keys lead to, once they proved to have them"),
      }),
    )
    .describe("roles whose file names this digest for the tag"),
  signedAt: z.iso.datetime().nullable().describe("null: before the history began"),
  expiresAt: z.iso.datetime().describe("when it lapses, unless somebody signs again"),
});

const tagSchema = z.strictObject({
  tag: z.string(),
  state: z.enum(tagStates),
  digest: z.string().nullable().describe("what the tag names in the registry now"),
  signed: signedSchema.nullable().describe("what clients with content trust take for the tag"),
  problem: z.string().nullable().describe("why the repository's trust data counts for nothing, where it does not"),
});

/** Whether tags are what was signed: docker's order decides, `targets/releases`, then `targets`. */
export const tagTrustOperations = (deps: NotaryDeps): RestOperation[] => [
  operation(["tags-list", "GET", `${REPOSITORY}/tags`, PULL], {
    summary:
      "The tags of a repository, and those that were signed and are not there, with the state of their signatures.",
    query: pageQuery,
    answers: { 200: pageSchema("tags", tagSchema) },
    act: listTags(deps),
  }),
  operation(["tag-trust", "GET", `${REPOSITORY}/tags/<tag>/trust`, PULL], {
    summary: `One tag: signed; outdated (signed is another image than the one it names now); unsigned; or dangling
      (signed, and not in the registry).`,
    answers: { 200: tagSchema },
    act: getTag(deps),
  }),
];

function listTags(deps: NotaryDeps) {
  return async (request: Request): Promise<Reply> => {
    const repository = await openRepository(deps, request);
    return replyPage<TagTrust>(request, {
      name: "tags",
      keyOf: ({ tag }) => tag,
      toWire: (tag) => tag,
      read: async ({ after, limit }) => {
        const there = await deps.tags.page(repository.name, { after, limit });
        const signed = repository.view.tags.filter(({ tag }) => tag > after).map(({ tag }) => tag);
        const names = [...new Set([...there.map(({ tag }) => tag), ...signed])].sort().slice(0, limit);
        return describe(deps, repository, names);
      },
    });
  };
}

/** @throws OciError NAME_UNKNOWN: there is no such tag, neither in the registry nor signed */
function getTag(deps: NotaryDeps) {
  return async (request: Request): Promise<Reply> => {
    const repository = await openRepository(deps, request);
    const [found] = await describe(deps, repository, [request.param("tag")]);
    if (found === undefined || (found.digest === null && found.signed === null)) throw new OciError("NAME_UNKNOWN");
    return json(200, found);
  };
}

interface Repository {
  readonly id: number;
  readonly name: RepositoryName;
  readonly view: TrustView;
}

type TagTrust = z.infer<typeof tagSchema>;

/** @throws OciError NAME_UNKNOWN */
async function openRepository(deps: NotaryDeps, request: Request): Promise<Repository> {
  const { id, name } = await getRepository(deps, request);
  return { id, name, view: await view(deps, name) };
}

/** @throws OciError NAME_UNKNOWN: whoever administers a name may ask for what is not there */
export async function getRepository({ database }: NotaryDeps, request: Request) {
  const name = parseRepositoryName(`${request.param("org")}/${request.param("repo")}`);
  const found = await findRepository(database, name);
  if (found === undefined) throw new OciError("NAME_UNKNOWN");
  return { id: found.id, name };
}

/** A name that is too long for a GUN has no trust data. */
async function view(deps: NotaryDeps, name: RepositoryName): Promise<TrustView> {
  try {
    return await deps.viewTrust(parseGun(gunOfRepository(name, deps.authority)));
  } catch (error) {
    if (error instanceof VerificationError) return { tags: [], problem: undefined };
    throw error;
  }
}

/** Each with one look at what the registry has, and one at people and times, for all of them. */
async function describe(
  deps: NotaryDeps,
  { id, name, view }: Repository,
  names: readonly string[],
): Promise<TagTrust[]> {
  const wanted = new Set(names);
  const signed = new Map(view.tags.filter(({ tag }) => wanted.has(tag)).map((one) => [one.tag, one]));
  const all = [...signed.values()];
  const spkis = all.flatMap(({ signatures }) => signatures.flatMap((one) => one.spkis));
  const [digests, held, people, times] = await Promise.all([
    deps.tags.find(name, names),
    deps.tags.held(
      name,
      all.flatMap(({ digest }) => digest ?? []),
    ),
    deps.findPeople(spkis, namespaceOf(name)),
    deps.signatures.findTimes(
      id,
      all.map(({ tag, digest = "", signatures }) => ({ tag, digest, role: signatures[0]?.role ?? "" })),
    ),
  ]);
  return names.map((tag) => {
    const [digest, signature] = [digests.get(tag), signed.get(tag)];
    const more = signature && { held: held.has(signature.digest ?? ""), people, signedAt: times.get(tag) };
    return {
      ...{ tag, state: stateOf(digest, signature), digest: digest ?? null },
      signed: signature && more ? toSigned(signature, more) : null,
      problem: view.problem ?? null,
    };
  });
}

/** As Docker Trusted Registry said it: in the registry, and in the trust data, and the same. */
function stateOf(digest: string | undefined, signature: TagSignature | undefined): TagState {
  if (signature === undefined) return "unsigned";
  if (digest === undefined) return "dangling";
  return digest === signature.digest ? "signed" : "outdated";
}

interface More {
  readonly held: boolean;
  readonly people: People;
  readonly signedAt: Date | undefined;
}

function toSigned(
  { digest, size, signatures, expiresAt }: TagSignature,
  { held, people, signedAt }: More,
): TagTrust["signed"] {
  return {
    ...{ digest: digest ?? null, size, held },
    signers: signatures.map(({ role, keyIds, spkis }) => ({
      role,
      keyIds: [...keyIds],
      users: usersOf(people, spkis),
    })),
    signedAt: signedAt?.toISOString() ?? null,
    expiresAt: expiresAt.toISOString(),
  };
}

/** Each once, in the order of the keys; keys that count no longer lead to nobody. */
function usersOf(people: People, spkis: readonly string[]): string[] {
  const found = spkis.map((spki) => people.get(spki)).filter((person) => person?.counts);
  return [...new Set(found.flatMap((person) => person?.user ?? []))];
}
