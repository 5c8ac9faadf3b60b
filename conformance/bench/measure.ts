/** Runs each case on each of its lanes by turns (A B C A B C …) and keeps the medians. */
import type { Lane, LaneName } from "./lanes.ts";
import { cpuSeconds } from "./processes.ts";

export interface Sample {
  /** In the case's unit. */
  readonly value: number;
  /** How many operations (requests, MiB, images) the run did: the server's CPU time is divided by it. */
  readonly operations: number;
  /** Latencies in ms, where the case has them. */
  readonly p50?: number;
  readonly p99?: number;
}

export interface Case {
  readonly name: string;
  readonly unit: string;
  readonly better: "higher" | "lower";
  readonly lanes: readonly LaneName[];
  /** Ratio to the peer that design asks of the lane `token` (or `anonymous`, where that is what is compared). */
  readonly target?: { readonly lane: LaneName; readonly ratio: number };
  run(lane: Lane, seconds: number): Promise<Sample>;
}

export interface LaneResult {
  readonly lane: LaneName;
  readonly value: number;
  readonly values: readonly number[];
  /** Against the peer; above 1 is better than the peer, whatever the unit. The median over the rounds. */
  readonly ratio: number | undefined;
  readonly p50: number | undefined;
  readonly p99: number | undefined;
  /** CPU µs of the server (database included) for one operation. */
  readonly cpuMicros: number;
}

export interface CaseResult {
  readonly name: string;
  readonly unit: string;
  readonly lanes: readonly LaneResult[];
  readonly target: { readonly lane: LaneName; readonly ratio: number; readonly met: boolean } | undefined;
}

export interface Pace {
  readonly rounds: number;
  readonly seconds: number;
}

interface Run extends Sample {
  readonly cpuMicros: number;
}

export async function measure(test: Case, lanes: readonly Lane[], { rounds, seconds }: Pace): Promise<CaseResult> {
  const chosen = lanes.filter(({ name }) => test.lanes.includes(name));
  const runs = new Map<LaneName, Run[]>(chosen.map(({ name }) => [name, []]));
  for (const lane of chosen) await test.run(lane, seconds); // warm: just-in-time compilers, caches
  for (let round = 0; round < rounds; round++) {
    for (const lane of chosen) runs.get(lane.name)?.push(await timed(test, lane, seconds));
  }
  const peer = runs.get("peer") ?? [];
  const results = chosen.map(({ name }) => toResult(test, name, runs.get(name) ?? [], peer));
  const reached = results.find(({ lane }) => lane === test.target?.lane)?.ratio ?? 0;
  const target = test.target && { ...test.target, met: reached >= test.target.ratio };
  return { name: test.name, unit: test.unit, lanes: results, target };
}

async function timed(test: Case, lane: Lane, seconds: number): Promise<Run> {
  const { pid, beside = [] } = lane.server;
  const spent = () => [pid, ...beside].reduce((sum, root) => sum + cpuSeconds(root), 0);
  const before = spent();
  const sample = await test.run(lane, seconds);
  const used = spent() - before;
  return { ...sample, cpuMicros: (used * 1e6) / sample.operations };
}

function toResult({ better }: Case, lane: LaneName, runs: readonly Run[], peer: readonly Run[]): LaneResult {
  const ratios = runs.flatMap(({ value }, round) => {
    const other = peer[round]?.value;
    return other === undefined ? [] : [better === "higher" ? value / other : other / value];
  });
  const values = runs.map(({ value }) => value);
  return {
    lane,
    value: median(values) ?? 0,
    values,
    ratio: lane === "peer" ? undefined : median(ratios),
    p50: median(runs.flatMap(({ p50 }) => (p50 === undefined ? [] : [p50]))),
    p99: median(runs.flatMap(({ p99 }) => (p99 === undefined ? [] : [p99]))),
    cpuMicros: median(runs.map(({ cpuMicros }) => cpuMicros)) ?? 0,
  };
}

export function median(values: readonly number[]): number | undefined {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  if (sorted.length % 2 === 1) return sorted[middle];
  return sorted.length === 0 ? undefined : ((sorted[middle - 1] ?? 0) + (sorted[middle] ?? 0)) / 2;
}

/** `share` between 0 and 1; 0 of no values. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}
