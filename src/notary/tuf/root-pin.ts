import { canonicalKeyId } from "./key.ts";
import type { Root } from "./metadata.ts";
import { findSignersOf } from "./verify.ts";

/** By which keys a collection is known before anything of it was seen. */
export interface RootPin {
  /** Of the keys themselves ({@link canonicalKeyId}) or of their certificates. */
  readonly keyIds: readonly string[];
  /** How many of them must have signed. */
  readonly threshold: number;
}

/**
 * Whether enough of the pinned keys signed the root. That it lists them is nothing: anybody can write a root with the public
 * certificate of somebody else in it, a key of his own beside that, and a threshold of one.
 * @see hardening T13, T14
 */
export function meetsPin(root: Root, { keyIds, threshold }: RootPin): boolean {
  const signers = findSignersOf(root, root.roles.root);
  const pinned = signers.filter((key) => keyIds.includes(canonicalKeyId(key)) || keyIds.includes(key.id));
  return threshold >= 1 && pinned.length >= threshold;
}
