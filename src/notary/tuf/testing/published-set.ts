/** Whole sets of files, signed as they should be, in which a test changes one thing. */
import type { RoleName } from "../names.ts";
import type { UploadedPart } from "../upload.ts";
import { all, type Change, drop, put } from "./loose.ts";
import { DAY_MS, metaOf, type Repository } from "./repository.ts";

export interface SetChanges {
  readonly snapshot?: Change;
  readonly timestamp?: Change;
}

/** What the repository has stored with `parts` in it, and a snapshot and timestamp of exactly that. */
export function setOf(
  repository: Repository,
  parts: readonly UploadedPart[] = [],
  { snapshot = () => undefined, timestamp = () => undefined }: SetChanges = {},
): Map<RoleName, Uint8Array> {
  const files = new Map(repository.stored);
  for (const { filename, bytes } of parts) files.set(filename as RoleName, bytes);
  const entries = [...files].filter(([role]) => role !== "snapshot" && role !== "timestamp");
  const meta = Object.fromEntries(entries.map(([role, bytes]) => [role, metaOf(bytes)]));
  const snapshotFile = repository.part("snapshot", all(put(["meta"], meta), snapshot)).bytes;
  const expires = new Date(repository.now.getTime() + 14 * DAY_MS).toISOString();
  // The simulator's first file of a role is one of targets, whatever the role.
  const first = all(put(["_type"], "Timestamp"), drop(["delegations"]), drop(["targets"]));
  const named = put(["meta"], { snapshot: metaOf(snapshotFile) });
  const current = all(first, named, put(["expires"], expires), timestamp);
  return files
    .set("snapshot" as RoleName, snapshotFile)
    .set("timestamp" as RoleName, repository.part("timestamp", current).bytes);
}
