import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, it, vi } from "vitest";
import { BodyAbortedError, idleMs, streamBody } from "./body.ts";

let server: Server | undefined;
afterEach(() => {
  vi.useRealTimers();
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

/** The clock is moved, the network is real: `send` resolves when its byte was read. */
describe("streamBody, of a client that takes its time (hardening M5, L1)", () => {
  async function upload() {
    let read = 0;
    let arrived: (() => void) | undefined;
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    const { client, taken } = await serve(async (message, response) => {
      for await (const { length } of streamBody({ message, response, count })) {
        read += length;
        arrived?.();
        await turn();
      }
      return read;
    });
    const send = async (): Promise<void> => {
      const next = new Promise<void>((resolve) => {
        arrived = resolve;
      });
      client.write("x");
      await next;
      await turn();
      await turn();
    };
    return { client, taken, send };
  }

  it("lives for ten minutes and more while each byte comes within the limit of the last", async () => {
    const { client, taken, send } = await upload();
    for (let second = 0; second < 660; second += 29.999) {
      await send();
      vi.advanceTimersByTime(idleMs - 1);
    }
    client.end();

    expect(await taken).toBe(23);
  });

  it("is cut after 30 s without a byte, and not a moment before", async () => {
    const { client, taken, send } = await upload();
    const gone = new Promise((resolve) => client.once("close", resolve));
    let isOver = false;
    taken.catch(() => undefined).finally(() => (isOver = true));
    await send();

    vi.advanceTimersByTime(29_999);
    await turn();
    const early = isOver;
    vi.advanceTimersByTime(1);

    await expect(taken).rejects.toThrow(new BodyAbortedError("the client sent nothing for 30 s"));
    await gone;
    expect(early).toBe(false);
  });

  it("is not cut for what the server itself takes long to do", async () => {
    const reading = Promise.withResolvers<void>();
    const slow = Promise.withResolvers<void>();
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    const { client, taken } = await serve(async (message, response) => {
      let read = 0;
      for await (const { length } of streamBody({ message, response, count })) {
        reading.resolve();
        await slow.promise;
        read += length;
      }
      return read;
    });
    client.write("x");
    await reading.promise;

    vi.advanceTimersByTime(10 * idleMs);
    slow.resolve();
    client.end("y");

    expect(await taken).toBe(2);
  });
});
