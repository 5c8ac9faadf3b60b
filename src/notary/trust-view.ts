import { LRUCache } from "lru-cache";
import { isTag } from "../oci/reference.ts";
import type { NotaryDeps } from "./deps.ts";
import type { LoadedFile } from "./metadata-store.ts";
import { type RenewalDeps, renew } from "./renewal.ts";
import { type TagSignature, viewSignedTags } from "./tag-signatures.ts";
import { VerificationError } from "./tuf/error.ts";
import { type Gun, ROOT, SNAPSHOT, TIMESTAMP } from "./tuf/names.ts";
import { sha256Of } from "./tuf/signed-file.ts";
import { readTrusted, type TrustedMetadata } from "./tuf/trusted-metadata.ts";

/** What a reader of the trust data would find now. */
export interface TrustView {
  readonly tags: readonly TagSignature[];
  /** Why nothing counts, where there is trust data that clients refuse as a whole. */
  readonly problem: string | undefined;
}

interface Remembered {
  readonly view: TrustView;
  /** When the first of the files ends. */
  readonly until: number;
}

/** Tags of all repositories that are remembered. */
const maxTags = 100_000;

/**
 * Reads and verifies all current files of the GUN as a client does, from one moment's state of the database. A view is
 * remembered by the hash of the timestamp, which stands for all the files below it, for as long as all of them are good: a
 * repository of many tags costs seconds to verify, and its list is read page by page.
 */
export function openTrustViews(deps: ViewDeps): (gun: Gun) => Promise<TrustView> {
  const views = new LRUCache<string, Remembered>({
    maxSize: maxTags,
    sizeCalculation: ({ view }) => view.tags.length + 1,
  });
  return async (gun) => {
    const [now, timestamp] = [deps.now(), await deps.files.findCurrent(gun, TIMESTAMP)];
    if (timestamp === undefined) return NOTHING;
    const name = `${gun} ${sha256Of(timestamp.content).toString("hex")}`;
    const known = views.get(name);
    if (known !== undefined && now.getTime() < known.until) return known.view;
    const fresh = await viewTrust(deps, gun, now);
    // Made of the files below another timestamp where somebody published meanwhile: then it is remembered by that one.
    if (fresh.timestamp !== undefined) views.set(`${gun} ${fresh.timestamp}`, fresh);
    return fresh.view;
  };
}

export type ViewDeps = RenewalDeps & Pick<NotaryDeps, "files">;

const NOTHING: TrustView = { tags: [], problem: undefined };

interface Fresh extends Remembered {
  /** Hash of the timestamp; undefined where there is nothing that could be remembered. */
  readonly timestamp: string | undefined;
}

async function viewTrust(deps: ViewDeps, gun: Gun, now: Date): Promise<Fresh> {
  try {
    const current = await readCurrent(deps, gun, now);
    if (current === undefined) return { view: NOTHING, until: 0, timestamp: undefined };
    const { trusted, until, timestamp } = current;
    // Targets may have any name; one that no tag can have says nothing of images.
    const tags = viewSignedTags(trusted).filter(({ tag }) => isTag(tag));
    return { view: { tags, problem: undefined }, until, timestamp };
  } catch (error) {
    if (!(error instanceof VerificationError)) throw error;
    return { view: { tags: [], problem: error.message.slice(0, 500) }, until: 0, timestamp: undefined };
  }
}

/** The trust data of a GUN, verified from one moment's state of the database. */
export interface CurrentTrust {
  readonly trusted: TrustedMetadata;
  /** When the first of the files that are good now ends. */
  readonly until: number;
  /** Hash of the timestamp, which stands for all the files below it. */
  readonly timestamp: string;
  /** Of all files. */
  readonly bytes: number;
}

/** Undefined where there is none. @throws VerificationError */
export async function readCurrent(deps: ViewDeps, gun: Gun, now: Date): Promise<CurrentTrust | undefined> {
  const current = await loadFresh(deps, gun, now);
  const byName = new Map([...current].flatMap(([role, { bytes }]) => namesOf(role, bytes)));
  const trusted = await readTrusted({ gun, now, known: new Map(), fetch: async (name) => byName.get(name) });
  if (trusted === undefined) return undefined;
  const files = [...current.values()];
  // What is over already stays so.
  const ends = files.map(({ expiresAt }) => expiresAt.getTime()).filter((end) => end >= now.getTime());
  return {
    ...{ trusted, until: Math.min(...ends), timestamp: sha256Of(trusted.timestamp.bytes).toString("hex") },
    bytes: files.reduce((sum, { bytes }) => sum + bytes.length, 0),
  };
}

/** As whoever reads the timestamp does: it is made anew first where it is over. @throws VerificationError */
async function loadFresh(deps: ViewDeps, gun: Gun, now: Date): Promise<ReadonlyMap<string, LoadedFile>> {
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
