import { describeError } from "../http/log.ts";
import { together } from "../storage/statement-batch.ts";
import type { NotaryDeps } from "./deps.ts";
import { missing, NotaryError } from "./errors.ts";
import { type CurrentFile, insertFiles, loadStored, type StoredFile, tryLockCollection } from "./metadata-store.ts";
import { markUsed } from "./server-keys-store.ts";
import { VerificationError } from "./tuf/error.ts";
import { type Gun, ROOT, SNAPSHOT, TIMESTAMP } from "./tuf/names.ts";
import { renewServerRoles } from "./tuf/renew.ts";
import type { MetadataFile } from "./tuf/update.ts";

const dayMs = 24 * 3600_000;
/** In the order in which they are used. */
const RENEWED = new Set([ROOT, SNAPSHOT, TIMESTAMP]);

/** What expires before its moment is signed anew. */
export interface Renewal {
  readonly gun: Gun;
  readonly expiringBefore: { readonly snapshot: Date; readonly timestamp: Date };
}

export type RenewalDeps = Pick<NotaryDeps, "database" | "keys" | "now">;

/**
 * Signs snapshot and timestamp of the GUN anew where they are due; [] where they are not. Whoever comes second finds
 * nothing due.
 * @throws VerificationError EXPIRED for a root, or a client's snapshot, that is over; KEY where the key is not held here
 */
export function renew(deps: RenewalDeps, { gun, expiringBefore }: Renewal): Promise<readonly MetadataFile[]> {
  return deps.database.transaction(async (sql) => {
    const now = deps.now();
    const [collection, stored, keys] = await together(
      tryLockCollection(sql, gun),
      loadStored(sql, gun, { roles: RENEWED, contents: RENEWED }),
      deps.keys.hold(sql, gun),
    );
    const [root, snapshot, timestamp] = [...RENEWED].map((role) => stored.get(role)?.bytes);
    if (collection === undefined || root === undefined || snapshot === undefined || timestamp === undefined) return [];
    const { serverKeys, sign } = keys;
    const files = renewServerRoles({ root, snapshot, timestamp, serverKeys, sign, now, expiringBefore });
    if (files.length === 0) return files;
    await together(markUsed(sql, gun, keys, now), insertFiles(sql, collection, files, now));
    return files;
  });
}

interface Read {
  readonly gun: Gun;
  readonly role: "snapshot" | "timestamp";
  /** As it was before. */
  readonly found: CurrentFile;
}

/**
 * The file itself, or what took its place: a timestamp is made anew on its last day, a snapshot once it is over. Where that
 * cannot be, a file that is still good is served as it is.
 * @throws NotaryError UNKNOWN with the role that has expired, METADATA_NOT_FOUND
 */
export async function freshTimestamp(deps: NotaryDeps, { gun, role, found }: Read): Promise<StoredFile> {
  const now = deps.now();
  const lastDay = new Date(now.getTime() + dayMs);
  const isSnapshotOver = found.snapshotExpiresAt !== undefined && found.snapshotExpiresAt < now;
  if (!isSnapshotOver && (role === "snapshot" || found.expiresAt >= lastDay)) return found;
  try {
    const files = await renew(deps, { gun, expiringBefore: { snapshot: now, timestamp: lastDay } });
    if (files.length > 0) deps.log.info("trust.renewed", { gun, files: files.length });
  } catch (error) {
    if (!(error instanceof VerificationError)) throw error;
    deps.log.warn("trust.not-renewed", { gun, ...describeError(error) });
    throw new NotaryError("UNKNOWN", { detail: expiredDetail(error), cause: error });
  }
  const fresh = await deps.files.findCurrent(gun, role);
  if (fresh === undefined) throw missing();
  return fresh;
}

function expiredDetail({ expired, message }: VerificationError): object | string {
  return expired === undefined ? message : { Role: expired.role, Expired: expired.expires };
}
