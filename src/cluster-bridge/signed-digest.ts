import type { Digest } from "../oci/digest.ts";
import { gunOfRepository, repositoryOfGun } from "../oci/gun.ts";
import type { Tag } from "../oci/reference.ts";
import type { RepositoryName } from "../oci/repository-name.ts";
import { gunOfRow } from "../trust/counting.ts";
import type { Refusal as Doubt, TagBinding } from "../trust/evidence.ts";
import { findRule, peopleOf } from "../trust/policy.ts";
import type { Environment, PolicyDocument } from "../trust/policy-document.ts";
import { type Artifact, openSubject, type Subject } from "../trust/subject.ts";
import { findTagBinding, findTufEvidence } from "../trust/tuf-evidence.ts";
import { judge, type Verdict, type VerdictInput } from "../trust/verdict.ts";
import { allDone } from "./all-done.ts";
import type { BridgeClock } from "./bridge-clock.ts";
import { type Refusal, refuse, toRefusal } from "./errors.ts";
import { type ImageReference, parseImageReference } from "./image-reference.ts";
import type { KnownIndexes } from "./known-indexes.ts";
import type { KnownTags } from "./known-tags.ts";
import { getManifest } from "./manifests.ts";
import type { PolicyKeeper } from "./policy-keeper.ts";
import type { RegistryClient } from "./registry-client.ts";
import { findSigned } from "./signed-tags.ts";
import type { ReadCollection, TrustReader } from "./trust-reader.ts";

export interface Deploy {
  readonly kind: "deploy";
  readonly repository: RepositoryName;
  /** What runs: `authority/repository@digest`, and never a tag. */
  readonly digest: Digest;
  readonly verdict: Verdict;
  readonly policy: PolicyDocument;
  /** The tag that it was, and that is another image now; undefined: some tag is this image. */
  readonly movedTag: Tag | undefined;
}

export type Decision = Deploy | Refusal;

/** Whose signatures counted, for the record. */
export const signersOf = ({ verdict }: Deploy): string => verdict.rows.flatMap(({ who }) => who).join(", ");

export interface DecisionDeps {
  readonly authority: string;
  readonly clock: Pick<BridgeClock, "read" | "saw">;
  readonly policy: Pick<PolicyKeeper, "fetch">;
  readonly trust: Pick<TrustReader, "read">;
  readonly registry: Pick<RegistryClient, "find">;
  readonly indexes: Pick<KnownIndexes, "of" | "saw">;
  readonly tags: Pick<KnownTags, "findMoved" | "saw">;
}

export interface Asking {
  /** See {@link PolicyKeeper.fetch}. */
  readonly sinceMs?: number | undefined;
  /**
   * This bridge let the digest run before, by its own journal. Then no tag needs to be this image any more, if the one that was
   * went on to another. Who must have signed it, and how fresh that must be, is asked as ever.
   */
  readonly ranBefore?: boolean;
}

/**
 * What an image's name means now, if the people signed it whom the environment's policy asks for. Everything is read and
 * verified anew, against what was trusted before; each doubt is a refusal, and there is no older answer to fall back to.
 * @param text `host:port/org/app:tag`, `…@sha256:…` or both
 * @see design.md rule 6; hardening "FC"
 */
export async function resolveSignedDigest(
  deps: DecisionDeps,
  text: string,
  environment: string,
  asking: Asking = {},
): Promise<Decision> {
  return (await weighSignedDigest(deps, text, environment, asking)).decision;
}

/** A decision, and what it is worth where it takes something away from what runs already. */
export interface Weighed {
  readonly decision: Decision;
  /**
   * A refusal is certain where those say so, today, whose word counts: policy keys, or the keys of a collection down to the
   * last delegation. It is not where somebody did not answer, or not as they must, or where time alone is the reason: that
   * is what an outage looks like, and an attacker who holds the registry can make it at will.
   */
  readonly isCertain: boolean;
}

/** @see docs/decisions/0051 */
export async function weighSignedDigest(
  deps: DecisionDeps,
  text: string,
  environment: string,
  asking: Asking = {},
): Promise<Weighed> {
  try {
    return await resolve(deps, text, environment, asking);
  } catch (error) {
    return { decision: toRefusal(error), isCertain: false };
  }
}

