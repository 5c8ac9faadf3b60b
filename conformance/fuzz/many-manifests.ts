/** D01: many manifests just above the limit at once are refused without being held. */
import { readFileSync } from "node:fs";
import { Connection, toBytes } from "./wire.ts";
import { MANIFEST, type World } from "./world.ts";

const parallel = 200;
const limitBytes = 4 * 1024 * 1024;
/**
 * Held, they would be 800 MiB, 400 in each of two workers. Those that say nothing of their length may be 100 MiB in each until
 * they are refused, and V8 lets buffers that only pass through wait for its collector: up to 135 MiB were seen.
 */
const maxGrowthMib = 256;
const sampleMs = 20;

/** @throws Error when an answer is not 413 MANIFEST_INVALID, or a process grew by more than {@link maxGrowthMib} */
export async function refuseManyManifests(world: World, processes: readonly number[]): Promise<void> {
  await burst(world, 8); // code and buffers that any first such request needs
  const before = processes.map(residentMib);
  const grown = processes.map(() => 0);
  const watch = setInterval(() => {
    processes.forEach((pid, index) => {
      grown[index] = Math.max(grown[index] ?? 0, residentMib(pid) - (before[index] ?? 0));
    });
  }, sampleMs);
  try {
    await burst(world, parallel);
  } finally {
    clearInterval(watch);
  }
  if (Math.max(...grown) > maxGrowthMib) throw new Error(`processes grew by ${grown.map(Math.round).join(", ")} MiB`);
}

/** One in four says nothing of its length before it is there. */
async function burst(world: World, count: number): Promise<void> {
  const port = Number(new URL(world.origin).port);
  const body = Buffer.alloc(limitBytes + 1, 0x20);
  const ask = async (index: number): Promise<string> => {
    const connection = new Connection(port);
    const request = {
      method: "PUT",
      target: "/v2/alice/app/manifests/many",
      headers: [
        ["Host", "x"],
        ["Authorization", world.admin],
        ["Content-Type", MANIFEST],
      ] as const,
      body,
      framing: index % 4 === 0 ? ("chunked" as const) : ("length" as const),
    };
    const outcome = await connection.exchange(toBytes(request), { method: "PUT", timeoutMs: 60_000 });
    connection.close();
    if ("failed" in outcome) return `${outcome.failed} ${outcome.detail}`;
    return `${outcome.status} ${/"code":"(\w+)"/.exec(outcome.body.toString())?.[1]}`;
  };
  const answers = new Set(await Promise.all(Array.from({ length: count }, (_, index) => ask(index))));
  if (String([...answers]) !== "413 MANIFEST_INVALID") throw new Error(`answers: ${[...answers].join("; ")}`);
}

function residentMib(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1] ?? 0) / 1024;
}
