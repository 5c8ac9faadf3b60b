import type { Digest } from "../oci/digest.ts";
import { namespaceOf, type RepositoryName } from "../oci/repository-name.ts";
import { readManifests } from "../storage/manifest-chains.ts";
import { findRepository } from "../storage/repository-store.ts";
import { findCosignEvidence } from "../trust/cosign-evidence.ts";
import { openSubject } from "../trust/subject.ts";
import { type AttachedManifest, readAttachedSignatures } from "./cosign-reader.ts";
import type { EvidenceDeps, KeyOfPerson } from "./deps.ts";
import type { PolicyJudge } from "./judge-policies.ts";
import { teamsElsewhere } from "./people.ts";

/** Somebody whose key made a cosign signature of an image. */
export interface CosignSigner extends Pick<KeyOfPerson, "spki" | "user" | "removedAt"> {
  /** That holds the signature. */
  readonly manifest: Digest;
  /** `qa/testers`: those of the organization, and those elsewhere that its policies name. */
  readonly teams: readonly string[];
}

/**
 * Who signed this very image with cosign, among those whom a verdict there can count: the organization's people, and the teams
 * elsewhere that its policies name for the repository. Of what is attached so many are looked at, the first ones, as a verdict
 * looks at.
 */
export type FindSigners = (image: SignedImage) => Promise<readonly CosignSigner[]>;

export interface SignedImage {
  readonly repository: RepositoryName;
  readonly digest: Digest;
  readonly attached: readonly AttachedManifest[];
}

export function createFindSigners(deps: EvidenceDeps, judge: Pick<PolicyJudge, "covering">): FindSigners {
  return async ({ repository, digest, attached }) => {
    const found = await findRepository(deps.database, repository);
    if (found === undefined) return [];
    const [images, manifests] = await Promise.all([
      readManifests(deps.database, found.id, [digest]),
      readAttachedSignatures(deps, { repositoryId: found.id, attached }),
    ]);
    const image = images.get(digest);
    if (image === undefined || manifests.length === 0) return [];
    const people = await findPeople(deps, judge, repository);
    const subject = openSubject({ repository, authority: deps.authority, tag: undefined }, [image]);
    const { evidence } = findCosignEvidence(
      manifests,
      subject,
      [...people.values()].map(({ key }) => key),
    );
    return evidence.flatMap(({ spki, where }) => {
      const person = people.get(spki);
      return person === undefined ? [] : [{ spki, manifest: where, ...nameOf(person) }];
    });
  };
}

const nameOf = ({ user, removedAt, teams }: KeyOfPerson) => ({ user, removedAt, teams });

/** By their keys, those that they have shown to hold. */
async function findPeople(
  deps: EvidenceDeps,
  judge: Pick<PolicyJudge, "covering">,
  repository: RepositoryName,
): Promise<ReadonlyMap<string, KeyOfPerson>> {
  const policies = await judge.covering(repository, undefined);
  const teams = teamsElsewhere(policies.flatMap(({ require }) => require));
  const found = await deps.findPeople({ org: namespaceOf(repository), teams });
  return new Map(found.filter(({ proved }) => proved).map((one) => [one.spki, one]));
}
