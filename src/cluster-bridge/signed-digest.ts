import type { Digest } from "../oci/digest.ts";
import { gunOfRepository, repositoryOfGun } from "../oci/gun.ts";
import type { RepositoryName } from "../oci/repository-name.ts";
import { gunOfRow } from "../trust/counting.ts";
import type { Refusal as Doubt } from "../trust/evidence.ts";
import { findRule, peopleOf } from "../trust/policy.ts";
import type { Environment, PolicyDocument } from "../trust/policy-document.ts";
import { type Artifact, openSubject, type Subject } from "../trust/subject.ts";
import { findTagBinding, findTufEvidence, type TrustedCollection } from "../trust/tuf-evidence.ts";
import { judge, type Verdict } from "../trust/verdict.ts";
import type { BridgeClock } from "./bridge-clock.ts";
import { BridgeError, type Refusal, refuse, toRefusal } from "./errors.ts";
import { type ImageReference, parseImageReference } from "./image-reference.ts";
import { getManifest } from "./manifests.ts";
import type { PolicyKeeper } from "./policy-keeper.ts";
import type { RegistryClient } from "./registry-client.ts";
import { findSigned } from "./signed-tags.ts";
import type { TrustReader } from "./trust-reader.ts";

export interface Deploy {
  readonly kind: "deploy";
  readonly repository: RepositoryName;
  /** What runs: `authority/repository@digest`, and never a tag. */
  readonly digest: Digest;
  readonly verdict: Verdict;
  readonly policy: PolicyDocument;
}

export type Decision = Deploy | Refusal;

/** Whose signatures counted, for the record. */
export const signersOf = ({ verdict }: Deploy): string => verdict.rows.flatMap(({ who }) => who).join(", ");

export interface DecisionDeps {
  readonly authority: string;
  readonly clock: BridgeClock;
  readonly policy: Pick<PolicyKeeper, "fetch">;
  readonly trust: Pick<TrustReader, "read">;
  readonly registry: Pick<RegistryClient, "find">;
}

/**
 * What an image's name means now, if the people signed it whom the environment's policy asks for. Everything is read and
 * verified anew, against what was trusted before; each doubt is a refusal, and there is no older answer to fall back to.
 * @param text `host:port/org/app:tag`, `…@sha256:…` or both
 * @see design.md rule 6; hardening "FC"
 */
export async function resolveSignedDigest(deps: DecisionDeps, text: string, environment: string): Promise<Decision> {
  try {
    return await resolve(deps, text, environment);
  } catch (error) {
    return toRefusal(error);
  }
}

async function resolve(deps: DecisionDeps, text: string, name: string): Promise<Decision> {
  const { authority, clock, policy, trust, registry } = deps;
  // One time for all of it (T06).
  const now = clock.read();
  const reference = parseImageReference(text, authority);
  const { document } = await policy.fetch();
  const rule = findRule(document, name, reference.repository, now);
  if (rule.kind === "refuse") return refuse("POLICY", rule.reason);
  const own = await trust.read(reference.repository, now);
  if (own === undefined)
    return refuse("UNSIGNED", `nothing of ${gunOfRepository(reference.repository, authority)} is signed`);
  const subject = await openImage(registry, reference, own);
  const collections = [own, ...(await readOthers(deps, subject, rule.environment, now))];
  const found = collections.map((collection) => findTufEvidence(collection, subject));
  const verdict = judge({
    ...{ subject, evidence: found.flatMap(({ evidence }) => evidence), binding: findTagBinding(own, subject) },
    ...{ people: peopleOf(document), requirement: { ...rule.environment, needsTag: true }, now },
  });
  await clock.saw(now);
  if (!verdict.allowed)
    return refuse(
      "UNSIGNED",
      explain(
        verdict,
        found.flatMap(({ refusals }) => refusals),
      ),
    );
  const { repository } = reference;
  return { kind: "deploy", repository, digest: subject.digest, verdict, policy: document };
}

/** From what the tag stands for, by the trust data and never by the registry, to what was asked for. */
async function openImage(
  registry: DecisionDeps["registry"],
  reference: ImageReference,
  own: TrustedCollection,
): Promise<Subject> {
  const { repository, digest, tag } = reference;
  const signed = findSigned(own.trusted, tag, digest);
  if (signed === undefined) {
    const what = tag === undefined ? digest : `the tag ${tag}`;
    throw new BridgeError("UNSIGNED", `${own.gun} has nothing that is signed as ${what}`);
  }
  const outer = await getManifest(registry, repository, signed);
  const chain: [Artifact, ...Artifact[]] = [outer];
  if (digest !== undefined && digest !== signed) chain.push(await getManifest(registry, repository, digest));
  return openSubject(reference, chain);
}

/** The collections that the environment's rules name, beside the image's own. */
async function readOthers(
  { authority, trust }: DecisionDeps,
  subject: Subject,
  { require }: Environment,
  now: Date,
): Promise<TrustedCollection[]> {
  const guns = new Set(require.map((row) => gunOfRow(row, subject)));
  const names = [...guns].flatMap((gun) => (gun === undefined ? [] : (repositoryOfGun(gun, authority) ?? [])));
  const others = names.filter((repository) => repository !== subject.repository);
  const read = await Promise.all(others.map((repository) => trust.read(repository, now)));
  return read.filter((collection) => collection !== undefined);
}

function explain({ missing }: Verdict, doubts: readonly Doubt[]): string {
  const notes = [...new Set(doubts.map(({ where, reason }) => `${where}: ${reason}`))].slice(0, 5);
  return [...missing, ...notes].join("; ");
}
