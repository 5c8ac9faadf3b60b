// bin/goldseal.mjs, run as a person runs it: by the machine's own Node.
import { spawn, spawnSync } from "node:child_process";
import { cp, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  eventually,
  newFolder,
  processesOf,
  ROOT,
  removeFolder,
  type ServerProcess,
  wrap,
} from "./testing/server-process.ts";

const SCRIPT = join(ROOT, "bin", "goldseal.mjs");

describe("bin/goldseal.mjs", () => {
  let data: string;
  beforeEach(async () => {
    data = await newFolder();
  });
  afterEach(() => removeFolder(data));

  function start(): ServerProcess {
    const env = { PATH: process.env.PATH, GOLDSEAL_DATA: data, GOLDSEAL_LISTEN: "127.0.0.1:0", GOLDSEAL_WORKERS: "1" };
    return wrap(spawn("node", [SCRIPT, "start"], { cwd: data, env, stdio: ["ignore", "pipe", "pipe"] }));
  }

  it.each(["SIGTERM", "SIGINT"] as const)("passes %s on and ends with the server's status", async (signal) => {
    const script = start();
    await script.ready();

    script.kill(signal);

    expect(await script.ended).toBe(0);
    expect(await processesOf({ data })).toEqual([]);
  });

  it("does not leave the server behind when it is killed", async () => {
    const script = start();
    await script.ready();

    script.kill("SIGKILL");

    await eventually(async () => (await processesOf({ data })).length === 0, "server and PostgreSQL end");
  });

  it.each([
    [["--help"], 0],
    [["start", "--help"], 0],
    [["doctor", "--help"], 0],
    [[], 2],
    [["frobnicate"], 2],
    [["start", "--frobnicate"], 2],
    [["start", "--config", "/nowhere.yaml"], 2],
    [["run"], 2],
  ])("answers %j with status %i and one text", (args, status) => {
    const answer = spawnSync("node", [SCRIPT, ...args], { cwd: data, encoding: "utf8" });

    expect(answer.status).toBe(status);
    expect(`${answer.stdout}${answer.stderr}`).toMatch(/usage: |unknown command|Unknown option|nowhere\.yaml/);
  });

  it("runs a TypeScript file by the pinned Node, with its arguments and status", async () => {
    const file = join(data, "script.ts");
    await writeFile(file, "const n: number = Number(process.argv[2]); console.log(process.version); process.exit(n);");

    const answer = spawnSync("node", [SCRIPT, "run", file, "7"], { encoding: "utf8" });

    expect([answer.status, answer.stdout]).toEqual([7, `${process.version}\n`]);
  });

  it("says what to do when npm ci fails, on stderr only", async () => {
    const root = join(data, "checkout");
    await mkdir(join(root, "bin"), { recursive: true });
    await cp(SCRIPT, join(root, "bin", "goldseal.mjs"));
    await writeFile(join(root, "package.json"), "{}"); // no lockfile: npm ci refuses

    const env = { PATH: process.env.PATH, HOME: data };
    const answer = spawnSync("node", [join(root, "bin", "goldseal.mjs"), "start"], {
      cwd: root,
      env,
      encoding: "utf8",
    });

    expect(answer.status).toBe(1);
    expect(answer.stdout).toBe("");
    expect(answer.stderr).toMatch(/installing what is missing[\s\S]*npm ci failed/);
  });
});
