import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { access, chmod, mkdir, readdir, readFile, stat } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import {
  copyFolder,
  eventually,
  get,
  newFolder,
  postmasterOf,
  processesOf,
  ROOT,
  removeFolder,
  type ServerProcess,
  startServer,
} from "./testing/server-process.ts";

describe("goldseal start in an empty folder", () => {
  let data: string;
  beforeEach(async () => {
    data = await newFolder();
  });
  afterEach(() => removeFolder(data));

  it("makes everything on the first start, and on the second uses it again", async () => {
    let password: string | undefined;
    {
      await using first = startServer({ data });
      const origin = await first.ready();
      expect(await isServing(data, origin)).toBe(true);
      password = /^password {4}(\S{8,})/m.exec(first.output())?.[1];
      expect(first.output()).toContain(`docker login ${new URL(origin).host} --username admin`);
      expect(first.output()).toContain(`/etc/docker/certs.d/${new URL(origin).host}/ca.crt`);
    }
    const before = await readMade(data);

    await using second = startServer({ data });
    const origin = await second.ready();

    expect(await isServing(data, origin)).toBe(true);
    expect(password).toBeDefined();
    expect(second.output()).not.toContain("password ");
    expect(await readMade(data)).toEqual(before);
  });

  it("starts anew after a first start that was killed while it made the database", async () => {
    const first = startServer({ data });
    await eventually(async () => (await readdir(data)).some((name) => /draft-.{6}$/.test(name)), "initdb begins");
    first.kill("SIGKILL");
    await first.ended;

    await using second = startServer({ data });
    const origin = await second.ready();

    expect(await isServing(data, origin)).toBe(true);
    expect(second.output()).toContain("password ");
    expect((await readdir(data)).filter((name) => name.includes("draft"))).toEqual([]);
  });

  it("stops cleanly when told to while it makes the database", async () => {
    const server = startServer({ data });
    await eventually(async () => (await readdir(data)).some((name) => /draft-.{6}$/.test(name)), "initdb begins");

    server.kill("SIGTERM");

    expect(await server.ended).toBe(0);
    expect(server.output()).toBe("");
    await eventually(async () => (await processesOf({ data })).length === 0, "nothing is left");
  });

  it("fails with 1 and one message when the port is taken, and leaves nothing running", async () => {
    const other = createServer().listen(0, "127.0.0.1");
    await once(other, "listening");
    const address = other.address();
    const port = typeof address === "object" ? address?.port : undefined;

    const server = startServer({ data, env: { GOLDSEAL_LISTEN: `127.0.0.1:${port}` } });

    expect(await server.ended).toBe(1);
    expect(server.errors()).toContain(`127.0.0.1:${port} is taken`);
    expect(await processesOf({ data })).toEqual([]);
    other.close();
  });

  it("fails with 2 and all mistakes when the settings are wrong, before it makes anything", async () => {
    const server = startServer({ data, env: { GOLDSEAL_WORKERS: "none", GOLDSEAL_TSL: "off" } });

    expect(await server.ended).toBe(2);
    expect(server.errors()).toContain("GOLDSEAL_WORKERS: must be a whole number from 1 to 256");
    expect(server.errors()).toContain("did you mean GOLDSEAL_TLS?");
    expect(await readdir(data)).toEqual([]);
  });

  it("works with a data path longer than a socket's may be", async () => {
    const deep = join(data, "d".repeat(120));
    await mkdir(deep);
    await chmod(data, 0o711); // root's nobody may pass
    await using server = startServer({ data: deep });

    const origin = await server.ready();

    expect((await get(`${origin}/readyz`, join(deep, "ca.crt"))).status).toBe(200);
  });
});

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

function readMade(data: string): Promise<string[]> {
  return Promise.all(["ca.crt", "server.crt", "master.key"].map((name) => readFile(join(data, name), "utf8")));
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

async function isServing(data: string, origin: string): Promise<boolean> {
  const reply = await get(`${origin}/readyz`, join(data, "ca.crt")).catch(() => undefined); // refused: not yet
  return reply?.status === 200;
}
