import type { Digest } from "../oci/digest.ts";
import type { Tag } from "../oci/reference.ts";
import type { RepositoryName } from "../oci/repository-name.ts";
import type { Policy } from "./policy-schema.ts";
import type { NotedVerdict } from "./verdict-note.ts";

/** An image of a repository that is there, as somebody asks for it. */
export interface Image {
  readonly repositoryId: number;
  readonly repository: RepositoryName;
  readonly tag: Tag | undefined;
  readonly digest: Digest;
}

/** What one policy makes of an image. */
export interface PolicyVerdict extends NotedVerdict {
  readonly policy: Policy;
}

/** With the image that it is about. */
export interface ImageVerdict extends PolicyVerdict {
  readonly image: Image;
}
