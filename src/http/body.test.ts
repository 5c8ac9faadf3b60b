import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { BodyAbortedError, streamBody } from "./body.ts";

let server: Server | undefined;
afterEach(() => {
  server?.closeAllConnections();
  server?.close();
});

/** A server that gives its first request to `take`; answers what to send to, and what became of it. */
async function serve<T>(take: (message: IncomingMessage, response: ServerResponse) => Promise<T>) {
  const taken = Promise.withResolvers<T>();
  server = createServer((message, response) => {
    take(message, response).then(taken.resolve, taken.reject);
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  taken.promise.catch(() => undefined);
  const client = request({ port: (server.address() as AddressInfo).port, method: "PATCH" });
  client.on("error", () => undefined);
  return { client, taken: taken.promise };
}

const count = () => undefined;
const turn = () => new Promise((resolve) => setImmediate(resolve));

describe("streamBody", () => {
  it.each([false, true])("brings every byte in order, to a slow reader too (%s)", async (slow) => {
    const content = randomBytes(3_000_001);
    const { client, taken } = await serve(async (message, response) => {
      const pieces: Uint8Array[] = [];
      for await (const chunk of streamBody({ message, response, count })) {
        pieces.push(Uint8Array.from(chunk));
        if (slow) await turn();
      }
      return Buffer.concat(pieces);
    });

    for (let at = 0; at < content.length; at += 50_000) client.write(content.subarray(at, at + 50_000));
    client.end();

    expect((await taken).equals(content)).toBe(true);
  });

  it("brings nothing of an empty body", async () => {
    const { client, taken } = await serve(async (message, response) => {
      let chunks = 0;
      for await (const { length } of streamBody({ message, response, count })) chunks += length;
      return chunks;
    });

    client.end();

    expect(await taken).toBe(0);
  });

  it("throws BodyAbortedError when the client goes away in the middle", async () => {
    const { client, taken } = await serve(async (message, response) => {
      for await (const _chunk of streamBody({ message, response, count })) client.destroy();
    });

    client.write(randomBytes(1000));

    await expect(taken).rejects.toBeInstanceOf(BodyAbortedError);
  });

  it("lets the message be read to its end after its reader stopped", async () => {
    const { client, taken } = await serve(async (message, response) => {
      for await (const { length } of streamBody({ message, response, count })) if (length > 0) break;
      message.resume();
      await once(message, "end");
      return message.complete;
    });

    client.end(randomBytes(2_000_000));

    expect(await taken).toBe(true);
  });
});
