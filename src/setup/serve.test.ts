import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { access, chmod, mkdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import {
  copyFolder,
  eventually,
  get,
  isServing,
  newFolder,
  postmasterOf,
  processesOf,
  ROOT,
  removeFolder,
  type ServerProcess,
  startServer,
} from "./testing/server-process.ts";

describe("goldseal start", () => {
  let used: string;
  let data: string;
  beforeAll(async () => {
    used = await newFolder();
    await startOnce(startServer({ data: used }));
  });
  beforeEach(async () => {
    data = await copyFolder(used);
  });
  afterEach(() => removeFolder(data));
  afterAll(() => removeFolder(used));

  it("lets nobody else read what is secret", async () => {
    await using server = startServer({ data });
    await server.ready();

    const modes = await Promise.all(
      ["ca.key", "server.key", "master.key", "postgres.password", "postgres", "run"].map(async (name) => {
        return [name, ((await stat(join(data, name))).mode & 0o077).toString(8)];
      }),
    );

    expect(modes.filter(([, mode]) => mode !== "0")).toEqual([]);
  });

  it("is refused on a data folder in use, naming the process, and leaves the first alone", async () => {
    await using first = startServer({ data });
    const origin = await first.ready();

    const second = startServer({ data });

    expect(await second.ended).toBe(1);
    expect(second.errors()).toContain(`is in use by process ${first.pid}`);
    expect(second.output()).toBe("");
    expect(await isServing(data, origin)).toBe(true);
  });

  it("ends with 0 on SIGTERM and leaves nothing running", async () => {
    const server = startServer({ data });
    await server.ready();
    const workers = await processesOf({ parent: server.pid });
    const begun = Date.now();

    server.kill("SIGTERM");

    expect(await server.ended).toBe(0);
    expect(Date.now() - begun).toBeLessThan(10_000);
    expect(workers.length).toBe(3); // two workers and PostgreSQL
    expect(await processesOf({ data })).toEqual([]);
    expect(workers.filter(isAlive)).toEqual([]);
    await expect(access(join(data, "postgres", "postmaster.pid"))).rejects.toMatchObject({ code: "ENOENT" });
  });

  it("starts PostgreSQL again when it is killed, and goes on serving in the same process", async () => {
    await using server = startServer({ data });
    const origin = await server.ready();
    const postmaster = await postmasterOf(data);

    process.kill(postmaster, "SIGKILL");

    await eventually(() => server.errors().includes("postgres.restarted"), "PostgreSQL is back");
    await eventually(() => isServing(data, origin), "requests are served again");
    expect(server.errors()).toContain("postgres.died");
    expect(await postmasterOf(data)).not.toBe(postmaster);
    expect(isAlive(server.pid)).toBe(true);
  });

  it("answers /metrics with the figures of all workers, whichever is asked", async () => {
    await using server = startServer({ data, env: { GOLDSEAL_WORKERS: "3" } });
    const origin = await server.ready();
    for (let n = 0; n < 9; n++) expect((await get(`${origin}/healthz`, join(data, "ca.crt"))).status).toBe(200);

    const texts = await Promise.all(Array.from({ length: 4 }, () => get(`${origin}/metrics`, join(data, "ca.crt"))));

    const counted = texts.map(({ body }) => /^goldseal_http_requests_total\{.*healthz.*\} (\d+)$/m.exec(body)?.[1]);
    expect(counted).toEqual(["9", "9", "9", "9"]);
  });

  it("goes on when nobody reads what it logs any more", async () => {
    const server = startServer({ data });
    const origin = await server.ready();
    server.stopReading();
    for (let n = 0; n < 5; n++) expect(await isServing(data, origin)).toBe(true);
    process.kill(await postmasterOf(data), "SIGKILL"); // makes the primary log too

    await eventually(() => isServing(data, origin), "it serves");
    server.kill("SIGTERM");
    expect(await server.ended).toBe(0);
  });

  it("replaces a worker that dies", async () => {
    await using server = startServer({ data, env: { GOLDSEAL_WORKERS: "1" } });
    const origin = await server.ready();
    const worker = await findWorker(server.pid);

    process.kill(worker, "SIGKILL");

    await eventually(() => server.errors().includes("worker.replaced"), "a new worker");
    await eventually(() => isServing(data, origin), "it serves");
    expect(await findWorker(server.pid)).not.toBe(worker);
  });

  it("takes over the PostgreSQL that a killed primary left, whose workers end with it", async () => {
    const first = startServer({ data });
    await first.ready();
    const postmaster = await postmasterOf(data);
    const workers = (await processesOf({ parent: first.pid })).filter((pid) => pid !== postmaster);
    first.kill("SIGKILL");
    expect(await first.ended).toBe("SIGKILL");
    await eventually(() => workers.every((pid) => !isAlive(pid)), "the workers end");
    expect(isAlive(postmaster)).toBe(true);

    await using second = startServer({ data });
    const origin = await second.ready();

    expect(await isServing(data, origin)).toBe(true);
    expect(second.errors()).toContain("postgres.leftover.stopped");
    expect(isAlive(postmaster)).toBe(false);
    expect(second.output()).not.toContain("password ");
  });

  it("recovers when primary and PostgreSQL are both killed", async () => {
    const first = startServer({ data });
    await first.ready();
    const postmaster = await postmasterOf(data);
    first.kill("SIGKILL");
    process.kill(postmaster, "SIGKILL");
    await first.ended;

    await using second = startServer({ data });

    expect(await isServing(data, await second.ready())).toBe(true);
    expect(await readFile(join(data, "postgres.log"), "utf8")).toContain("automatic recovery in progress");
  });

  it("makes no new master key beside an existing database", async () => {
    await removeFolder(join(data, "master.key"));

    const server = startServer({ data });

    expect(await server.ended).toBe(1);
    expect(server.errors()).toContain("master.key is missing: put it back from your backup");
  });
});

describe.skipIf(process.getuid?.() !== 0)("goldseal start as root, where nobody cannot reach the checkout", () => {
  it("keeps PostgreSQL's programs and cluster in /var/lib/goldseal, and refuses to lose them", async () => {
    const home = await newFolder();
    await chmod(home, 0o700);
    const root = join(home, "goldseal");
    const data = join(root, "data");
    await copyCheckout(root);
    await mkdir(data);
    const outside = join("/var/lib/goldseal", createHash("sha256").update(data).digest("hex"));
    try {
      await startOnce(startServer({ data, root }));
      const again = await startOnce(startServer({ data, root }));
      expect(again).not.toContain("password ");
      expect(await readFile(join(outside, "postgres", "PG_VERSION"), "utf8")).toMatch(/^\d+\n$/);
      await expect(access(join(data, "postgres"))).rejects.toMatchObject({ code: "ENOENT" });

      await removeFolder(join(outside, "postgres"));
      const lost = startServer({ data, root });

      expect(await lost.ended).toBe(1);
      expect(lost.errors()).toContain(`was in ${join(outside, "postgres")} and is gone`);
    } finally {
      await removeFolder(outside);
      await removeFolder(home);
    }
  });
});

async function startOnce(server: ServerProcess): Promise<string> {
  await server.ready();
  server.kill("SIGTERM");
  expect(await server.ended).toBe(0);
  return server.output();
}

async function copyCheckout(root: string): Promise<void> {
  await mkdir(root);
  const parts = ["bin", "src", "package.json", "package-lock.json", "node_modules"].map((name) => join(ROOT, name));
  // Hard links where the filesystem is the same: it is only read.
  try {
    execFileSync("cp", ["-al", ...parts, root], { stdio: "ignore" });
  } catch {
    execFileSync("cp", ["-a", ...parts, root]);
  }
}

async function findWorker(primary: number): Promise<number> {
  for (const pid of await processesOf({ parent: primary })) {
    if ((await readFile(`/proc/${pid}/cmdline`, "utf8")).includes("main.ts\0worker")) return pid;
  }
  throw new Error("no worker");
}

/** A zombie, whom nobody has waited for, is dead. */
function isAlive(pid: number): boolean {
  try {
    return !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
  } catch {
    return false;
  }
}
