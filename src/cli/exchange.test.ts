// First: see cluster-bridge/testing/bridge-lab.ts.
import "node:https";
import { once } from "node:events";
import { createServer, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import { rootCertificates } from "node:tls";
import { afterEach, beforeEach, expect, it } from "vitest";
import { makePair } from "../cluster-bridge/testing/tls-pair.ts";
import { exchange, readBody } from "./exchange.ts";

const own = makePair("localhost");
const asked: string[] = [];
let handshakes: number;
let server: Server;
beforeEach(async () => {
  [asked.length, handshakes] = [0, 0];
  server = createServer({ cert: own.cert, key: own.key }, ({ method, url }, response) => {
    asked.push(`${method} ${url}`);
    response.end("hello");
  }).listen(0, "127.0.0.1");
  server.on("connection", () => handshakes++);
  await once(server, "listening");
});
afterEach(() => {
  server.close();
  server.closeAllConnections();
});

const at = (ca: string) => ({ url: new URL(`https://localhost:${(server.address() as AddressInfo).port}`), ca });
const ask = async (where: ReturnType<typeof at>) =>
  String(await readBody(await exchange(where, { method: "POST", path: "/x", body: "{}" })));

it("takes the word of the CA that is named", async () => {
  expect([await ask(at(own.cert)), handshakes]).toEqual(["hello", 1]);
});

it("asks the well-known CAs too where the named one does not know the certificate, and sends nothing to a stranger", async () => {
  const where = at(rootCertificates[0] ?? "");

  await expect(ask(where)).rejects.toMatchObject({ code: "DEPTH_ZERO_SELF_SIGNED_CERT" });
  expect([handshakes, asked]).toEqual([2, []]);
  await expect(ask(where)).rejects.toMatchObject({ code: "DEPTH_ZERO_SELF_SIGNED_CERT" });
  expect([handshakes, asked]).toEqual([3, []]);
});

it("asks nobody else about a certificate that is wrong in another way", async () => {
  const where = at(own.cert);
  where.url.hostname = "127.0.0.1";

  await expect(ask(where)).rejects.toMatchObject({ code: "ERR_TLS_CERT_ALTNAME_INVALID" });
  expect([handshakes, asked]).toEqual([1, []]);
});
