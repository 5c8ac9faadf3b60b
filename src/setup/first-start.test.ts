import { once } from "node:events";
import { chmod, mkdir, readdir, readFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  eventually,
  get,
  isServing,
  newFolder,
  processesOf,
  removeFolder,
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

function readMade(data: string): Promise<string[]> {
  return Promise.all(["ca.crt", "server.crt", "master.key"].map((name) => readFile(join(data, name), "utf8")));
}
