/** An engine's API over its socket, as anybody could speak it: what the suites look with, and what they made the Swarm with. */
import { request } from "node:http";
import { setTimeout as delay } from "node:timers/promises";

export type Loose = { readonly [name: string]: unknown };

export interface EngineAnswer {
  readonly status: number;
  /** The JSON; text where it is none. */
  readonly body: unknown;
}

const TIMEOUT_MS = 30_000;

/** @param socket a path. @throws Error when nobody answers */
export function callEngine(socket: string, method: string, path: string, body?: object): Promise<EngineAnswer> {
  const { promise, resolve, reject } = Promise.withResolvers<EngineAnswer>();
  const headers = { host: "engine", ...(body === undefined ? {} : { "content-type": "application/json" }) };
  const signal = AbortSignal.timeout(TIMEOUT_MS);
  const sent = request({ socketPath: socket, method, path: `/v1.41${path}`, headers, signal, agent: false });
  sent.once("error", reject).once("response", (incoming) => {
    const pieces: Buffer[] = [];
    incoming.on("data", (piece: Buffer) => pieces.push(piece)).once("error", reject);
    incoming.once("end", () => {
      const text = Buffer.concat(pieces).toString();
      resolve({ status: incoming.statusCode ?? 0, body: findJson(text) ?? text });
    });
  });
  sent.end(body === undefined ? undefined : JSON.stringify(body));
  return promise;
}

/** @throws Error with what the engine said when the answer is no 2xx */
export async function askEngine(socket: string, method: string, path: string, body?: object): Promise<unknown> {
  const answer = await callEngine(socket, method, path, body);
  if (answer.status >= 200 && answer.status < 300) return answer.body;
  throw new Error(`${method} ${path} was answered ${answer.status} ${JSON.stringify(answer.body)}`);
}

export async function listOf(socket: string, path: string): Promise<readonly Loose[]> {
  return (await askEngine(socket, "GET", path)) as readonly Loose[];
}

/** Asks until it is so. @throws Error with what was there last, after `seconds` */
export async function until<T>(
  what: string,
  look: () => Promise<T | undefined | false> | T | undefined | false,
  seconds = 60,
): Promise<T> {
  const end = performance.now() + seconds * 1000;
  let last: unknown;
  for (;;) {
    try {
      const found = await look();
      if (found !== undefined && found !== false) return found;
      last = undefined;
    } catch (error) {
      last = error;
    }
    if (performance.now() > end) throw new Error(`not within ${seconds} s: ${what}`, { cause: last });
    await delay(50);
  }
}

function findJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
