import { open } from "node:fs/promises";
import { OciError } from "../oci/error.ts";

export function isErrno(error: unknown, code: string): boolean {
  return error instanceof Error && "code" in error && error.code === code;
}

/** No room, over quota, or over the largest file allowed: all mean that the bytes could not be kept. */
export function refuseFullDisk(error: unknown): unknown {
  const full = isErrno(error, "ENOSPC") || isErrno(error, "EDQUOT") || isErrno(error, "EFBIG");
  return full ? new OciError("INSUFFICIENT_STORAGE", { cause: error }) : error;
}

/** Makes the names in a folder durable. */
export async function syncFolder(path: string): Promise<void> {
  const handle = await open(path, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
