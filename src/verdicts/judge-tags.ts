import { readManifests } from "../storage/manifest-chains.ts";
import { readCosignSignatures } from "./cosign-reader.ts";
import type { EvidenceDeps } from "./deps.ts";
import type { JudgedImage, Rule } from "./image.ts";
import { judgeWays, readMaterial } from "./judge-image.ts";
import type { Image } from "./policy-verdict.ts";

/** So many are judged before others get their turn: some milliseconds. */
const turn = 16;

/**
 * As {@link JudgeImage} does, of many tags of one repository with a look at each kind of row for all of them. What was
 * deleted since it was listed is left out.
 */
export async function judgeTags(
  deps: EvidenceDeps,
  images: readonly Image[],
  rule: Rule,
): Promise<ReadonlyMap<Image, JudgedImage>> {
  const judged = new Map<Image, JudgedImage>();
  const [first] = images;
  if (first === undefined) return judged;
  const { repositoryId, repository } = first;
  const digests = [...new Set(images.map(({ digest }) => digest))];
  const [manifests, signatures, material] = await Promise.all([
    readManifests(deps.database, repositoryId, digests),
    readCosignSignatures(deps, { repositoryId, digests }),
    readMaterial(deps, repository, rule),
  ]);
  for (const [index, image] of images.entries()) {
    const manifest = manifests.get(image.digest);
    if (index % turn === turn - 1) await new Promise(setImmediate);
    if (manifest === undefined) continue;
    const own = signatures.get(image.digest) ?? [];
    judged.set(image, judgeWays(deps, { image, rule, chains: [[manifest]], signatures: own, material }));
  }
  return judged;
}