async function resolve(deps: DecisionDeps, text: string, name: string, asking: Asking): Promise<Weighed> {
  const { authority, clock, policy, trust } = deps;
  // One time for all of it (T06).
  const now = clock.read();
  const reference = parseImageReference(text, authority);
  const { document } = await policy.fetch(asking.sinceMs);
  const rule = findRule(document, name, reference.repository, now);
  if (rule.kind === "refuse") return { decision: refuse("POLICY", rule.reason), isCertain: now < document.expiresAt };
  const read = readerOf(deps.registry, reference.repository);
  // What stands behind a digest is the same whoever signed it: it is on its way meanwhile.
  if (reference.digest !== undefined) read(reference.digest).catch(() => undefined);
  const own = await trust.read(reference.repository, now);
  // What was never seen to be signed cannot have been taken back.
  if (own === undefined) return doubt(`nothing of ${gunOfRepository(reference.repository, authority)} is signed`);
  const { ranBefore = false } = asking;
  const judging: Judging = { deps, own, environment: rule.environment, document, now, read, ranBefore };
  // Trust data was verified at this time: it is on disk before anything is decided.
  const [weighed] = await allDone([weigh(judging, reference), clock.saw(now)]);
  return weighed;
}

async function weigh(judging: Judging, reference: ImageReference): Promise<Weighed> {
  const { own, document, read } = judging;
  const refused: string[] = [];
  for (const { outer, movedTag } of findSubjects(judging, reference)) {
    const subject = await openImage(read, reference, outer);
    const { input, doubts } = await gather(judging, subject, movedTag);
    const verdict = judge(input);
    if (verdict.allowed) {
      const [{ repository }, { digest }] = [reference, subject];
      if (movedTag === undefined) await remember(judging, reference, input);
      return { decision: { kind: "deploy", repository, digest, verdict, policy: document, movedTag }, isCertain: true };
    }
    refused.push(explain(verdict, doubts));
  }
  const what = reference.tag === undefined ? reference.digest : `the tag ${reference.tag}`;
  const [reason = `${own.gun} has nothing that is signed as ${what}`] = refused;
  return { decision: refuse("UNSIGNED", reason), isCertain: await isTakenBack(judging, reference) };
}

/** By what it may be known later, when it runs and has only its digest. */
async function remember({ deps }: Judging, { repository, tag }: ImageReference, input: VerdictInput): Promise<void> {
  const { subject, binding } = input;
  await deps.indexes.saw(repository, subject.digest, subject.outermost);
  if (binding !== undefined) await deps.tags.saw(repository, binding, tag !== undefined);
}

const doubt = (reason: string): Weighed => ({ decision: refuse("UNSIGNED", reason), isCertain: false });

interface Judging {
  readonly deps: DecisionDeps;
  readonly own: ReadCollection;
  readonly environment: Environment;
  readonly document: PolicyDocument;
  readonly now: Date;
  readonly read: ReadManifest;
  readonly ranBefore: boolean;
}

type ReadManifest = (digest: Digest) => Promise<Artifact>;

/** Each once. */
function readerOf(registry: DecisionDeps["registry"], repository: RepositoryName): ReadManifest {
  const known = new Map<Digest, Promise<Artifact>>();
  return (digest) => {
    const reading = known.get(digest) ?? getManifest(registry, repository, digest);
    known.set(digest, reading);
    return reading;
  };
}

/** All that is said of the subject where the rules look. */
interface Gathered {
  readonly input: VerdictInput;
  readonly doubts: readonly Doubt[];
  /** Every collection was there, and all its roles are as their owners want them. */
  readonly isWhole: boolean;
}

async function gather(judging: Judging, subject: Subject, movedTag?: Tag): Promise<Gathered> {
  const { deps, own, environment, document, now } = judging;
  const others = await readOthers(deps, subject, environment, now);
  const collections = [own, ...others.filter((collection) => collection !== undefined)];
  const found = collections.map((collection) => findTufEvidence(collection, subject));
  return {
    input: {
      ...{ subject, evidence: found.flatMap(({ evidence }) => evidence), binding: findBinding(own, subject, movedTag) },
      ...{ people: peopleOf(document), requirement: { ...environment, needsTag: true }, now },
    },
    doubts: found.flatMap(({ refusals }) => refusals),
    isWhole: collections.length === others.length + 1 && collections.every(({ doubts }) => doubts.length === 0),
  };
}

