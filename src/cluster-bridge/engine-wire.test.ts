import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { EngineClient } from "./engine-client.ts";
import { makePair, type Pair } from "./testing/tls-pair.ts";

describe("an engine over TLS", () => {
  let server: Server;
  let folder: string;
  const [own, ours] = [makePair("localhost"), makePair("bridge")];
  const answer = (response: ServerResponse) =>
    response.writeHead(200, { "content-type": "application/json" }).end('{"Name":"far"}');
  let respond: (request: IncomingMessage, response: ServerResponse) => unknown;

  beforeEach(async () => {
    respond = (_request, response) => answer(response);
    const tls = { cert: own.cert, key: own.key, ca: ours.cert, requestCert: true, rejectUnauthorized: true };
    server = createServer(tls, (request, response) => respond(request, response)).listen(0, "127.0.0.1");
    await once(server, "listening");
    folder = await mkdtemp(join(tmpdir(), "goldseal-engine-tls-"));
  });
  afterEach(async () => {
    server.close();
    server.closeAllConnections();
    await rm(folder, { recursive: true });
  });

  async function openTls(ca = own.cert, { cert, key }: Pair = ours, host = "localhost"): Promise<EngineClient> {
    for (const [name, text] of Object.entries({ ca, cert, key })) await writeFile(join(folder, name), text);
    const paths = { ca: join(folder, "ca"), cert: join(folder, "cert"), key: join(folder, "key") };
    const { port } = server.address() as AddressInfo;
    // A connection is kept for as long as a busy machine may pause between two calls.
    return EngineClient.open({ kind: "tcp", host, port, ...paths }, 60_000);
  }

  it("is known by its own certificate and the name in the configuration, and asks for ours", async () => {
    const ask = async (...how: Parameters<typeof openTls>) => (await openTls(...how)).getObject("/info");

    expect(await ask()).toEqual({ Name: "far" });
    await expect(ask(own.cert, makePair("stranger"))).rejects.toMatchObject({ code: "SILENT" });
    await expect(ask(ours.cert)).rejects.toMatchObject({ code: "SILENT" });
    await expect(ask(own.cert, ours, "127.0.0.1")).rejects.toMatchObject({
      message: expect.stringContaining("does not match certificate"),
    });
  });

  it("is read over one connection, and told of each change over one of its own, with the session of the last", async () => {
    const resumed: boolean[] = [];
    server.on("secureConnection", (socket) => resumed.push(socket.isSessionReused()));
    const engine = await openTls();
    const change = () => engine.call("POST", "/services/create", { body: Buffer.from("{}") });

    await engine.getObject("/info");
    await engine.getObject("/info");
    expect(resumed).toEqual([false]);
    await change();
    await change();
    await engine.getObject("/info");

    expect(resumed).toEqual([false, false, true]);
  });

  it("is asked by the system whether it is still there, while a change waits for its answer", async () => {
    const asked = Promise.withResolvers<void>();
    respond = () => asked.resolve();
    const { port } = server.address() as AddressInfo;
    const told = (await openTls()).call("POST", "/services/create", { body: Buffer.from("{}") }).catch(() => undefined);
    await asked.promise;

    // @see proc(5), /proc/net/tcp: the remote port in hexadecimal, `01` of a connection, and `02:` where such a timer is set.
    const to = `:${port.toString(16).toUpperCase().padStart(4, "0")} 01 `;
    const timers = async () =>
      (await readFile("/proc/net/tcp", "utf8"))
        .split("\n")
        .filter((line) => line.includes(to))
        .map((line) => / (0\d):[0-9A-F]{8} /.exec(line)?.[1]);
    await expect.poll(timers).toEqual(["02"]);
    server.closeAllConnections();
    await told;
  });

  it("is read once more where it closed the connection meanwhile, and never told twice", async () => {
    const seen = new Set<unknown>();
    const asked: string[] = [];
    respond = ({ method, url, socket }, response) => {
      asked.push(`${method} ${url}`);
      if (seen.has(socket) || method === "POST") return socket.destroy();
      seen.add(socket);
      return answer(response);
    };
    const engine = await openTls();

    await engine.getObject("/one");
    await engine.getObject("/two");
    const change = engine.call("POST", "/three", { body: Buffer.from("{}") });

    await expect(change).rejects.toMatchObject({ code: "SILENT" });
    expect(asked).toEqual(["GET /v1.41/one", "GET /v1.41/two", "GET /v1.41/two", "POST /v1.41/three"]);
  });
});
