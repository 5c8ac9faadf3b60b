import type { Digest } from "../oci/digest.ts";
import { isTag, type Tag } from "../oci/reference.ts";
import type { RepositoryName } from "../oci/repository-name.ts";
import type { TagBinding } from "../trust/evidence.ts";
import type { Journal } from "./journal.ts";
import type { Ledger } from "./ledger.ts";

export interface KnownTagsDeps {
  readonly journal: Pick<Journal, "append">;
  readonly ledger: Pick<Ledger, "tagsIn">;
}

/**
 * Which images a tag was when they were let run. A tag that is another image today went on, or was put back to one that it was
 * before: what trust data says now does not tell these two apart.
 * @see docs/decisions/0051
 */
export class KnownTags {
  readonly #deps: KnownTagsDeps;

  constructor(deps: KnownTagsDeps) {
    this.#deps = deps;
  }

  /**
   * Of an image that was asked for by its digest one tag is enough: whoever can set tags can set many.
   * @throws BridgeError STORE
   */
  async saw(
    repository: RepositoryName,
    { tag, digest }: Pick<TagBinding, "tag" | "digest">,
    isAsked: boolean,
  ): Promise<void> {
    // A target's name may be anything.
    if (!isTag(tag)) return;
    const known = this.#deps.ledger.tagsIn(repository);
    const isKnown = isAsked
      ? known.findLast((one) => one.tag === tag)?.digest === digest
      : known.some((one) => one.digest === digest);
    if (!isKnown) await this.#deps.journal.append({ event: "tagged", repository, tag, digest });
  }

  /**
   * A tag that was this image and went on to another one. Not one that is gone, or is again what it was before: that takes
   * something back.
   * @param digestOf what the tag is now
   */
  findMoved(repository: RepositoryName, digest: Digest, digestOf: (tag: Tag) => Digest | undefined): Tag | undefined {
    const known = this.#deps.ledger.tagsIn(repository);
    const tags = new Set(known.filter((one) => one.digest === digest).map(({ tag }) => tag));
    return [...tags].filter(isTag).find((tag) => {
      const now = digestOf(tag);
      if (now === undefined || now === digest) return false;
      const order = known.filter((one) => one.tag === tag).map((one) => one.digest);
      return !order.includes(now) || order.lastIndexOf(now) > order.lastIndexOf(digest);
    });
  }
}
