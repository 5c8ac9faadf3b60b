import { VerificationError } from "./error.ts";
import { parseRoot, type Root } from "./metadata.ts";
import { type Gun, ROOT, type RoleName } from "./names.ts";
import { verifyRootSuccession } from "./root-succession.ts";
import { parseSignedFile } from "./signed-file.ts";
import { verifyNotExpired } from "./verify.ts";

/** Where a reader gets its files; how they travel is its own matter. */
export interface TrustSource {
  readonly gun: Gun;
  readonly now: Date;
  /** What this reader trusted when it looked last, by role: its memory, against which nothing goes back. */
  readonly known: ReadonlyMap<RoleName, Uint8Array>;
  /**
   * `timestamp`, `root`, `3.root`, `targets/a.<sha256>`: at most `maxBytes` of it, or undefined when the server has none.
   */
  fetch(name: string, maxBytes: number): Promise<Uint8Array | undefined>;
  /**
   * Judges the first root, which nothing vouches for but itself: throws to refuse it. It is the lowest that the server has,
   * so that what was pinned once stays good over every rotation.
   */
  readonly trustFirst?: (root: Root) => void;
  /** Delegations that are visited, however deep they stand; one more refuses the collection. Default 1,023. */
  readonly maxDelegations?: number;
}

/** Hardening C05. */
const MAX_ROOT_BYTES = 1024 * 1024;
/** Roots between the one we know and the newest: each costs a request (hardening T06, endless data). */
const MAX_SUCCESSIONS = 1024;

/**
 * The root in force, reached from the one that was trusted before over every root between them; undefined where the server
 * has none. The first root ever seen is taken as it is, or as `trustFirst` judges.
 * @throws VerificationError VERSION, MISMATCH for a root that went back, or that is another than the one we know
 * @see TUF 1.0 section 5.3; hardening T03, T08
 */
export async function walkRoot(source: TrustSource): Promise<Root | undefined> {
  const { gun, now, known } = source;
  const newest = await source.fetch(ROOT, MAX_ROOT_BYTES);
  if (newest === undefined) return undefined;
  const remembered = known.get(ROOT);
  const root = remembered ? await succeed(source, parseRoot(remembered), newest) : await first(source, newest);
  // Also the root that we knew already: its certificate may have run out since.
  verifyRootSuccession(root, { gun, current: undefined, now });
  verifyNotExpired(root, ROOT, now);
  return root;
}

async function first(source: TrustSource, newest: Uint8Array): Promise<Root> {
  const { gun, now, fetch, trustFirst } = source;
  if (trustFirst === undefined) return verifyRootSuccession(parseSignedFile(newest), { gun, current: undefined, now });
  // Clients begin at 1; upstream takes a 2 as well.
  const lowest = (await fetch("1.root", MAX_ROOT_BYTES)) ?? (await fetch("2.root", MAX_ROOT_BYTES)) ?? newest;
  const root = verifyRootSuccession(parseSignedFile(lowest), { gun, current: undefined, now: undefined });
  trustFirst(root);
  return succeed(source, root, newest);
}

/** TUF 5.3.4 to 5.3.7: one after the other, so that nobody is left out who had to agree. */
async function succeed(source: TrustSource, known: Root, newest: Uint8Array): Promise<Root> {
  const { version } = parseSignedFile(newest);
  if (version < known.version) throw anotherRoot(`root ${known.version} was in force here, the server has ${version}`);
  if (version > known.version + MAX_SUCCESSIONS) {
    throw new VerificationError("LIMIT", `more than ${MAX_SUCCESSIONS} roots came after the one that is known here`);
  }
  let root = known;
  while (root.version < version) root = await nextRoot(source, root);
  if (!Buffer.from(root.bytes).equals(newest)) throw anotherRoot(`the server's root ${version} is another one`);
  return root;
}

async function nextRoot({ gun, fetch }: TrustSource, current: Root): Promise<Root> {
  const version = current.version + 1;
  const bytes = await fetch(`${version}.root`, MAX_ROOT_BYTES);
  if (bytes === undefined) throw new VerificationError("MISMATCH", `root ${version} is not there`);
  const file = parseSignedFile(bytes);
  if (file.version !== version) {
    throw new VerificationError("VERSION", `in the place of root ${version} stands root ${file.version}`);
  }
  return verifyRootSuccession(file, { gun, current, now: undefined });
}

function anotherRoot(how: string): VerificationError {
  return new VerificationError("VERSION", `this is not the root that is trusted here: ${how}`);
}
