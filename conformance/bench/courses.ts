/** Rounds of two courses: what the server's CPU spends on a request of the one and of the other. */
import type { Target } from "./access/loads.ts";
import { openAsking } from "./loads/asking.ts";
import { median } from "./measure.ts";
import { type Interval, intervalOf, percentOf, takeTurns } from "./paired.ts";
import { cpuNanos } from "./processes.ts";
import type { Server } from "./servers.ts";
import { figure } from "./table.ts";

/** One of two ways to use a server. */
export interface Course {
  readonly targets: readonly Target[];
  /** What makes the server take it, where it is not the requests. */
  readonly begin?: () => void;
}

export interface Round {
  readonly server: Server;
  readonly connections: number;
  /** Of each course. */
  readonly seconds: number;
}

/** What all rounds found. */
export interface Tally {
  /** How the one differs from the other in a pair of turns. */
  readonly compare: (one: number, other: number) => number;
  readonly rounds: number[];
  readonly one: number[];
  readonly other: number[];
}

export interface Comparison {
  /** CPU µs of the server, its database included, for one request: the middle of all turns. */
  readonly micros: readonly [number, number];
  readonly difference: Interval;
  /** What each round found: the middle of its pairs, so that one bad turn is none. */
  readonly rounds: readonly number[];
}

export const newTally = (compare: Tally["compare"]): Tally => ({ compare, rounds: [], one: [], other: [] });

/** How much of the one's cost the other does not have. */
export const share = (one: number, other: number): number => 1 - other / one;
/** How much more than the other the one costs. */
export const surcharge = (one: number, other: number): number => one / other - 1;

/** A turn lasts about a fifth of a second: what else the machine does meets neighbours alike. */
const turnsPerSecond = 5;
const turnRequests = { one: 400, many: 2_000 } as const;
const warmTurns = 15;

/** On the same connections, so that nothing but the course is another one. */
export async function timeRound(
  { server, connections, seconds }: Round,
  [one, other]: readonly [Course, Course],
  tally: Tally,
): Promise<void> {
  const asking = await openAsking(server, connections);
  const requests = connections === 1 ? turnRequests.one : turnRequests.many;
  const turnOf = (course: Course) => () =>
    timeTurn(server, requests, async () => {
      course.begin?.();
      await asking.ask(course.targets, requests);
    });
  const turns = [turnOf(one), turnOf(other)] as const;
  try {
    await takeTurns(warmTurns, turns);
    const pairs = await takeTurns(seconds * turnsPerSecond, turns);
    tally.rounds.push(median(pairs.map(([first, second]) => tally.compare(first, second))) ?? 0);
    tally.one.push(...pairs.map(([first]) => first));
    tally.other.push(...pairs.map(([, second]) => second));
  } finally {
    asking.close();
  }
}

/** CPU µs of one request. */
async function timeTurn({ pid }: Server, requests: number, turn: () => Promise<void>): Promise<number> {
  const before = cpuNanos(pid);
  await turn();
  return (cpuNanos(pid) - before) / 1e3 / requests;
}

export function toComparison({ rounds, one, other }: Tally): Comparison {
  return { micros: [median(one) ?? 0, median(other) ?? 0], difference: intervalOf(rounds), rounds };
}

export function comparisonText({ micros: [one, other], difference, rounds }: Comparison): string {
  const each = rounds.map((round) => (round * 100).toFixed(1)).join(" ");
  return `${figure(one)} µs CPU against ${figure(other)}: ${percentOf(difference)}; rounds ${each}`;
}
