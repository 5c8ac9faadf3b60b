/** Slow clients of the listener and of answers (hardening M5, L1); slow bodies are in body.test.ts. */
import { once } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import { connect, type Socket } from "node:net";
import { setTimeout as pause } from "node:timers/promises";
import Koa from "koa";
import { afterEach, describe, expect, it } from "vitest";
import { streamBody } from "./body.ts";
import { type Listener, listen } from "./listener.ts";
import { createLog } from "./log.ts";
import { send } from "./send.ts";

let listener: Listener | undefined;
afterEach(() => listener?.drain(0));

async function open(handler: (request: IncomingMessage, response: ServerResponse) => void, idleMs?: number) {
  listener = await listen(handler, { host: "127.0.0.1", port: 0, ...(idleMs !== undefined && { idleMs }) });
  return listener.port;
}

async function textOf(socket: Socket): Promise<string> {
  let text = "";
  for await (const chunk of socket.setEncoding("latin1")) text += chunk;
  return text;
}

/** Takes the body, and says how many bytes it had. */
const count = (message: IncomingMessage, response: ServerResponse): void => {
  const read = async (): Promise<void> => {
    let bytes = 0;
    for await (const { length } of streamBody({ message, response, count: () => undefined })) bytes += length;
    response.end(`${bytes} bytes`);
  };
  read().catch(() => response.destroy());
};

describe("listen", () => {
  it("answers 408 to headers that do not come to their end", async () => {
    const socket = connect(await open(count, 200), "127.0.0.1");
    socket.write("GET / HTTP/1.1\r\nHost: x\r\n");

    expect(await textOf(socket)).toMatch(/^HTTP\/1\.1 408 Request Timeout\r\n/);
  });

  it("has no limit on the whole of a request that goes on", async () => {
    const limit: { requestTimeout?: number; headersTimeout?: number } = {};
    const port = await open((request, response) => {
      const { server } = request.socket as unknown as { server: Required<typeof limit> };
      Object.assign(limit, { requestTimeout: server.requestTimeout, headersTimeout: server.headersTimeout });
      count(request, response);
    }, 100);
    const socket = connect(port, "127.0.0.1");
    socket.write("PATCH / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 12\r\n\r\n");
    for (let sent = 0; sent < 12; sent++) {
      socket.write("x");
      await pause(50); // longer in all than several of the listener's own looks at its connections
    }

    expect(await textOf(socket)).toMatch(/^HTTP\/1\.1 200 OK\r\n.*12 bytes/s);
    expect(limit).toEqual({ requestTimeout: 0, headersTimeout: 100 });
  });
});

const PIECE = Buffer.alloc(1024 * 1024, "x");
const PIECES = 64;

/** Answers with more than the kernel's buffers hold; `ended` tells how much went out, and what was logged. */
async function serveMuch(idleMs: number) {
  const ended = Promise.withResolvers<{ sent: number; logged: unknown[] }>();
  const logged: unknown[] = [];
  const log = createLog({ write: (line) => logged.push(JSON.parse(line)) });
  let isClosed = false;
  const body = {
    length: PIECE.length * PIECES,
    async *chunks() {
      for (let piece = 0; piece < PIECES; piece++) yield PIECE;
    },
    close: async () => {
      isClosed = true;
    },
  };
  const koa = new Koa();
  koa.on("error", () => undefined); // the connection that was cut, as the door's own listener takes it
  koa.use(async (context) => {
    const sent = await send(context, { status: 200, headers: {}, body }, { requestId: "r", log, idleMs });
    ended.resolve({ sent, logged });
  });
  const socket = connect(await open(koa.callback()), "127.0.0.1");
  socket.write("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  return { socket, ended: ended.promise, isClosed: () => isClosed };
}

describe("send", () => {
  it("cuts a client that takes nothing, and lets go of what it was sending", async () => {
    const { socket, ended, isClosed } = await serveMuch(200);
    socket.pause();
    socket.on("error", () => undefined);

    const { sent, logged } = await ended;

    expect(sent).toBeLessThan(PIECE.length * PIECES);
    expect([logged, isClosed()]).toEqual([[], true]); // no fault of ours
    const over = once(socket, "close");
    socket.resume();
    await over;
  });

  it("lets a client live that is slow and takes something all the time", async () => {
    const idleMs = 1500;
    for (let attempt = 1; ; attempt++) {
      const { socket, ended } = await serveMuch(idleMs);
      const longestMs = await readSlowly(socket, 3 * idleMs);
      // Where this process itself stood still, the reader was not slow but silent.
      if (longestMs > idleMs / 2 && attempt < 10) continue;

      expect(await ended).toEqual({ sent: PIECE.length * PIECES, logged: [] });
      break;
    }
  });
});

/** Some of it every now and then for so long, then all the rest; answers the longest pause between two reads. */
async function readSlowly(socket: Socket, forMs: number): Promise<number> {
  socket.on("error", () => undefined);
  const started = performance.now();
  let [last, longestMs] = [started, 0];
  while (last - started < forMs) {
    for (let read = 0; read < 1024 * 1024; ) {
      const chunk: Buffer | null = socket.read();
      if (chunk === null) break;
      read += chunk.length;
    }
    await pause(100);
    longestMs = Math.max(longestMs, performance.now() - last);
    last = performance.now();
  }
  const closed = once(socket, "close");
  socket.resume();
  await closed;
  return longestMs;
}
