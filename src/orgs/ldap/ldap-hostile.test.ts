import { readFile, writeFile } from "node:fs/promises";
import { type AddressInfo, connect, createServer } from "node:net";
import { join } from "node:path";
import { connect as connectTls, createServer as createTlsServer } from "node:tls";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { basic, openTestServer, type TestServer } from "../test-server.ts";
import { changePassword, hasSlapd, type Slapd, startSlapd, toYaml } from "./test-slapd.ts";

let slapd: Slapd;
const PASSWORD = "ann's directory password";

describe.skipIf(!hasSlapd)("what stands between the registry and a directory (skipped without slapd)", () => {
  beforeAll(async () => {
    slapd = await startSlapd([{ uid: "ann", password: PASSWORD }]);
  });

  afterAll(() => slapd.close());

  async function openServer(name: string, more: Record<string, unknown>): Promise<TestServer> {
    const file = join(slapd.folder, name);
    await writeFile(file, toYaml(slapd, more));
    return openTestServer({ ldapFile: file });
  }

  let sources = 0;
  const ping = async (server: TestServer, password: string) =>
    (await server.send("GET", "/v2/", { headers: basic("ann", password), from: `127.2.0.${++sources}` })).status;

  it("cannot put words before the encrypted part: they would be read as its beginning", async () => {
    // The start of "bind succeeded", with as much text to come as the directory's own answer is long: that is swallowed.
    const begin = (id: number) => Buffer.from([0x30, 26, 2, 1, id, 0x61, 21, 10, 1, 0, 4, 0, 4, 14]);
    const { port: to } = new URL(slapd.url);
    let isArmed = false;
    const between = createServer((client) => {
      const server = connect({ host: "127.0.0.1", port: Number(to) });
      client.on("error", () => server.destroy()).pipe(server);
      server.on("error", () => client.destroy());
      server.once("data", (first: Buffer) => {
        client.write(isArmed ? Buffer.concat([first, begin((first[4] ?? 0) + 1)]) : first);
        server.pipe(client);
      });
    });
    await new Promise<void>((resolve) => between.listen(0, "127.0.0.1", resolve));
    const { port } = between.address() as AddressInfo;
    const server = await openServer("between.yaml", { url: `ldap://localhost:${port}` });

    const before = [await ping(server, PASSWORD), await ping(server, "guess")];
    isArmed = true;
    const after = await ping(server, "guess");

    expect([before, after]).toEqual([[200, 401], 503]);
    await server.close();
    between.close();
  });

  it("is not taken for one that is away when it refuses in other words, such as for a disabled account", async () => {
    const invalid = Buffer.from([0x61, 7, 10, 1, 49]);
    const [cert, key, ca] = await Promise.all(
      ["server.crt", "server.key", "ca.crt"].map((name) => readFile(join(slapd.folder, name))),
    );
    const between = createTlsServer({ cert, key }, (client) => {
      const server = connectTls({ host: "localhost", port: Number(new URL(slapd.tlsUrl).port), ca });
      client.on("error", () => server.destroy()).pipe(server);
      server.on("error", () => client.destroy()).on("end", () => client.end());
      server.on("data", (data: Buffer) => {
        const at = data.indexOf(invalid);
        if (at >= 0) data[at + 4] = 53;
        client.write(data);
      });
    });
    await new Promise<void>((resolve) => between.listen(0, "127.0.0.1", resolve));
    const { port } = between.address() as AddressInfo;
    const server = await openServer("refuses.yaml", { url: `ldaps://localhost:${port}`, startTls: false });

    const before = await ping(server, PASSWORD);
    await slapd.modify((client) => changePassword(client, "ann", "nobody knows"));
    const after = await ping(server, PASSWORD);
    await slapd.modify((client) => changePassword(client, "ann", PASSWORD));

    expect([before, after]).toEqual([200, 401]);
    await server.close();
    between.close();
  });
});
