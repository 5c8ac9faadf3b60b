import type { Explained } from "./mutations.ts";

/** Survivors that change nothing anybody could see, and why. */
export const EXPLAINED: readonly Explained[] = [];
