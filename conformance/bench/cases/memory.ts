import type { Lane } from "../lanes.ts";
import { REPOSITORY } from "../lanes.ts";
import { type PullLoad, pullFor } from "../loads/pull.ts";
import { pushFor } from "../loads/push.ts";
import { processesOf } from "../processes.ts";
import type { Seed } from "../seed.ts";

const STREAMS = 64;
/** design: no worker is larger than this with 64 streams. */
export const MAX_WORKER_MIB = 256;
const SAMPLE_MS = 100;

export interface MemoryFigures {
  /** Resident MiB of each serving process (Goldseal's workers), largest first; the highest seen of each. */
  readonly servers: readonly number[];
  /** All processes but PostgreSQL, resident. */
  readonly sum: number;
  /** PostgreSQL's processes, what they share counted once. */
  readonly postgres: number;
}

export interface MemoryResult {
  readonly lane: string;
  readonly when: "idle" | "64 pulls" | "64 pushes";
  readonly figures: MemoryFigures;
}

/** Memory of each server just started and seeded. */
export const memoryAtIdle = (lane: Lane): MemoryResult => ({ lane: lane.name, when: "idle", figures: look(lane) });

/** The highest memory seen while 64 streams pull, and while 64 push. */
export async function memoryUnderLoad(lane: Lane, seed: Seed, seconds: number): Promise<MemoryResult[]> {
  const { server } = lane;
  const authorization = await lane.authorization();
  const paths = seed.bigBlobs.map((digest) => `/v2/${REPOSITORY}/blobs/${digest}`);
  const pull: PullLoad = { server, authorization, paths, streams: STREAMS, seconds };
  const pulls = await highest(lane, () => pullFor(pull));
  const push = { server, authorization, repository: REPOSITORY, mebibytes: 16, streams: STREAMS, seconds };
  const pushes = await highest(lane, () => pushFor(push));
  return [
    { lane: lane.name, when: "64 pulls", figures: pulls },
    { lane: lane.name, when: "64 pushes", figures: pushes },
  ];
}

async function highest(lane: Lane, load: () => Promise<unknown>): Promise<MemoryFigures> {
  let most = look(lane);
  const timer = setInterval(() => {
    most = larger(most, look(lane));
  }, SAMPLE_MS);
  try {
    await load();
  } finally {
    clearInterval(timer);
  }
  return most;
}

function look({ server }: Lane): MemoryFigures {
  const processes = processesOf(server.pid, server.kind);
  const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);
  const ours = processes.filter(({ role }) => role !== "postgres");
  return {
    servers: ours
      .filter(({ role }) => role === "worker" || role === "peer")
      .map(({ rss }) => rss)
      .sort((a, b) => b - a),
    sum: sum(ours.map(({ rss }) => rss)),
    postgres: sum(processes.filter(({ role }) => role === "postgres").map(({ pss }) => pss)),
  };
}

function larger(a: MemoryFigures, b: MemoryFigures): MemoryFigures {
  return {
    servers: a.servers.map((value, index) => Math.max(value, b.servers[index] ?? 0)),
    sum: Math.max(a.sum, b.sum),
    postgres: Math.max(a.postgres, b.postgres),
  };
}
