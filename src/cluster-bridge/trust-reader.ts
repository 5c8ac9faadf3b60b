import type { Log } from "../http/log.ts";
import { VerificationError } from "../notary/tuf/error.ts";
import { parseGun, ROOT, type RoleName, TIMESTAMP } from "../notary/tuf/names.ts";
import type { TrustSource } from "../notary/tuf/root-walk.ts";
import { parseSignedFile } from "../notary/tuf/signed-file.ts";
import { filesOf, getTargets, readTrusted, type TrustedMetadata } from "../notary/tuf/trusted-metadata.ts";
import { gunOfRepository } from "../oci/gun.ts";
import type { RepositoryName } from "../oci/repository-name.ts";
import type { TrustedCollection } from "../trust/tuf-evidence.ts";
import type { Pin } from "./bridge-config.ts";
import { BridgeError } from "./errors.ts";
import { OneAtATime } from "./one-at-a-time.ts";
import { getPin, pinIdOf, requirePinned } from "./pins.ts";
import type { RegistryClient } from "./registry-client.ts";
import type { Remembered, TrustStore } from "./trust-store.ts";

export interface TrustReaderDeps {
  readonly authority: string;
  readonly pins: readonly Pin[];
  readonly registry: Pick<RegistryClient, "find">;
  readonly store: TrustStore;
  readonly log: Pick<Log, "warn">;
}

/** A collection as it is now. */
export interface ReadCollection extends TrustedCollection {
  /**
   * Roles that do not count, and that is not certainly their owners' will: they ran out, or the file is one that was not
   * seen before and does not hold. Whoever holds the registry's own keys can put such a file there.
   */
  readonly doubts: readonly RoleName[];
}

/** However many files there are, and however slowly they come. */
const MAX_WALK_MS = 120_000;
/** T02: one more, and the collection is refused. */
const MAX_DELEGATIONS = 32;
/** T05: as far as one push may go; what goes further came while nobody looked, or ran ahead so that nothing honest can follow. */
const MAX_STEP = 10;

/**
 * Reads trust collections as nobody's guest: from the pinned root keys down, over the wire, against its own memory. Names
 * are made of the configuration and the image that was asked for, never of an answer.
 * @see design.md rule 6; hardening T01 to T23, the bridge's column
 */
export class TrustReader {
  readonly #deps: TrustReaderDeps;
  readonly #walks = new OneAtATime();
  readonly #jumps = new Map<string, number>();

  constructor(deps: TrustReaderDeps) {
    this.#deps = deps;
  }

  /** How often a version ran further ahead than one push may go, by GUN, since the start. */
  get jumps(): ReadonlyMap<string, number> {
    return this.#jumps;
  }

  /**
   * The repository's collection as it is now; undefined where the registry has none and had none.
   * @throws VerificationError, BridgeError
   */
  read(repository: RepositoryName, now: Date): Promise<ReadCollection | undefined> {
    // One walk after the other: the memory of a slow one must not take the place of a later one's.
    return this.#walks.run(repository, () => this.#walk(repository, now));
  }

  async #walk(repository: RepositoryName, now: Date): Promise<ReadCollection | undefined> {
    const { authority, pins, store } = this.#deps;
    const gun = parseGun(gunOfRepository(repository, authority));
    const pin = getPin(pins, repository);
    const before = recall(pin, await store.find(gun));
    const trustFirst: TrustSource["trustFirst"] = (root) => requirePinned(root, pin);
    const source = { gun, now, known: before, trustFirst, fetch: this.#fetcher(gun) };
    const trusted = await readTrusted({ ...source, maxDelegations: MAX_DELEGATIONS });
    if (trusted === undefined) {
      if (before.size === 0) return undefined;
      throw new VerificationError("VERSION", `${gun} had trust data, and the registry shows none any more`);
    }
    const files = filesOf(trusted);
    // A role that does not count today is not forgotten: what it said counts against what it will say.
    const kept = new Map([...before, ...files]);
    if (!isSame(before.get(TIMESTAMP), files.get(TIMESTAMP)) || !isSame(before.get(ROOT), files.get(ROOT))) {
      await store.put(gun, { pin: pinIdOf(pin), files: kept });
      this.#alarm(gun, findJumps(before, files));
    }
    // Without it nothing below counts; here it says why.
    getTargets(trusted);
    return { gun, trusted, doubts: findDoubts(trusted, before) };
  }

  /** No refusal: a bridge that slept sees the same, and all of it is signed. */
  #alarm(gun: string, jumps: readonly string[]): void {
    if (jumps.length === 0) return;
    this.#jumps.set(gun, (this.#jumps.get(gun) ?? 0) + 1);
    this.#deps.log.warn("trust.jump", { gun, jumps });
  }

  #fetcher(gun: string): TrustSource["fetch"] {
    const endsMs = performance.now() + MAX_WALK_MS;
    return async (name, maxBytes) => {
      if (performance.now() > endsMs) throw new BridgeError("REGISTRY", `reading ${gun} takes too long`);
      const path = `/v2/${gun}/_trust/tuf/${name}.json`;
      const answer = await this.#deps.registry.find({ path, maxBytes, scope: `repository:${gun}:pull` });
      return answer?.body;
    };
  }
}

/** An edited pin is an operator who begins anew. */
function recall(pin: Pin, remembered: Remembered | undefined): ReadonlyMap<RoleName, Uint8Array> {
  return remembered?.pin === pinIdOf(pin) ? remembered.files : new Map();
}

/** A file that held before and does not now lost its keys to those who may take them. */
function findDoubts({ roles }: TrustedMetadata, before: ReadonlyMap<RoleName, Uint8Array>): RoleName[] {
  const doubtful = [...roles.values()].filter(
    ({ name, problem, file }) =>
      problem !== undefined && (problem.code === "EXPIRED" || !isSame(before.get(name), file?.bytes)),
  );
  return doubtful.map(({ name }) => name);
}

/** T05, fast-forward: a sentence for each role that is further ahead of what was seen of it than one push may go. */
function findJumps(before: ReadonlyMap<RoleName, Uint8Array>, files: ReadonlyMap<RoleName, Uint8Array>): string[] {
  return [...files].flatMap(([role, bytes]) => {
    const seen = before.get(role);
    if (seen === undefined || isSame(seen, bytes)) return [];
    const [from, to] = [parseSignedFile(seen).version, parseSignedFile(bytes).version];
    return to > from + MAX_STEP ? [`${role} from version ${from} to ${to}`] : [];
  });
}

function isSame(a: Uint8Array | undefined, b: Uint8Array | undefined): boolean {
  return a !== undefined && b !== undefined && Buffer.from(a).equals(b);
}
