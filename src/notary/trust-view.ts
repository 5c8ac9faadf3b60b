import { isTag } from "../oci/reference.ts";
import type { NotaryDeps } from "./deps.ts";
import type { LoadedFile } from "./metadata-store.ts";
import { renew } from "./renewal.ts";
import { type TagSignature, viewSignedTags } from "./tag-signatures.ts";
import { VerificationError } from "./tuf/error.ts";
import { type Gun, ROOT, SNAPSHOT, TIMESTAMP } from "./tuf/names.ts";
import { sha256Of } from "./tuf/signed-file.ts";
import { readTrusted } from "./tuf/trusted-metadata.ts";

/** What a reader of the trust data would find now. */
export interface TrustView {
  readonly tags: readonly TagSignature[];
  /** Why nothing counts, where there is trust data that clients refuse as a whole. */
  readonly problem: string | undefined;
}

/** Reads and verifies all current files of the GUN as a client does, from one moment's state of the database. */
export async function viewTrust(deps: NotaryDeps, gun: Gun): Promise<TrustView> {
  const now = deps.now();
  try {
    const current = await loadFresh(deps, gun, now);
    const byName = new Map([...current].flatMap(([role, { bytes }]) => namesOf(role, bytes)));
    const trusted = await readTrusted({ gun, now, known: new Map(), fetch: async (name) => byName.get(name) });
    // Targets may have any name; one that no tag can have says nothing of images.
    const tags = trusted === undefined ? [] : viewSignedTags(trusted).filter(({ tag }) => isTag(tag));
    return { tags, problem: undefined };
  } catch (error) {
    if (!(error instanceof VerificationError)) throw error;
    return { tags: [], problem: error.message.slice(0, 500) };
  }
}

/** As whoever reads the timestamp does: it is made anew first where it is over. @throws VerificationError */
async function loadFresh(deps: NotaryDeps, gun: Gun, now: Date): Promise<ReadonlyMap<string, LoadedFile>> {
  const current = await deps.files.loadAll(gun);
  const isOver = [TIMESTAMP, SNAPSHOT].some((role) => (current.get(role)?.expiresAt ?? now) < now);
  if (!isOver) return current;
  await renew(deps, { gun, expiringBefore: { snapshot: now, timestamp: now } });
  return deps.files.loadAll(gun);
}

/** As they are asked for: current ones by their role, what a snapshot or a timestamp speaks of by its hash. */
function namesOf(role: string, bytes: Uint8Array): [string, Uint8Array][] {
  if (role === ROOT || role === TIMESTAMP) return [[role, bytes]];
  const byHash: [string, Uint8Array] = [`${role}.${sha256Of(bytes).toString("hex")}`, bytes];
  return role === SNAPSHOT ? [[role, bytes], byHash] : [byHash];
}
