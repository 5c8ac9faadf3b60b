/** What one writer works with. Its lists hold only what was acknowledged and is its own to change. */
import type { Client } from "./client.ts";
import { type Change, type History, PRESENT } from "./history.ts";
import { type Blob, Random } from "./random.ts";
import { createTrustHand, type TrustHand } from "./trust-operations.ts";

export interface Pushed {
  readonly digest: string;
  readonly mediaType: string;
  readonly content: Buffer;
  /** Listed by an index, which keeps it from being deleted. */
  isChild: boolean;
}

/** What all writers push at once, into one repository. */
export interface Commons {
  readonly repository: string;
  readonly tags: readonly string[];
  /** Blobs pushed in this cycle by whoever comes first, and by those who come at the same time. */
  fresh: readonly Blob[];
  /** Acknowledged, never deleted. */
  readonly blobs: Blob[];
}

export interface Hand {
  readonly id: string;
  readonly repository: string;
  /** Where it mounts to. */
  readonly second: string;
  readonly client: Client;
  readonly history: History;
  readonly random: Random;
  readonly commons: Commons;
  /** Blobs of `repository` that no manifest names. */
  readonly loose: Blob[];
  /** Blobs of `second`. */
  readonly mounted: Blob[];
  /** Digests in `second` that a manifest may name: the server would refuse to delete them. */
  readonly pinned: Set<string>;
  readonly manifests: Pushed[];
  readonly trust: TrustHand;
  /** Of a blob. */
  readonly largestBytes: number;
  /** Its organization, team and member are made. */
  hasTeam: boolean;
  /** Its repository with an auto-sign rule is made. */
  hasRule: boolean;
  count: number;
}

export interface HandOptions {
  readonly seed: string;
  readonly index: number;
  readonly history: History;
  readonly commons: Commons;
  /** Default: larger than the server's buffers, smaller than what a bucket gets in parts. */
  readonly largestBytes?: number;
}

/** All but the client, which is another one after each restart. */
export function createHand({
  seed,
  index,
  history,
  commons,
  largestBytes = 6_000_000,
}: HandOptions): Omit<Hand, "client"> {
  const repository = `admin/crash-w${index}`;
  return {
    id: `${seed}-w${index}`,
    repository,
    second: `${repository}/mounted`,
    history,
    commons,
    random: new Random(`${seed}-w${index}`),
    loose: [],
    mounted: [],
    pinned: new Set(),
    manifests: [],
    trust: createTrustHand(repository),
    largestBytes,
    hasTeam: false,
    hasRule: false,
    count: 0,
  };
}

/** Old ones are forgotten by the writer, never by the history. */
const MAX_LISTED = 60;

export function keep<T>(list: T[], entry: T): void {
  list.push(entry);
  if (list.length > MAX_LISTED) list.shift();
}

export function take<T>(list: T[], random: Random): T | undefined {
  const [entry] = list.splice(random.between(0, list.length - 1), 1);
  return entry;
}

/** A name nobody used before. */
export const nextSeed = (hand: Hand): string => `${hand.id}-${++hand.count}`;

export function blobAppears({ history }: Hand, repository: string, { digest }: Blob): Change {
  return { register: history.register("blob", repository, digest), value: PRESENT };
}
