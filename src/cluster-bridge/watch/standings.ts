import type { RepositoryName } from "../../oci/repository-name.ts";
import type { SignedPolicy } from "../../trust/policy.ts";
import { type DecisionDeps, type Deploy, type Weighed, weighSignedDigest } from "../signed-digest.ts";
import type { ReadCollection } from "../trust-reader.ts";
import { mapLimited } from "./map-limited.ts";

/** An image where it runs. */
export interface Placed {
  /** `host:port/org/app@sha256:…` */
  readonly pinned: string;
  readonly environment: string;
  /** The statement that stood in for signatures (DSSE, base64). */
  readonly breakGlass?: string | undefined;
}

export interface Standing {
  /** `lost`: those whose word counts say so. */
  readonly kind: "trusted" | "lost" | "unknown";
  /** A sentence; empty where it is trusted by its signatures, and a tag is it. */
  readonly reason: string;
  /** How many rounds said so in a row. */
  readonly rounds: number;
}

interface Known extends Standing {
  /** When it was last certain, by a clock that nobody sets; undefined: never. */
  readonly certainMs: number | undefined;
  readonly certainAt: Date | undefined;
}

export interface StandingsDeps extends Time {
  readonly decisions: DecisionDeps;
  /** Why it may run without the signatures; undefined: no statement says so now. */
  readonly excuse: (placed: Placed) => Promise<string | undefined>;
}

interface Time {
  readonly now: () => Date;
  /** Milliseconds since some moment, however the clock is set meanwhile. */
  readonly elapsedMs: () => number;
}

/** So long an answer holds when no other comes: a registry that is started again is no news. */
const HOLDS_MS = 20_000;
/** Walks at once. */
const WIDTH = 4;
const NOT_YET: Standing = { kind: "unknown", reason: "it was not judged yet", rounds: 0 };

const nameOf = ({ pinned, environment, breakGlass = "" }: Placed): string => `${environment} ${pinned} ${breakGlass}`;

/**
 * Whether what runs is signed now, by the same walk and rule as before a deployment. In one round each collection is walked
 * once and the policy read once, however many images and containers rest on them.
 * @see docs/decisions/0051
 */
export class Standings {
  readonly #deps: StandingsDeps;
  #known = new Map<string, Known>();

  constructor(deps: StandingsDeps) {
    this.#deps = deps;
  }

  of(placed: Placed): Standing {
    return this.#known.get(nameOf(placed)) ?? NOT_YET;
  }

  /** Of these, and of no others any more. @param sinceMs see {@link PolicyKeeper.fetch} */
  async judge(all: readonly Placed[], sinceMs?: number): Promise<void> {
    const wanted = [...new Map(all.map((placed) => [nameOf(placed), placed])).values()];
    const decisions = forOneRound(this.#deps.decisions, sinceMs);
    const weighed = await mapLimited(wanted, WIDTH, async (placed) => {
      const found = await weighSignedDigest(decisions, placed.pinned, placed.environment, { ranBefore: true });
      const { decision } = found;
      const excuse = decision.kind === "deploy" ? noteOn(decision) : await this.#deps.excuse(placed);
      const name = nameOf(placed);
      return [name, toKnown({ ...found, excuse }, this.#known.get(name), this.#deps)] as const;
    });
    this.#known = new Map(weighed);
  }
}

type Excused = Weighed & { readonly excuse: string | undefined };

function toKnown({ decision, isCertain, excuse }: Excused, before: Known | undefined, { now, elapsedMs }: Time): Known {
  const count = (kind: Standing["kind"]) => (before?.kind === kind ? before.rounds : 0) + 1;
  const certain = { certainMs: elapsedMs(), certainAt: now() };
  if (decision.kind === "deploy" || excuse !== undefined)
    return { kind: "trusted", reason: excuse ?? "", rounds: count("trusted"), ...certain };
  const { reason } = decision;
  if (isCertain) return { kind: "lost", reason, rounds: count("lost"), ...certain };
  const { certainMs, certainAt } = before ?? {};
  // The rounds begin anew: nothing is done because of what was so once.
  if (before !== undefined && certainMs !== undefined && elapsedMs() - certainMs < HOLDS_MS)
    return { ...before, rounds: 0 };
  const since = certainAt === undefined ? "" : `; last known at ${certainAt.toISOString()}`;
  return { kind: "unknown", reason: `${reason}${since}`, rounds: count("unknown"), certainMs, certainAt };
}

const noteOn = ({ movedTag }: Deploy): string =>
  movedTag === undefined ? "" : `no tag is this image any more: ${movedTag} is another one now`;

/** The time, the policy and each collection are read once. */
function forOneRound(decisions: DecisionDeps, sinceMs: number | undefined): DecisionDeps {
  const { authority, clock, policy, trust, registry, indexes, tags } = decisions;
  let now: Date | undefined;
  let document: Promise<SignedPolicy> | undefined;
  let hasSeen = false;
  const collections = new Map<RepositoryName, Promise<ReadCollection | undefined>>();
  return {
    ...{ authority, registry, indexes, tags },
    clock: {
      read: () => {
        now ??= clock.read();
        return now;
      },
      saw: async (date) => {
        if (hasSeen) return;
        hasSeen = true;
        await clock.saw(date);
      },
    },
    policy: {
      fetch: () => {
        document ??= policy.fetch(sinceMs);
        return document;
      },
    },
    trust: {
      read: (repository, date) => {
        const read = collections.get(repository) ?? trust.read(repository, date);
        collections.set(repository, read);
        return read;
      },
    },
  };
}
