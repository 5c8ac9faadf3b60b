import { describeError } from "../http/log.ts";
import { OciError } from "../oci/error.ts";
import { repositoryOfGun } from "../oci/gun.ts";
import type { Sql } from "../storage/database.ts";
import type { NotaryDeps } from "./deps.ts";
import { type FoundingKeys, holdsRoot } from "./founding-keys-store.ts";
import { SIGNER_PURPOSES, serverRoleOf } from "./org-signers-store.ts";
import { openServed, publishServed, type ServedCollection } from "./served-collection.ts";
import { listEnding, listServedEnding } from "./served-due.ts";
import { findStanding, type ServerRoleFile } from "./server-standing.ts";
import { composeRoot, type RoleSigner, TargetsDraft } from "./tuf/compose.ts";
import type { Key } from "./tuf/key.ts";
import { parseTargets, type Root } from "./tuf/metadata.ts";
import { type Gun, RELEASES, ROOT, type ServerRole, TARGETS } from "./tuf/names.ts";
import { DEFAULT_POLICY } from "./tuf/policy.ts";
import { inRootCertificate } from "./tuf/root-certificate.ts";
import { bytesOf } from "./tuf/update.ts";
import type { Part } from "./tuf/upload.ts";

const batch = 100;
/** As for snapshots: long before anybody is warned of it. */
const leftShare = 0.4;

/**
 * Signs anew, in good time, what the server signs alone: its own delegations everywhere, and in GUNs that it founded the root,
 * the targets and `targets/releases` too. Returns in how many GUNs.
 */
export async function renewServedDue(deps: NotaryDeps): Promise<number> {
  let renewed = 0;
  for await (const gun of dueGuns(deps)) {
    const isRenewed = await renewServed(deps, gun).catch((error: unknown) => {
      deps.log.warn("trust.not-renewed", { gun, ...describeError(error) });
      return false;
    });
    if (isRenewed) renewed++;
  }
  return renewed;
}

/** One in which several things are due may come twice; there is nothing left to do then. */
async function* dueGuns({ database, foundingKeys, now }: NotaryDeps): AsyncGenerator<Gun> {
  const before = endsOf(now());
  for (let after = ""; ; ) {
    const founded = await foundingKeys.page(after, batch);
    yield* await listEnding(database, founded, before);
    const last = founded.at(-1);
    if (last === undefined) break;
    after = last;
  }
  for (let after = "0"; ; ) {
    const served = await listServedEnding(database, before.targets, { after, limit: batch });
    yield* served.map(({ gun }) => gun);
    const last = served.at(-1);
    if (last === undefined) return;
    after = last.id;
  }
}

/** What ends before is due. */
function endsOf(now: Date): { readonly root: Date; readonly targets: Date } {
  const { root, targets } = DEFAULT_POLICY.maxLifeSeconds;
  const left = (seconds: number) => new Date(now.getTime() + seconds * 1000 * leftShare);
  return { root: left(root), targets: left(targets) };
}

/** False where nothing is due, or the GUN has no repository any more. */
function renewServed(deps: NotaryDeps, gun: Gun): Promise<boolean> {
  const repository = repositoryOfGun(gun, deps.authority);
  if (repository === undefined) return Promise.resolve(false);
  return deps.database.transaction(async (sql) => {
    const roles = [...SIGNER_PURPOSES.map(serverRoleOf), RELEASES];
    const served = await openServed(deps, sql, { repository, roles, now: deps.now() }).catch((error: unknown) => {
      if (error instanceof OciError && error.code === "NAME_UNKNOWN") return undefined;
      throw error;
    });
    const stored = served?.stored.get(ROOT);
    if (served === undefined || stored === undefined) return false;
    const root = deps.readRoot(stored);
    const own = await deps.foundingKeys.find(sql, gun);
    const held = own !== undefined && holdsRoot(own, root) ? own : undefined;
    const parts = [
      ...(held === undefined ? [] : renewFounded(served, root, held)),
      ...(await renewDelegations(deps, sql, served, held !== undefined)),
    ];
    if (parts.length > 0) await publishServed(deps, sql, served, parts);
    return parts.length > 0;
  });
}

function renewFounded({ gun, stored, now }: ServedCollection, root: Root, own: FoundingKeys): Part[] {
  const ends = endsOf(now);
  const targets = stored.get(TARGETS);
  const parts: Part[] = [];
  if (root.expiresAt < ends.root) parts.push({ role: ROOT, file: renewRoot(gun, root, own, now) });
  if (targets !== undefined && targets.expiresAt < ends.targets) {
    const draft = new TargetsDraft(TARGETS, parseTargets(bytesOf(targets), TARGETS), targets.version);
    const file = draft.finish(now, [{ keyId: own.targets.key.id, sign: own.targets.sign }]);
    parts.push({ role: TARGETS, file });
  }
  return parts;
}

/** The same keys; that of the root in a new certificate, since the old one runs out too. Both forms sign. */
function renewRoot(gun: Gun, root: Root, own: FoundingKeys, now: Date): Root {
  const rootKey = inRootCertificate(own.root, gun, now);
  const signers: RoleSigner[] = [rootKey.id, ...root.roles.root.keyIds].map((keyId) => ({
    keyId,
    sign: own.root.sign,
  }));
  const [snapshot, timestamp] = [keyOf(root, "snapshot"), keyOf(root, "timestamp")];
  const keys = { root: rootKey, targets: own.targets.key, snapshot, timestamp };
  return composeRoot(gun, keys, { now, signers, version: root.version + 1 });
}

function keyOf({ roles, keys }: Root, role: ServerRole): Key {
  const [id] = roles[role].keyIds;
  const key = id && keys.get(id);
  if (!key) throw new Error(`a root of ours without a ${role} key`);
  return key;
}

async function renewDelegations(
  deps: NotaryDeps,
  sql: Sql,
  served: ServedCollection,
  isFounded: boolean,
): Promise<Part[]> {
  const ends = endsOf(served.now);
  const parts = new Map<string, Part>();
  for (const purpose of SIGNER_PURPOSES) {
    const signer = await deps.signers.open(sql, served.org, purpose, served.now);
    const standing = findStanding({ served, signer, readRoot: deps.readRoot, readTargets: deps.targetsReader.read });
    // With a root or targets that are over, the next round finds the new ones.
    const roles = standing.kind === "signs" ? standing.roles : [];
    const isDue = ({ name, current }: ServerRoleFile): boolean =>
      current !== undefined && current.expiresAt < ends.targets && (isFounded || name !== RELEASES);
    for (const { name, keyId, current, version } of roles.filter(isDue)) {
      const file = new TargetsDraft(name, current, version).finish(served.now, [{ keyId, sign: signer.sign }]);
      parts.set(name, { role: name, file });
    }
  }
  return [...parts.values()];
}
