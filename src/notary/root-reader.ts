import { LRUCache } from "lru-cache";
import type { Root } from "./tuf/metadata.ts";
import { type StoredRole, toStoredRoot } from "./tuf/update.ts";

/** Parsed, with its keys opened, a root is some tens of KiB. */
const maxRoots = 200;

/**
 * Reads stored roots, and remembers them by the hash of their bytes: what is read of the same bytes is always the same. A
 * root changes once in months, and its keys are the dearest part of a publish to read.
 */
export function openRootReader(): (stored: StoredRole) => Root {
  const roots = new LRUCache<string, Root>({ max: maxRoots });
  return (stored) => {
    const known = roots.get(stored.sha256);
    if (known !== undefined) return known;
    const root = toStoredRoot(stored);
    roots.set(stored.sha256, root);
    return root;
  };
}