/** Where the tag went on, what it is now stands in for what it was: as fresh as ever, and no word of who signed either. */
function findBinding(own: ReadCollection, subject: Subject, movedTag: Tag | undefined): TagBinding | undefined {
  if (movedTag === undefined) return findTagBinding(own, subject);
  const binding = findTagBinding(own, { ...subject, tag: movedTag });
  return binding && { ...binding, digest: subject.outermost };
}

/**
 * Of what runs, which is a digest: not because no tag stands for it. Which image a tag is may be a server's word, that of a
 * promotion; what people signed stays signed when the tag moves on.
 */
async function isTakenBack(judging: Judging, reference: ImageReference): Promise<boolean> {
  const { repository, digest, tag } = reference;
  if (tag !== undefined || digest === undefined) return false;
  const { indexes } = judging.deps;
  try {
    for (const outer of [digest, ...indexes.of(repository, digest)]) {
      const subject = await openImage(judging.read, reference, outer);
      if (!isOfPeople(await gather(judging, subject))) return false;
    }
    return true;
  } catch (error) {
    toRefusal(error);
    return false;
  }
}

/**
 * Whether it is people who refuse it: not where it would be allowed if the newest timestamp were of this moment, since then
 * time alone refused it; nor where only a tag is missing, or what servers sign.
 */
function isOfPeople({ input, isWhole }: Gathered): boolean {
  const { binding, evidence, requirement, now } = input;
  const rows = requirement.require.filter((row) => row.class === "client-key");
  if (!isWhole || rows.length === 0) return false;
  const signed = [binding, ...evidence.map(({ statement }) => statement)].filter((dated) => dated !== undefined);
  const newestMs = Math.max(...signed.map(({ freshAt }) => freshAt.getTime()));
  const asked = { require: rows, maxTimestampAgeSeconds: undefined, needsTag: false };
  return !judge({ ...input, requirement: asked, now: signed.length === 0 ? now : new Date(newestMs) }).allowed;
}

interface Outermost {
  readonly outer: Digest;
  /** The tag that it was, where none is any more. */
  readonly movedTag: Tag | undefined;
}

function findSubjects({ deps, own, ranBefore }: Judging, reference: ImageReference): Outermost[] {
  const { repository, digest, tag } = reference;
  const found = findOutermost(deps, reference, own);
  if (found.length > 0 || !ranBefore || tag !== undefined || digest === undefined)
    return found.map((outer) => ({ outer, movedTag: undefined }));
  const now = (known: Tag) => findSigned(own.trusted, known, undefined);
  return [digest, ...deps.indexes.of(repository, digest)].flatMap((outer) => {
    const movedTag = deps.tags.findMoved(repository, outer, now);
    return movedTag === undefined ? [] : [{ outer, movedTag }];
  });
}

/**
 * What the tag stands for, by the trust data and never by the registry. Without a tag the digest itself, and each index through
 * which it was let run, as long as some tag stands for that.
 */
function findOutermost({ indexes }: DecisionDeps, reference: ImageReference, { trusted }: ReadCollection): Digest[] {
  const { repository, digest, tag } = reference;
  const listing = tag === undefined && digest !== undefined ? indexes.of(repository, digest) : [];
  return [digest, ...listing].flatMap((asked) => findSigned(trusted, tag, asked) ?? []);
}

/** From the outermost to what was asked for. */
async function openImage(read: ReadManifest, reference: ImageReference, outermost: Digest): Promise<Subject> {
  const { digest } = reference;
  const chain: [Artifact, ...Artifact[]] = [await read(outermost)];
  if (digest !== undefined && digest !== outermost) chain.push(await read(digest));
  return openSubject(reference, chain);
}

/** The collections that the environment's rules name, beside the image's own; undefined where one was never there. */
async function readOthers(
  { authority, trust }: DecisionDeps,
  subject: Subject,
  { require }: Environment,
  now: Date,
): Promise<(ReadCollection | undefined)[]> {
  const guns = new Set(require.map((row) => gunOfRow(row, subject)));
  const names = [...guns].flatMap((gun) => (gun === undefined ? [] : (repositoryOfGun(gun, authority) ?? [])));
  const others = names.filter((repository) => repository !== subject.repository);
  return Promise.all(others.map((repository) => trust.read(repository, now)));
}

function explain({ missing }: Verdict, doubts: readonly Doubt[]): string {
  const notes = [...new Set(doubts.map(({ where, reason }) => `${where}: ${reason}`))].slice(0, 5);
  return [...missing, ...notes].join("; ");
}
