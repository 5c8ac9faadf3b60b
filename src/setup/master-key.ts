import { randomBytes } from "node:crypto";
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
  const made = `k${randomBytes(4).toString("hex")} ${randomBytes(32).toString("base64")}\n`;
  await writeDurably(file, made, 0o600);
  return made;
}

/** @throws SetupError when a line is not `<id> <base64 of 32 bytes>`, when ids repeat, or when there is none */
export function checkMasterKeys(content: string, file: string): string {
  const ids = new Set<string>();
  for (const [index, line] of content.split("\n").entries()) {
    if (line.trim() === "") continue;
    const match = /^([A-Za-z0-9_-]{1,64}) ([A-Za-z0-9+/]{43}=)\s*$/.exec(line);
    if (match?.[1] === undefined) {
      throw new SetupError(`${file}, line ${index + 1}: must be "<id> <base64 of 32 bytes>"`);
    }
    if (ids.has(match[1])) throw new SetupError(`${file}, line ${index + 1}: the id ${match[1]} is there twice`);
    ids.add(match[1]);
  }
  if (ids.size === 0)
    throw new SetupError(`${file} holds no key: it must have one "<id> <base64 of 32 bytes>" per line`);
  return content;
}
