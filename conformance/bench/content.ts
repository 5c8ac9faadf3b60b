/** Content that is cheap to make and to hash, and different every time where that is asked for. */
import { createHash, type Hash, randomBytes } from "node:crypto";

export const MIB = 1024 * 1024;
export const BLOCK = randomBytes(MIB);

export const sha256 = (bytes: Uint8Array): string => `sha256:${createHash("sha256").update(bytes).digest("hex")}`;

export interface BigBlob {
  readonly digest: string;
  /** Bytes, a multiple of 1 MiB. */
  readonly size: number;
  /** All but the last are {@link BLOCK}. */
  readonly lastBlock: Buffer;
}

const prefixes = new Map<number, Hash>();

/** A blob that no registry has yet: only its last block is its own, so the client hashes 1 MiB and not all of it. */
export function newBigBlob(mebibytes: number): BigBlob {
  const prefix = prefixes.get(mebibytes) ?? hashBlocks(mebibytes - 1);
  prefixes.set(mebibytes, prefix);
  const lastBlock = Buffer.from(BLOCK);
  randomBytes(32).copy(lastBlock);
  return { digest: `sha256:${prefix.copy().update(lastBlock).digest("hex")}`, size: mebibytes * MIB, lastBlock };
}

function hashBlocks(count: number): Hash {
  const hash = createHash("sha256");
  for (let i = 0; i < count; i++) hash.update(BLOCK);
  return hash;
}
