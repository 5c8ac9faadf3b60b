import { mkdir, rename } from "node:fs/promises";
import { join } from "node:path";
import { algorithmOf, type Digest, hexOf } from "../oci/digest.ts";
import { OciError } from "../oci/error.ts";
import { isErrno, syncFolder } from "./file-errors.ts";
import { blobPath, newSegmentName } from "./fs-layout.ts";

/** `<algorithm>-<hex>-<32 hex digits>`: one digest may be set aside more than once. */
const ASIDE = /^sha(?:256|512)-[0-9a-f]+-[0-9a-f]{32}$/;

export function asidePath(root: string, name: string): string {
  // Names come from rows: one that was not made here must not become a path.
  if (!ASIDE.test(name)) throw new OciError("BLOB_UNKNOWN", { detail: { aside: name } });
  return join(root, "quarantine", name);
}

/** Moves what is under `digest` to `<root>/quarantine`, durably. Returns its name there; undefined: there was nothing. */
export async function setAsideFile(root: string, digest: Digest): Promise<string | undefined> {
  const name = `${algorithmOf(digest)}-${hexOf(digest)}-${newSegmentName()}`;
  const path = blobPath(root, digest);
  if ((await mkdir(join(root, "quarantine"), { recursive: true, mode: 0o700 })) !== undefined) await syncFolder(root);
  try {
    await rename(path, asidePath(root, name));
  } catch (error) {
    if (isErrno(error, "ENOENT")) return undefined;
    throw error;
  }
  await syncFolder(join(root, "quarantine"));
  await syncFolder(join(path, ".."));
  return name;
}
