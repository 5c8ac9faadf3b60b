import type { JsonObject } from "../oci/json.ts";
import { namespaceOf, type RepositoryName } from "../oci/repository-name.ts";
import type { NotaryDeps } from "./deps.ts";

/** One of the signatures of an image, in whatever repository. */
export interface SignatureEntry {
  readonly at: Date;
  readonly kind: string;
  readonly repository: RepositoryName;
  readonly tag: string;
  /** Whom its keys belong to. */
  readonly by: readonly string[];
  /** That they are in now. */
  readonly teams: readonly string[];
  readonly from: undefined;
  readonly detail: JsonObject;
}

/** Part of the history of one image. */
export function openSignatureHistory({ signatures, findPeople }: Pick<NotaryDeps, "signatures" | "findPeople">) {
  return async ({ digest, limit }: { readonly digest: string; readonly limit: number }): Promise<SignatureEntry[]> => {
    const found = await signatures.listOfDigest(digest, limit);
    return Promise.all(
      found.map(async ({ at, kind, repository, tag, role, keyIds, spkis, policy }): Promise<SignatureEntry> => {
        const people = await findPeople(spkis, namespaceOf(repository));
        const signers = spkis.flatMap((spki) => people.get(spki) ?? []);
        return {
          at,
          kind,
          repository,
          tag,
          by: [...new Set(signers.map(({ user }) => user))],
          teams: [...new Set(signers.flatMap(({ teams }) => teams))],
          from: undefined,
          detail: { role, keyIds: [...keyIds], ...(policy ? { policy } : {}) },
        };
      }),
    );
  };
}
