import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { getTool, mustRun } from "../../harness/tools.ts";
import type { Sample } from "../measure.ts";
import type { Server } from "../servers.ts";

export interface Target {
  readonly path: string;
  /** Empty: none is sent. */
  readonly authorization: string;
}

export interface TargetsLoad {
  readonly server: Server;
  /** Asked for one after the other, all the way round. */
  readonly targets: readonly Target[];
  readonly connections: number;
  readonly seconds: number;
}

/** wrk, with another user and another repository in every request. */
export async function askAround({ server, targets, connections, seconds }: TargetsLoad): Promise<Sample> {
  const folder = mkdtempSync(join(tmpdir(), "goldseal-wrk-"));
  const script = join(folder, "targets.lua");
  writeFileSync(script, scriptOf(targets));
  try {
    const args = ["-t1", "--timeout", "30s", `-c${connections}`, `-d${seconds}s`, "-s", script, server.url.href];
    const output = await mustRun(getTool("wrk"), args, { timeoutSeconds: seconds + 30 });
    const { requests, us, p50, p99, bad } = JSON.parse(output.trim().split("\n").at(-1) ?? "");
    if (bad > 0) throw new Error(`${bad} of ${requests} requests failed`);
    return { value: requests / (us / 1e6), operations: requests, p50: p50 / 1000, p99: p99 / 1000 };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function scriptOf(targets: readonly Target[]): string {
  const entries = targets.map(
    ({ path, authorization }) => `{ ${JSON.stringify(path)}, ${JSON.stringify(authorization)} }`,
  );
  return `
local targets = { ${entries.join(", ")} }
local requests, at = {}, 0
function init()
  for i, target in ipairs(targets) do
    local headers = { ["Host"] = wrk.headers["Host"] }
    if target[2] ~= "" then headers["Authorization"] = target[2] end
    requests[i] = wrk.format("GET", target[1], headers)
  end
end
function request()
  at = at % #requests + 1
  return requests[at]
end
function done(summary, latency)
  io.write(string.format('{"requests":%d,"us":%d,"p50":%d,"p99":%d,"bad":%d}\\n', summary.requests, summary.duration,
    latency:percentile(50), latency:percentile(99),
    summary.errors.status + summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout))
end
`;
}

/** One GET from another address of the loopback network, on a connection of its own; its status. */
export async function askFrom(source: string, server: Server, path: string, authorization: string): Promise<number> {
  const outgoing = request(new URL(path, server.url), {
    agent: false,
    localAddress: source,
    headers: { authorization },
  });
  outgoing.end();
  const [message] = await once(outgoing, "response");
  message.resume();
  await once(message, "end");
  return message.statusCode;
}
