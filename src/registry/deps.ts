import type { Request } from "../http/request.ts";
import type { Actor, Authorize, RepositoryAction } from "../oci/access.ts";
import type { Digest } from "../oci/digest.ts";
import type { Tag } from "../oci/reference.ts";
import type { RepositoryName } from "../oci/repository-name.ts";
import type { BlobRows } from "../storage/blob-rows.ts";
import type { BlobStore } from "../storage/blob-store.ts";
import type { Confirm } from "../storage/database.ts";
import type { Failpoint } from "../storage/failpoint.ts";
import type { Doubts } from "../storage/integrity/doubts.ts";
import type { ManifestStore } from "../storage/manifest-store.ts";
import type { RepositoryStore } from "../storage/repository-store.ts";
import type { UploadStore } from "../storage/upload-store.ts";

/** A manifest that somebody who may pull asks for. */
export interface Pull {
  readonly repositoryId: number;
  readonly repository: RepositoryName;
  /** Undefined when it is asked for by digest. */
  readonly tag: Tag | undefined;
  readonly digest: Digest;
  /** As its row was looked up: see storage/watch-column.ts. */
  readonly watch: string;
}

/** What the Distribution API is made of; app.ts passes it. */
export interface RegistryDeps {
  readonly authorize: Authorize;
  /** Names of the repositories that the actor may list, in ASCII order. */
  readonly catalog: (actor: Actor, after: string, limit: number) => Promise<string[]>;
  /** Of the change that a request makes; with `action` where it takes another right than its route says. */
  readonly confirm: (request: Request, action?: RepositoryAction) => Confirm;
  /**
   * By the policies of the repository: returns what to warn of; undefined where it is known already that there is nothing.
   * @throws OciError DENIED
   */
  readonly checkPull: (request: Request, pull: Pull) => Promise<readonly string[]> | undefined;
  readonly blobs: BlobStore;
  readonly blobRows: BlobRows;
  readonly uploads: UploadStore;
  readonly manifests: ManifestStore;
  readonly repositories: RepositoryStore;
  /** What every `Location` begins with; never made from `Host`. */
  readonly publicUrl: string;
  /** False: tags, manifests and blobs cannot be deleted (405). */
  readonly deletion: boolean;
  /** Whether a client at this address may be sent to the bucket for a large blob. */
  readonly redirects: (address: string) => boolean;
  /** Told of what a pull finds damaged. */
  readonly doubts: Pick<Doubts, "isThere" | "settle" | "settleManifest" | "suspect">;
  readonly failpoint: Failpoint;
}
