/** One layer of any size streamed in and out over HTTP, with an eye on the memory of the server's processes. */
import { createCipheriv, createHash, randomBytes } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { Readable } from "node:stream";
import type { World } from "./world.ts";

const CHUNK_BYTES = 1024 * 1024;
const SAMPLE_MS = 100;
/** What a worker may hold at most, however large the layer (design: 256 MiB with 64 streams). */
const MAX_RSS_MIB = 256;

/** `5GiB`, `512MiB` → bytes. */
export function parseSize(text: string): number {
  const [, number, unit] = /^(\d+)(MiB|GiB)$/.exec(text) ?? [];
  if (!number) throw new Error(`--layer ${text}: give a size such as 512MiB or 5GiB`);
  return Number(number) * (unit === "GiB" ? 1024 ** 3 : 1024 ** 2);
}

export async function checkLargeLayer(world: World, size: string): Promise<void> {
  const bytes = parseSize(size);
  const memory = watchMemory(world.server.pid);
  await world.report.check(`HTTP: a random layer of ${size}, pushed and pulled as a stream`, async () => {
    const before = performance.now();
    const digest = await push(world, bytes);
    const between = performance.now();
    await pull(world, digest, bytes);
    const rate = (ms: number) => `${(bytes / 1e6 / (ms / 1000)).toFixed(0)} MB/s`;
    console.log(
      `        push ${rate(between - before)}, pull ${rate(performance.now() - between)}, TLS and hashing in`,
    );
  });
  const peak = memory.stop();
  await world.report.check(`HTTP: memory stays flat under a layer of ${size}`, () => {
    console.log(`        highest RSS of a server process: ${peak.toFixed(0)} MiB (limit ${MAX_RSS_MIB})`);
    if (!(peak > 0 && peak < MAX_RSS_MIB)) throw new Error(`${peak.toFixed(0)} MiB`);
  });
}

/** As docker does it: POST, one PATCH with everything, PUT without a body. */
async function push(world: World, bytes: number): Promise<string> {
  const hash = createHash("sha256");
  const started = await world.direct.ask("/v2/ann/large/blobs/uploads/", { method: "POST" });
  const location = started.headers.location;
  if (started.status !== 202 || !location) throw new Error(`POST ${started.status} ${started.body}`);
  const sent = await world.direct.ask(location, {
    method: "PATCH",
    headers: { "content-type": "application/octet-stream" },
    body: Readable.from(
      randomStream(bytes, (piece) => hash.update(piece)),
      { objectMode: false },
    ),
  });
  if (sent.status !== 202) throw new Error(`PATCH ${sent.status} ${sent.body}`);
  const digest = `sha256:${hash.digest("hex")}`;
  const end = new URL(sent.headers.location ?? location, world.server.url);
  end.searchParams.set("digest", digest);
  const put = await world.direct.ask(end.href, { method: "PUT" });
  if (put.status !== 201) throw new Error(`PUT ${put.status} ${put.body}`);
  return digest;
}

async function pull(world: World, digest: string, bytes: number): Promise<void> {
  const answer = await world.direct.open(`/v2/ann/large/blobs/${digest}`);
  const hash = createHash("sha256");
  let length = 0;
  for await (const piece of answer) {
    hash.update(piece);
    length += piece.length;
  }
  const got = `sha256:${hash.digest("hex")}`;
  if (answer.statusCode !== 200 || length !== bytes || got !== digest) {
    throw new Error(`GET ${answer.statusCode}: ${length} of ${bytes} bytes, ${got} for ${digest}`);
  }
}

/** A cipher's key stream: random to every compressor, and faster than a random device. */
function* randomStream(bytes: number, onPiece: (piece: Buffer) => void): Generator<Buffer> {
  const cipher = createCipheriv("aes-128-ctr", randomBytes(16), randomBytes(16));
  const zeros = Buffer.alloc(CHUNK_BYTES);
  for (let left = bytes; left > 0; left -= CHUNK_BYTES) {
    const piece = cipher.update(zeros.subarray(0, Math.min(left, CHUNK_BYTES)));
    onPiece(piece);
    yield piece;
  }
}

/** Samples the resident memory of the server's node processes; Postgres shares its buffers and is not ours to judge. */
function watchMemory(pid: number): { stop(): number } {
  let peak = 0;
  const sample = () => {
    for (const process of nodeProcessesBelow(pid)) peak = Math.max(peak, rssMib(process));
  };
  const timer = setInterval(sample, SAMPLE_MS);
  sample();
  return {
    stop: () => {
      clearInterval(timer);
      return peak;
    },
  };
}

function nodeProcessesBelow(root: number): number[] {
  const parents = new Map<number, { parent: number; name: string }>();
  for (const entry of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    const [, name, parent] = /^\d+ \((.*)\) \S (\d+)/s.exec(readProc(entry, "stat")) ?? [];
    if (name) parents.set(Number(entry), { parent: Number(parent), name });
  }
  const below = (pid: number): boolean => {
    const parent = parents.get(pid)?.parent ?? 0;
    return pid === root || (parent > 1 && below(parent));
  };
  return [...parents.keys()].filter((pid) => below(pid) && !/postgres/.test(parents.get(pid)?.name ?? ""));
}

const rssMib = (pid: number): number => Number(/VmRSS:\s+(\d+)/.exec(readProc(`${pid}`, "status"))?.[1] ?? 0) / 1024;

/** Empty for a process that has just ended. */
function readProc(pid: string, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, "utf8");
  } catch {
    return "";
  }
}
