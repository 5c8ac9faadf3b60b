import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import type { Pace } from "../measure.ts";
import { type Server, startGoldseal } from "../servers.ts";
import { conclude } from "../targets.ts";
import { type Collection, type Latencies, pushAtIdle, pushWhileCollecting } from "./marking.ts";
import { type PageTimes, timePages } from "./pages.ts";
import { dropTags, FULL, QUICK, seedScale } from "./seed.ts";

const maxPageMs = 10;
/** p99 of pushes while the collector marks, against pushes with nothing beside them. */
const maxRatio = 2;

export interface ScaleOptions {
  readonly pace: Pace;
  /** `pages`, `gc`; none is both. */
  readonly names: readonly string[];
  /** A tenth of the installation. */
  readonly quick: boolean;
  readonly jsonFile: string | undefined;
}

interface Measured {
  readonly title: string;
  /** Just before and just after: others may use the machine. */
  readonly idle: readonly [Latencies, Latencies];
  readonly collection: Collection;
  readonly ratio: number;
}

/** Pages, and pushes beside the collector, in an installation of a million blobs and tags. */
export async function scaleBench(folder: string, { pace, names, quick, jsonFile }: ScaleOptions): Promise<number> {
  const server = await startGoldseal(join(folder, "scale"), { tls: false, env: { GOLDSEAL_GC_EVERY_MINUTES: "off" } });
  const wanted = (part: string): boolean => names.length === 0 || names.includes(part);
  try {
    const started = performance.now();
    const sizes = quick ? QUICK : FULL;
    const seeded = await seedScale(server, sizes);
    console.log(`seeded ${JSON.stringify(sizes)} in ${seconds((performance.now() - started) / 1000)}\n`);
    const pages = wanted("pages") ? await timePages(server, seeded) : [];
    for (const page of pages) console.log(pageLine(page));
    const collections = wanted("gc") ? await measureCollections(server, pace) : [];
    const targets = [
      ...pages.map((page) => ({ name: `${pageName(page)} < ${maxPageMs} ms`, met: page.p50 < maxPageMs })),
      ...collections.map(({ title, ratio }) => ({ name: `${title}: p99 < ${maxRatio} × idle`, met: ratio < maxRatio })),
    ];
    for (const { name, met } of targets) if (!met) console.log(`MISSED  ${name}`);
    if (jsonFile) writeFileSync(jsonFile, `${JSON.stringify({ sizes, pace, pages, collections }, null, 2)}\n`);
    return conclude(targets);
  } finally {
    await server.stop();
  }
}

async function measureCollections(server: Server, { rounds, seconds: length }: Pace): Promise<Measured[]> {
  const measured: Measured[] = [];
  await pushAtIdle(server, length); // warm: just-in-time compilers, caches
  const idle = () => pushAtIdle(server, rounds * length);
  const collect = async (title: string): Promise<void> => {
    const before = await idle();
    const collection = await pushWhileCollecting(server);
    const around = [before, await idle()] as const;
    const ratio = (2 * collection.duringMarking.p99) / (around[0].p99 + around[1].p99);
    const result = { title, idle: around, collection, ratio };
    console.log(collectionLines(result));
    measured.push(result);
  };
  await collect("a tenth is garbage, seen for the first time");
  await collect("once more, with nothing new");
  await dropTags(server);
  await wait(1_000);
  await collect("all is garbage, seen for the first time");
  return measured;
}

const pageName = ({ list, viewer, n, page }: PageTimes): string => `${list}, ${viewer}, n=${n}, ${page} page`;

const pageLine = (page: PageTimes): string =>
  `${pageName(page).padEnd(44)}p50 ${page.p50.toFixed(2)} ms, p99 ${page.p99.toFixed(2)} ms`;

const seconds = (value: number): string => `${value.toFixed(1)} s`;

const latencyLine = (title: string, { pushes, p50, p99 }: Latencies): string =>
  `  ${title.padEnd(22)} ${String(pushes).padStart(6)} pushes, p50 ${p50.toFixed(1)} ms, p99 ${p99.toFixed(1)} ms`;

function collectionLines({ title, idle, collection, ratio }: Measured): string {
  const { marked, deleted, stages, memory } = collection;
  const each = Object.entries(stages).map(([stage, took]) => `${stage} ${seconds(took)}`);
  return [
    `\n${title}: ${marked} marked, ${deleted} deleted; ${each.join(", ")}`,
    latencyLine("idle before", idle[0]),
    latencyLine("while it marks", collection.duringMarking),
    latencyLine("all the collection", collection.duringAll),
    latencyLine("idle after", idle[1]),
    `  p99 while it marks is ${ratio.toFixed(2)} × idle; largest worker ${memory.before.toFixed(0)} MiB before, at most ${memory.highest.toFixed(0)} MiB`,
  ].join("\n");
}
