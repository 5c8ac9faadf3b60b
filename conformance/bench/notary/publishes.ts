import { UPDATE_TYPE } from "../../notary/collection.ts";
import { type Connection, openConnection } from "../loads/exchange.ts";
import { median, type Sample } from "../measure.ts";
import type { LiveGun, Trust } from "./seed.ts";

/** New versions as fast as the server takes them: each connection has a GUN of its own, as repositories have signers. */
export async function publishFor(trust: Trust, connections: number, seconds: number): Promise<Sample> {
  const signers = await Promise.all(
    trust.live.slice(0, connections).map(async (live) => ({
      live,
      connection: await openConnection(trust.server, await trust.authorize(live.gun)),
    })),
  );
  const millis: number[] = [];
  const started = performance.now();
  const until = started + seconds * 1000;
  try {
    await Promise.all(signers.map((signer) => publishUntil(signer, until, millis)));
  } finally {
    for (const { connection } of signers) connection.close();
  }
  const elapsed = (performance.now() - started) / 1000;
  const sorted = millis.sort((a, b) => a - b);
  const p99 = sorted[Math.floor(sorted.length * 0.99)] ?? 0;
  return { value: millis.length / elapsed, operations: millis.length, p50: median(sorted) ?? 0, p99 };
}

interface Signer {
  readonly live: LiveGun;
  readonly connection: Connection;
}

async function publishUntil({ live, connection }: Signer, until: number, millis: number[]): Promise<void> {
  while (performance.now() < until) {
    const body = live.nextBody();
    const sent = performance.now();
    await connection.post(`/v2/${live.gun}/_trust/tuf/`, UPDATE_TYPE, body);
    millis.push(performance.now() - sent);
  }
}
