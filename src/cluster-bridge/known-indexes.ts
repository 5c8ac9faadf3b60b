import type { Digest } from "../oci/digest.ts";
import type { RepositoryName } from "../oci/repository-name.ts";
import type { Journal } from "./journal.ts";
import type { Ledger } from "./ledger.ts";

export interface KnownIndexesDeps {
  readonly journal: Pick<Journal, "append">;
  readonly ledger: Pick<Ledger, "indexesOf">;
}

/**
 * Through which signed indexes a platform's image was let run. What runs names the image alone, and nobody signs that; which
 * index lists it, the registry cannot be asked.
 */
export class KnownIndexes {
  readonly #deps: KnownIndexesDeps;

  constructor(deps: KnownIndexesDeps) {
    this.#deps = deps;
  }

  of(repository: RepositoryName, image: Digest): readonly Digest[] {
    return this.#deps.ledger.indexesOf(nameOf(repository, image)) as readonly Digest[];
  }

  /** @throws BridgeError STORE */
  async saw(repository: RepositoryName, image: Digest, index: Digest): Promise<void> {
    if (image === index || this.of(repository, image).includes(index)) return;
    await this.#deps.journal.append({ event: "listed", image: nameOf(repository, image), index });
  }
}

const nameOf = (repository: RepositoryName, digest: Digest): string => `${repository}@${digest}`;
