import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { getTool, mustRun } from "../../harness/tools.ts";
import type { Server } from "../servers.ts";
import type { Rate } from "./rate.ts";

export interface RequestLoad {
  readonly server: Server;
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly path: string;
  readonly connections: number;
  readonly seconds: number;
}

/** Prints the figures as one line of JSON; latencies in µs. */
const SCRIPT = `
done = function(summary, latency)
  io.write(string.format('{"requests":%d,"us":%d,"p50":%d,"p99":%d,"bad":%d}\\n', summary.requests, summary.duration,
    latency:percentile(50), latency:percentile(99),
    summary.errors.status + summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout))
end
`;

/** GET requests as fast as the server answers, from wrk: one thread of C, which leaves the machine to the server. */
export async function wrk({ server, headers, path, connections, seconds }: RequestLoad): Promise<Rate> {
  const folder = mkdtempSync(join(tmpdir(), "goldseal-wrk-"));
  const script = join(folder, "report.lua");
  writeFileSync(script, SCRIPT);
  const given = Object.entries(headers).flatMap(([name, value]) => (value ? ["-H", `${name}: ${value}`] : []));
  const url = new URL(path, server.url).href;
  try {
    // A crowded machine makes some wait for seconds; that is a figure, not a failure.
    const args = ["-t1", "--timeout", "30s", `-c${connections}`, `-d${seconds}s`, "-s", script, ...given, url];
    const output = await mustRun(getTool("wrk"), args, { timeoutSeconds: seconds + 30 });
    const { requests, us, p50, p99, bad } = JSON.parse(output.trim().split("\n").at(-1) ?? "");
    if (bad > 0) throw new Error(`${bad} of ${requests} requests for ${path} failed (${server.kind})`);
    return { perSecond: requests / (us / 1e6), requests, p50, p99 };
  } finally {
    rmSync(folder, { recursive: true });
  }
}
