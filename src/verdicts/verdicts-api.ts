import { z } from "zod";
import { json, type Reply } from "../http/reply.ts";
import type { Request } from "../http/request.ts";
import { operation, type RestOperation, readQuery } from "../http/rest-operation.ts";
import type { Access } from "../http/route.ts";
import type { Actor } from "../oci/access.ts";
import { type Digest, isDigest } from "../oci/digest.ts";
import { repositoryOfGun } from "../oci/gun.ts";
import { isTag, type Tag } from "../oci/reference.ts";
import { parseRepositoryName, type RepositoryName } from "../oci/repository-name.ts";
import type { Database } from "../storage/database.ts";
import { findRepository } from "../storage/repository-store.ts";
import type { TagDigests } from "../storage/tag-digests.ts";
import { nameSchema, requireRowSchema } from "../trust/require.ts";
import type { IsContent } from "./content.ts";
import type { PolicyJudge } from "./judge-policies.ts";
import { policyModes, policyOccasions } from "./policy-schema.ts";
import type { Image, PolicyVerdict } from "./policy-verdict.ts";
import type { SignatureNote } from "./verdict-note.ts";
import type { WatchStore } from "./watch-store.ts";

export interface VerdictsApiDeps {
  readonly database: Database;
  readonly judge: PolicyJudge;
  readonly watch: WatchStore;
  readonly tags: TagDigests;
  readonly isContent: IsContent;
  /** Which of these repositories the actor may list. */
  readonly listable: (
    actor: Actor,
    names: readonly RepositoryName[],
  ) => Promise<{ has(name: RepositoryName): boolean }>;
  readonly authority: string;
  /** The protocol's. */
  readonly notFound: () => Error;
}

const PULL: Access = { kind: "org-repository", action: "pull" };

const signatureSchema = z.strictObject({
  format: z.string().describe("tuf or cosign"),
  keySha256: z.string().describe("of the key's SubjectPublicKeyInfo"),
  user: z.string().nullable().describe("null: a key that belongs to nobody here, or to a server"),
  machine: z.boolean().describe("the key is the server's"),
  class: z.string().describe("client-key or server-attested"),
  counts: z.boolean(),
  why: z.string().nullable().describe("why it counts for nothing"),
  digest: z.string().describe("what was signed: the image, or an index that lists it"),
  gun: z.string().nullable().describe("null, as the following: it binds nothing but the digest"),
  role: z.string().nullable(),
  tag: z.string().nullable(),
  expiresAt: z.iso.datetime().nullable(),
});

const verdictSchema = z.strictObject({
  policy: nameSchema,
  environment: nameSchema.nullable(),
  mode: z.enum(policyModes),
  applies: z.array(z.enum(policyOccasions)),
  allowed: z.boolean(),
  missing: z.array(z.string()).describe("why it is refused, a sentence each"),
  until: z.iso.datetime().nullable().describe("when something that it rests on runs out"),
  rows: z.array(requireRowSchema.extend({ who: z.array(z.string()).describe("users who count"), met: z.boolean() })),
  signatures: z.array(signatureSchema).describe("without those in trust data that is hidden from you"),
  refusals: z
    .array(z.strictObject({ where: z.string(), reason: z.string() }))
    .describe("what looks like a signature and is none"),
});

const verdictsSchema = z.strictObject({
  repository: z.string(),
  tag: z.string().nullable(),
  digest: z.string(),
  image: z.boolean().describe("false for signatures and the like, which no policy holds back"),
  verdicts: z.array(verdictSchema).describe("of every policy that covers the repository"),
});

const verdictsQuery = z.object({
  tag: z.string().optional(),
  digest: z.string().optional(),
  policy: nameSchema.optional().describe("only of this one"),
});

