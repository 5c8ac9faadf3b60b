import type { Digest } from "../oci/digest.ts";
import type { Tag } from "../oci/reference.ts";
import type { RepositoryName } from "../oci/repository-name.ts";
import type { Refusal } from "../trust/evidence.ts";
import type { Subject } from "../trust/subject.ts";
import type { Requirement, Verdict } from "../trust/verdict.ts";

/** An image as somebody asks for it. */
export interface ImageName {
  readonly repository: RepositoryName;
  /** Undefined when it is named by digest alone. */
  readonly tag: Tag | undefined;
  readonly digest: Digest;
  /** Where its bytes and its cosign signatures are now; default: `repository`. A promotion asks before anything is moved. */
  readonly heldBy?: RepositoryName | undefined;
}

/** Who must have signed. */
export interface Rule {
  /** The organization or user whose rule it is: a team without an organization before it is one of its own. */
  readonly org: string;
  readonly requirement: Requirement;
}

/** What the rule makes of the image. */
export interface JudgedImage extends Verdict {
  /** What was judged: the image, or an index and the image. */
  readonly subject: Subject;
  /** What looks like a signature and counts for nothing; `gun` is undefined for what is not trust data. */
  readonly refusals: readonly (Refusal & { readonly gun: string | undefined })[];
}

/**
 * Judges the image by everything that is known now: trust data, cosign signatures, keys, people and their teams. Nothing is
 * remembered. The one function for pull, promotion and everything else of the registry.
 * @throws OciError NAME_UNKNOWN, MANIFEST_UNKNOWN where there is no such image
 */
export type JudgeImage = (image: ImageName, rule: Rule) => Promise<JudgedImage>;
