import { LRUCache } from "lru-cache";
import type { TrustedCollection } from "../trust/tuf-evidence.ts";
import { type CurrentTrust, readCurrent, type ViewDeps } from "./trust-view.ts";
import { VerificationError } from "./tuf/error.ts";
import { spkiOf } from "./tuf/key.ts";
import { type Gun, parseGun, TIMESTAMP } from "./tuf/names.ts";
import { sha256Of } from "./tuf/signed-file.ts";
import type { TrustedMetadata } from "./tuf/trusted-metadata.ts";

/** The trust data of a GUN as a verdict needs it. */
export interface OpenCollection {
  /** Undefined where there is none, or none that counts. */
  readonly collection: TrustedCollection | undefined;
  /** Hex SHA-256 of the SPKI of those of its keys that this server holds. */
  readonly machines: ReadonlySet<string>;
  /** Why nothing counts, where there is trust data that clients refuse as a whole. */
  readonly problem: string | undefined;
}

export interface CollectionDeps extends ViewDeps {
  readonly findServerKeys: (spkis: readonly string[]) => Promise<ReadonlySet<string>>;
}

interface Remembered {
  readonly open: OpenCollection;
  readonly until: number;
  readonly bytes: number;
}

/** Of files of all GUNs that are remembered; read, they take several times as much. */
const maxBytes = 16 * 1024 * 1024;

const NOTHING: OpenCollection = { collection: undefined, machines: new Set(), problem: undefined };

/**
 * Reads and verifies the current trust data of a GUN as a client does. It is remembered by the hash of its timestamp, as
 * the views of it are: see trust-view.ts. A text that can be no GUN has none.
 */
export function openTrustCollections(deps: CollectionDeps): (gun: string) => Promise<OpenCollection> {
  const remembered = new LRUCache<string, Remembered>({ maxSize: maxBytes, sizeCalculation: ({ bytes }) => bytes + 1 });
  return async (text) => {
    const gun = tryGun(text);
    if (gun === undefined) return NOTHING;
    const [now, timestamp] = [deps.now(), await deps.files.findCurrent(gun, TIMESTAMP)];
    if (timestamp === undefined) return NOTHING;
    const known = remembered.get(`${gun} ${sha256Of(timestamp.content).toString("hex")}`);
    if (known !== undefined && now.getTime() < known.until) return known.open;
    const current = await tryRead(deps, gun, now);
    if (current === undefined) return NOTHING;
    if ("problem" in current) return { ...NOTHING, problem: current.problem };
    const { trusted, until, bytes } = current;
    const machines = await deps.findServerKeys(keysOf(trusted));
    const open = { collection: { gun, trusted }, machines, problem: undefined };
    remembered.set(`${gun} ${current.timestamp}`, { open, until, bytes });
    return open;
  };
}

async function tryRead(deps: ViewDeps, gun: Gun, now: Date): Promise<CurrentTrust | { problem: string } | undefined> {
  try {
    return await readCurrent(deps, gun, now);
  } catch (error) {
    if (error instanceof VerificationError) return { problem: error.message.slice(0, 500) };
    throw error;
  }
}

function tryGun(text: string): Gun | undefined {
  try {
    return parseGun(text);
  } catch (error) {
    if (error instanceof VerificationError) return undefined;
    throw error;
  }
}

/** Of every role that is defined in it. */
function keysOf({ root, roles }: TrustedMetadata): string[] {
  const all = [...Object.values(root.roles), ...[...roles.values()].map(({ keys }) => keys)];
  return [...new Set(all.flatMap(({ keys }) => [...keys.values()]).flatMap((key) => spkiOf(key) ?? []))];
}
