import { toCanonical } from "./canonical-json.ts";
import { VerificationError } from "./error.ts";
import { toFileMeta } from "./file-hashes.ts";
import type { FileMeta } from "./file-meta.ts";
import type { Root } from "./metadata.ts";
import { type KeyId, type RoleName, type ServerRole, SNAPSHOT, TIMESTAMP } from "./names.ts";
import { toFileBytes } from "./signed-file.ts";
import { type JudgedUpdate, type MetadataFile, type Production, toMetadataFile } from "./update.ts";
import { verifyRole } from "./verify.ts";

/**
 * Signs with a key that the server holds; ECDSA as raw r‖s. Called once for each signature. A key that is gone is a
 * plain Error.
 */
export type Sign = (
  role: ServerRole,
  keyId: KeyId,
  message: Uint8Array,
) => { readonly method: "ecdsa" | "eddsa"; readonly sig: Uint8Array };

export interface ProductionPlan extends Production {
  readonly root: Root;
  readonly meta: ReadonlyMap<string, FileMeta>;
  readonly now: Date;
  readonly lifeSeconds: number;
}

/** All files of the update in the order in which they are stored: the timestamp, which makes them current, is last. */
export function completeUpdate(update: JudgedUpdate, sign: Sign): readonly MetadataFile[] {
  const { root, now, policy, uploaded } = update;
  const snapshot =
    update.snapshot &&
    produce("snapshot", { ...update.snapshot, root, now, lifeSeconds: policy.snapshotLifeSeconds }, sign);
  const current = snapshot ?? uploaded.find(({ role }) => role === SNAPSHOT);
  if (current === undefined) throw new Error("an update without a snapshot");
  const timestamp = produceTimestamp(
    { ...update.timestamp, root, now, lifeSeconds: policy.timestampLifeSeconds },
    current,
    sign,
  );
  return snapshot ? [...uploaded, snapshot, timestamp] : [...uploaded, timestamp];
}

export function produceTimestamp(
  plan: Omit<ProductionPlan, "meta">,
  snapshot: { readonly bytes: Uint8Array },
  sign: Sign,
): MetadataFile {
  return produce("timestamp", { ...plan, meta: new Map([[SNAPSHOT as string, toFileMeta(snapshot.bytes)]]) }, sign);
}

const TYPE: Readonly<Record<ServerRole, string>> = { snapshot: "Snapshot", timestamp: "Timestamp" };
const ROLE: Readonly<Record<ServerRole, RoleName>> = { snapshot: SNAPSHOT, timestamp: TIMESTAMP };

/** What is produced is verified as a reader would: a wrong key of ours must not become everybody's broken repository. */
export function produce(role: ServerRole, plan: ProductionPlan, sign: Sign): MetadataFile {
  const { meta, version, signers } = plan;
  const expiresAt = expiryOf(plan);
  const message = toCanonical({
    _type: TYPE[role],
    expires: toGoTime(expiresAt),
    meta: Object.fromEntries([...meta].map(([name, entry]) => [name, toJson(entry)])),
    version,
  });
  const signatures = signers.map((keyId) => ({ keyId, ...sign(role, keyId, message) }));
  proveKeys(role, plan, { message, signatures });
  return toMetadataFile(ROLE[role], { version, bytes: toFileBytes(message, signatures), expiresAt });
}

/** Keys that made what this very root takes, by role: the next thing they make need not be tried. */
const proven = new WeakMap<Root, Set<string>>();

function proveKeys(role: ServerRole, { root, signers }: ProductionPlan, made: Parameters<typeof verifyRole>[0]): void {
  const [known, name] = [proven.get(root) ?? new Set<string>(), [role, ...signers].join(" ")];
  if (known.has(name)) return;
  try {
    verifyRole(made, role, root.roles[role]);
  } catch (cause) {
    throw cause instanceof VerificationError ? new Error(`the server's ${role} does not verify`, { cause }) : cause;
  }
  proven.set(root, known.add(name));
}

/** Never before what was promised already: a clock set back would let old files look newer than new ones (T26). */
function expiryOf({ now, lifeSeconds, previousExpiresAt }: ProductionPlan): Date {
  const wanted = now.getTime() + lifeSeconds * 1000;
  return new Date(Math.max(wanted, (previousExpiresAt?.getTime() ?? 0) + 1));
}

function toJson({ length, hashes }: FileMeta): { hashes: Record<string, string>; length: number } {
  return { hashes: Object.fromEntries([...hashes].map(([name, hash]) => [name, hash.toString("base64")])), length };
}

/** As Go writes it: a fraction without its trailing zeros. */
export function toGoTime(date: Date): string {
  return date.toISOString().replace(/\.?0*Z$/, "Z");
}
