import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { createServer, get, type IncomingMessage, type Server } from "node:http";
import { createServer as createTlsServer, get as getByTls } from "node:https";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openAgents } from "./s3-agents.ts";

const bodies = Array.from({ length: 8 }, () => randomBytes(3_000_000));
/** TLS by a shared secret: no certificate has to be made. */
const psk = randomBytes(32);
const byPsk = { ciphers: "PSK", maxVersion: "TLSv1.2" } as const;
const tls = { ...byPsk, rejectUnauthorized: false, pskCallback: () => ({ psk, identity: "goldseal" }) };

describe.each(["http", "https"])("%s agent of the bucket", (scheme) => {
  const agents = openAgents();
  let server: Server;
  let accepted = 0;
  beforeAll(async () => {
    const answer = (message: IncomingMessage, response: { end(body: Buffer | undefined): unknown }): void => {
      response.end(bodies[Number(message.url?.slice(1))]);
    };
    server = scheme === "http" ? createServer(answer) : createTlsServer({ ...byPsk, pskCallback: () => psk }, answer);
    server.on(scheme === "http" ? "connection" : "secureConnection", () => accepted++);
    await once(server.listen(0, "127.0.0.1"), "listening");
  });
  afterAll(async () => {
    agents.httpAgent.destroy();
    agents.httpsAgent.destroy();
    await new Promise((done) => server.close(done));
  });

  async function open(at: number): Promise<IncomingMessage> {
    const { port } = server.address() as AddressInfo;
    const place = { host: "127.0.0.1", port, path: `/${at}` };
    const asked =
      scheme === "http"
        ? get({ ...place, agent: agents.httpAgent })
        : getByTls({ ...place, ...tls, agent: agents.httpsAgent });
    const [message]: [IncomingMessage] = (await once(asked, "response")) as [IncomingMessage];
    return message;
  }

  it("gives each of several answers under way its own bytes, and stops reading for those who do not read", async () => {
    const messages = await Promise.all(bodies.map((_, at) => open(at)));
    // All but the last are paused while that is read to its end.
    for (const message of messages.toReversed()) {
      const at = messages.indexOf(message);
      const pieces: Buffer[] = [];
      for await (const piece of message) pieces.push(piece);
      expect(Buffer.concat(pieces).equals(bodies[at] ?? Buffer.alloc(0))).toBe(true);
    }
  });

  it("asks again over the same connection", async () => {
    const before = accepted;
    for (let at = 0; at < 4; at++) {
      let size = 0;
      for await (const piece of await open(at)) size += piece.length;
      expect(size).toBe(3_000_000);
    }
    expect(accepted).toBe(before);
  });
});
