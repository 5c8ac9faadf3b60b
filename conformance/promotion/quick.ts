/** How long one promotion takes, and what it writes. */
import { join } from "node:path";
import { Client } from "../crash/client.ts";
import { startServer } from "../harness/server.ts";
import { countFiles } from "./checks.ts";
import { pushImage } from "./images.ts";
import { rest } from "./rest.ts";

const LAYERS = 40;
const ROUNDS = 15;
const MAX_MS = 200;

/** Two platforms of 40 layers each, into a repository that does not have it. Returns a line of figures. */
export async function promoteLarge(): Promise<string> {
  const server = await startServer({ workers: 1, env: { GOLDSEAL_TLS: "off", GOLDSEAL_LOG_LEVEL: "error" } });
  const client = new Client([server]);
  try {
    for (const org of ["dev", "ops"]) await rest(client, [201], "PUT", `orgs/${org}`, {});
    await pushImage(client, "dev/large", "v1", LAYERS);
    const before = countFiles(join(server.data, "blobs"));
    const times: number[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      const started = performance.now();
      await rest(client, [201], "POST", "promotions", {
        source: "dev/large:v1",
        destination: `ops/large${round}:gold`,
      });
      times.push(performance.now() - started);
    }
    const written = countFiles(join(server.data, "blobs")) - before;
    const sorted = times.toSorted((a, b) => a - b);
    const [fastest = 0, median = 0] = [sorted[0], sorted[Math.floor(ROUNDS / 2)]];
    const line = `2 platforms of ${LAYERS} layers: fastest ${fastest.toFixed(0)} ms, median ${median.toFixed(0)} ms, ${written} files written to the blob store`;
    if (written !== 0) throw new Error(line);
    if (median >= MAX_MS) throw new Error(`${line}; it should be below ${MAX_MS} ms`);
    return line;
  } finally {
    client.close();
    await server.stop();
  }
}
