import { randomBytes } from "node:crypto";
import { KeyFileError, newKeyLine, parseKeyRing } from "../keys/key-ring.ts";
import { SetupError } from "./errors.ts";
import { findFile, writeDurably } from "./files.ts";

/**
 * The key ring: one `<id> <base64 of 32 bytes>` per line, the first seals, all open. Made on first start.
 * @param mayCreate false once there is data that an older key has sealed, or when the file was named by hand
 * @throws SetupError
 */
export async function openMasterKeys(file: string, { mayCreate }: { mayCreate: boolean }): Promise<string> {
  const content = await findFile(file);
  if (content !== undefined) return checkMasterKeys(content, file);
  if (!mayCreate) {
    throw new SetupError(
      `master key file ${file} is missing: put it back from your backup; for a new installation make one with: ` +
        `(umask 077; echo "k1 $(openssl rand -base64 32)" > ${file})`,
    );
  }
  const made = newKeyLine(`k${randomBytes(4).toString("hex")}`);
  await writeDurably(file, made, 0o600);
  return made;
}

/** @throws SetupError that names the file and the line, never what stands in it */
export function checkMasterKeys(content: string, file: string): string {
  try {
    parseKeyRing(content, file);
    return content;
  } catch (cause) {
    if (!(cause instanceof KeyFileError)) throw cause;
    throw new SetupError(cause.message, { cause });
  }
}
