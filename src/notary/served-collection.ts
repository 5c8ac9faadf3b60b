import { OciError } from "../oci/error.ts";
import { gunOfRepository } from "../oci/gun.ts";
import { namespaceOf, type RepositoryName } from "../oci/repository-name.ts";
import type { Sql } from "../storage/database.ts";
import { findRepository } from "../storage/repository-store.ts";
import { together } from "../storage/statement-batch.ts";
import type { NotaryDeps } from "./deps.ts";
import { type Held, holdCollection, insertFiles } from "./metadata-store.ts";
import { type HeldKeys, markUsed } from "./server-keys-store.ts";
import { signatureEvents } from "./signature-events.ts";
import { insertSignatures } from "./signatures-store.ts";
import { VerificationError } from "./tuf/error.ts";
import { type Gun, parseGun, ROOT, type RoleName, SNAPSHOT, TARGETS, TIMESTAMP } from "./tuf/names.ts";
import { completeUpdate } from "./tuf/produce.ts";
import { judgeUpdate } from "./tuf/update.ts";
import type { Part } from "./tuf/upload.ts";

export type ServedDeps = Pick<
  NotaryDeps,
  "keys" | "foundingKeys" | "signers" | "authority" | "readRoot" | "targetsReader" | "failpoint"
>;

/** The trust data of a repository, locked until the transaction ends, for the server to sign there itself. */
export interface ServedCollection extends Held {
  readonly gun: Gun;
  readonly repository: RepositoryName;
  readonly repositoryId: number;
  /** Whose keys the server signs with. */
  readonly org: string;
  readonly now: Date;
  /** Snapshot and timestamp. */
  readonly keys: HeldKeys;
}

interface Opening {
  readonly repository: RepositoryName;
  /** The delegations that may be signed; the base roles are read in any case. */
  readonly roles: readonly RoleName[];
  readonly now: Date;
}

/** @throws OciError NAME_UNKNOWN; DENIED for a repository whose name is too long for trust data */
export async function openServed(
  { authority, keys, failpoint }: ServedDeps,
  sql: Sql,
  { repository, roles, now }: Opening,
): Promise<ServedCollection> {
  const gun = gunOf(repository, authority);
  const wanted = new Set([ROOT, TARGETS, SNAPSHOT, TIMESTAMP, ...roles]);
  const [row, held, heldKeys] = await together(
    findRepository(sql, repository),
    holdCollection(sql, gun, { roles: wanted, contents: wanted }, now),
    keys.hold(sql, gun),
  );
  if (row === undefined) throw new OciError("NAME_UNKNOWN");
  await failpoint("serverTarget.afterLock");
  return { ...held, gun, repository, repositoryId: row.id, org: namespaceOf(repository), now, keys: heldKeys };
}

function gunOf(repository: RepositoryName, authority: string): Gun {
  try {
    return parseGun(gunOfRepository(repository, authority));
  } catch (cause) {
    if (!(cause instanceof VerificationError)) throw cause;
    throw new OciError("DENIED", {
      message: `the name ${repository} is too long for anything there to be signed`,
      cause,
    });
  }
}

/**
 * Stores what the server signed, judged as every upload is, with the snapshot and timestamp of it.
 * @throws UpdateError
 */
export async function publishServed(
  { readRoot, targetsReader, failpoint }: ServedDeps,
  sql: Sql,
  { gun, collection, stored, repositoryId, now, keys }: ServedCollection,
  parts: readonly Part[],
): Promise<void> {
  const judged = judgeUpdate({ gun, parts, stored, serverKeys: keys.serverKeys, now, readRoot });
  const files = completeUpdate(judged, keys.sign);
  const signatures = signatureEvents(judged, stored, (role, before) => targetsReader.read(role, before).targets);
  for (const [role, file] of judged.targets) targetsReader.keep(role, file);
  await failpoint("serverTarget.afterSign");
  await together(
    markUsed(sql, gun, keys, now),
    insertFiles(sql, collection, files, now),
    insertSignatures(sql, { repositoryId, at: now, signatures }),
  );
  await failpoint("serverTarget.afterInsert");
}
