import type { Key } from "../notary/tuf/key.ts";
import { OciError } from "../oci/error.ts";
import { gunOfRepository } from "../oci/gun.ts";
import type { RepositoryName } from "../oci/repository-name.ts";
import { type ManifestChain, readManifestChains } from "../storage/manifest-chains.ts";
import { findRepository } from "../storage/repository-store.ts";
import { findCosignEvidence, type SignatureManifest } from "../trust/cosign-evidence.ts";
import { gunOfRow } from "../trust/counting.ts";
import type { People } from "../trust/people.ts";
import { openSubject, type Subject } from "../trust/subject.ts";
import { findTagBinding, findTufEvidence, type TrustedCollection } from "../trust/tuf-evidence.ts";
import { judge, needsBinding } from "../trust/verdict.ts";
import { readCosignSignatures } from "./cosign-reader.ts";
import type { EvidenceDeps, OpenCollection } from "./deps.ts";
import type { ImageName, JudgedImage, JudgeImage, Rule } from "./image.ts";
import { readPeople, withMachines } from "./people.ts";

/** @see {@link JudgeImage} */
export function createJudgeImage(deps: EvidenceDeps): JudgeImage {
  return async (image, rule) => {
    const { repositoryId, chains } = await readImage(deps, image);
    const digests = [...new Set(chains.flat().map(({ digest }) => digest))];
    const [signatures, material] = await Promise.all([
      readCosignSignatures(deps, { repositoryId, digests }),
      readMaterial(deps, image.repository, rule),
    ]);
    const all = new Map([...signatures.values()].flat().map((one) => [one.artifact.digest, one]));
    return judgeWays(deps, { image, rule, chains, signatures: [...all.values()], material });
  };
}

/** What a rule looks at that is the same for every image of a repository. */
export interface Material {
  readonly keys: readonly Key[];
  readonly people: People;
  /** Of the GUNs in `guns`, the image's own first. */
  readonly collections: readonly OpenCollection[];
  readonly guns: readonly string[];
}

export async function readMaterial(deps: EvidenceDeps, repository: RepositoryName, rule: Rule): Promise<Material> {
  const guns = gunsOf(deps, repository, rule);
  const [known, ...collections] = await Promise.all([
    readPeople(deps, rule),
    ...guns.map((gun) => deps.readTrust(gun)),
  ]);
  const machines = collections.flatMap((one) => [...one.machines]);
  return { keys: known.keys, people: withMachines(known.people, machines), collections, guns };
}

/** An image with all that was read of it. */
export interface Ways {
  readonly image: ImageName;
  readonly rule: Rule;
  /** That lead to it. */
  readonly chains: readonly ManifestChain[];
  readonly signatures: readonly SignatureManifest[];
  readonly material: Material;
}

/**
 * A platform's manifest may be allowed for itself, or through any index that lists it: clients ask for it by digest. Of several
 * refusals that of the newest index is told: whoever signs that signs for all its platforms.
 */
export function judgeWays(deps: EvidenceDeps, ways: Ways): JudgedImage {
  const judged = ways.chains.map((chain) => judgeChain(deps, ways, chain));
  const verdict = judged.find(({ allowed }) => allowed) ?? judged[1] ?? judged[0];
  if (verdict === undefined) throw new Error("an image without a way that leads to it");
  return verdict;
}

function judgeChain(
  { authority, now }: EvidenceDeps,
  { image, rule, signatures, material }: Ways,
  chain: ManifestChain,
): JudgedImage {
  const { keys, people, collections } = material;
  const subject = openSubject({ repository: image.repository, authority, tag: image.tag }, chain);
  const found = [
    ...collectionsOf(collections).map((one) => ({ gun: one.gun, ...findTufEvidence(one, subject) })),
    { gun: undefined, ...findCosignEvidence(signatures, subject, keys) },
  ];
  const refusals = found.flatMap(({ gun, refusals }) => refusals.map((refusal) => ({ ...refusal, gun })));
  const verdict = judge({
    ...{ subject, people, requirement: rule.requirement, now: now() },
    evidence: found.flatMap(({ evidence }) => evidence),
    binding: bindingOf(collections[0], subject, rule),
  });
  return { ...verdict, subject, refusals: [...problemsOf(material), ...refusals] };
}

const collectionsOf = (all: readonly OpenCollection[]): TrustedCollection[] =>
  all.flatMap(({ collection }) => collection ?? []);

/** Undefined also where the rule does not ask. */
function bindingOf(own: OpenCollection | undefined, subject: Subject, { requirement }: Rule) {
  if (own?.collection === undefined || !needsBinding(requirement)) return undefined;
  return findTagBinding(own.collection, subject);
}

function problemsOf({ guns, collections }: Material) {
  return collections.flatMap(({ problem }, index) => {
    const gun = guns[index] ?? "";
    return problem === undefined ? [] : [{ where: gun, reason: problem, gun }];
  });
}

/** @throws OciError NAME_UNKNOWN, MANIFEST_UNKNOWN */
async function readImage({ database }: EvidenceDeps, { repository, heldBy, tag, digest }: ImageName) {
  const found = await findRepository(database, heldBy ?? repository);
  if (found === undefined) throw new OciError("NAME_UNKNOWN");
  const chains = await readManifestChains(database, found.id, digest);
  if (chains.length === 0) throw new OciError("MANIFEST_UNKNOWN", { detail: { digest } });
  // What a tag stands for is what it names, and nothing that happens to list that.
  return { repositoryId: found.id, chains: tag === undefined ? chains : chains.slice(0, 1) };
}

/** The image's own first, then where the rule looks. */
function gunsOf({ authority }: EvidenceDeps, repository: RepositoryName, { requirement }: Rule): string[] {
  const own = gunOfRepository(repository, authority);
  return [...new Set([own, ...requirement.require.flatMap((row) => gunOfRow(row, { repository, authority }) ?? [])])];
}
