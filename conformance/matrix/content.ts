/** What is pushed: an image of two blobs, and indexes of nothing, which need no blob and so may be a first push. */
import { createHash } from "node:crypto";

export const MANIFEST = "application/vnd.oci.image.manifest.v1+json";
export const INDEX = "application/vnd.oci.image.index.v1+json";

export const digestOf = (content: string | Buffer): string =>
  `sha256:${createHash("sha256").update(content).digest("hex")}`;

export const CONFIG = "{}";
export const LAYER = "a layer of the matrix";
/** In every repository, and of no manifest. */
export const LOOSE = "a blob that nothing needs";

const descriptor = (mediaType: string, content: string) => ({
  mediaType,
  digest: digestOf(content),
  size: content.length,
});

export const IMAGE = JSON.stringify({
  schemaVersion: 2,
  mediaType: MANIFEST,
  config: descriptor("application/vnd.oci.image.config.v1+json", CONFIG),
  layers: [descriptor("application/vnd.oci.image.layer.v1.tar", LAYER)],
});

/** A manifest of its own for each `mark`. */
export function indexOf(mark: string, subject?: string): string {
  return JSON.stringify({
    schemaVersion: 2,
    mediaType: INDEX,
    manifests: [],
    annotations: { mark },
    ...(subject === undefined
      ? {}
      : { artifactType: "application/vnd.test.mark", subject: descriptor(MANIFEST, subject) }),
  });
}
