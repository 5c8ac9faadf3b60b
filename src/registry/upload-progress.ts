import type { RepositoryName } from "../oci/repository-name.ts";
import type { UploadSession } from "../storage/upload-store.ts";
import type { RegistryDeps } from "./deps.ts";

/** How far an upload is, as headers: of every answer about it, a 416 included. */
export function progressHeaders(
  { publicUrl }: Pick<RegistryDeps, "publicUrl">,
  repository: RepositoryName,
  { id, size }: Pick<UploadSession, "id" | "size">,
): Record<string, string> {
  return {
    Location: `${publicUrl}/v2/${repository}/blobs/uploads/${id}`,
    Range: `0-${Math.max(0, size - 1)}`,
    "Docker-Upload-UUID": id,
  };
}
