import { spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync } from "node:fs";
import { projectRoot } from "../../harness/server.ts";
import { ADMIN } from "../servers.ts";

const DEADLINE_SECONDS = 60;

/** Milliseconds from `npm start` to the ready line, on a data folder that exists (nothing of it is in use). */
export async function timeSecondStarts(data: string, times: number): Promise<number[]> {
  const found: number[] = [];
  for (let i = 0; i < times; i++) found.push(await timeStart(data));
  return found;
}

async function timeStart(data: string): Promise<number> {
  const log = openSync(`${data}.log`, "a");
  const env = { ...process.env, GOLDSEAL_DATA: data, GOLDSEAL_LISTEN: "127.0.0.1:0" };
  const started = performance.now();
  const child = spawn("npm", ["start", "--silent"], {
    cwd: projectRoot,
    env: { ...env, GOLDSEAL_ADMIN_PASSWORD: ADMIN.password },
    stdio: ["ignore", "pipe", log],
    timeout: DEADLINE_SECONDS * 1000,
  });
  closeSync(log);
  const ended = once(child, "exit");
  let text = "";
  let took: number | undefined;
  for await (const piece of child.stdout ?? []) {
    text += piece;
    if (took !== undefined || !/^ready /m.test(text)) continue;
    took = performance.now() - started;
    child.kill("SIGTERM");
  }
  await ended;
  if (took === undefined) throw new Error(`npm start was not ready within ${DEADLINE_SECONDS} s:\n${text}`);
  return took;
}