/** What policies make of an image, for whoever may pull it. */
export const verdictsOperations = (deps: VerdictsApiDeps): RestOperation[] => [
  operation(["verdicts-get", "GET", "/api/v1/orgs/<org>/repositories/<repo>/verdicts", PULL], {
    summary: "Who signed an image, what policies make of it, and what is missing. Asks for a tag, or for a digest.",
    query: verdictsQuery,
    answers: { 200: verdictsSchema },
    act: getVerdicts(deps),
  }),
];

function getVerdicts(deps: VerdictsApiDeps) {
  return async (request: Request): Promise<Reply> => {
    const { policy: wanted, ...reference } = readQuery(request, verdictsQuery);
    const image = await findImage(deps, request, reference);
    const stamp = await deps.watch.read(image.repositoryId);
    const all = await deps.judge.covering(image.repository, stamp);
    const policies = all.filter(({ name, mode }) => mode !== "off" && (wanted === undefined || name === wanted));
    const verdicts = await deps.judge.judge(image, policies, stamp);
    const visible = await visibleGuns(deps, request.actor, image.repository, verdicts);
    return json(200, {
      ...{ repository: image.repository, tag: image.tag ?? null, digest: image.digest },
      image: await deps.isContent(image),
      verdicts: verdicts.map((verdict) => toWire(verdict, visible)),
    });
  };
}

interface Named {
  readonly tag?: string | undefined;
  readonly digest?: string | undefined;
}

/** Throws the protocol's bad request, or not found. */
async function findImage(deps: VerdictsApiDeps, request: Request, { tag, digest }: Named): Promise<Image> {
  if ((tag === undefined) === (digest === undefined)) throw request.badRequest("ask for a tag, or for a digest");
  if (tag !== undefined && !isTag(tag)) throw request.badRequest("tag: not a tag");
  if (digest !== undefined && !isDigest(digest)) throw request.badRequest("digest: not a digest");
  const repository = parseRepositoryName(`${request.param("org")}/${request.param("repo")}`);
  const found = await findRepository(deps.database, repository);
  const [held, tagged] = await Promise.all([
    deps.tags.held(repository, digest === undefined ? [] : [digest]),
    deps.tags.find(repository, tag === undefined ? [] : [tag]),
  ]);
  const named = tag === undefined ? [...held][0] : tagged.get(tag);
  if (found === undefined || named === undefined) throw deps.notFound();
  return { repositoryId: found.id, repository, tag: tag as Tag | undefined, digest: named as Digest };
}

/** Whoever may pull an image may not see all repositories in which its signatures are. */
async function visibleGuns(
  { authority, listable }: VerdictsApiDeps,
  actor: Actor,
  own: RepositoryName,
  verdicts: readonly PolicyVerdict[],
): Promise<ReadonlySet<string>> {
  const guns = verdicts.flatMap(({ note }) => [...note.signatures, ...note.refusals].flatMap(({ gun }) => gun ?? []));
  const named = [...new Set(guns)].flatMap((gun) => {
    const repository = repositoryOfGun(gun, authority);
    return repository === undefined ? [] : [{ gun, repository }];
  });
  const seen = await listable(
    actor,
    named.map(({ repository }) => repository),
  );
  return new Set(named.filter(({ repository }) => repository === own || seen.has(repository)).map(({ gun }) => gun));
}

function toWire({ policy, allowed, until, note }: PolicyVerdict, visible: ReadonlySet<string>) {
  const isVisible = ({ gun }: { readonly gun: string | null }): boolean => gun === null || visible.has(gun);
  return {
    ...{ policy: policy.name, environment: policy.environment ?? null, mode: policy.mode, applies: policy.applies },
    ...{ allowed, missing: note.missing, until: until?.toISOString() ?? null },
    rows: note.rows.map(({ row, who, met }) => ({ ...row, who, met })),
    signatures: note.signatures.filter(isVisible).map(toSignature),
    refusals: note.refusals.filter(isVisible).map(({ where, reason }) => ({ where, reason })),
  };
}

function toSignature({ spki, refused, ...rest }: SignatureNote) {
  return { ...rest, keySha256: spki, counts: refused === null, why: refused };
}
