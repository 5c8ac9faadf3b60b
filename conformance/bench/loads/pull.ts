import type { Socket } from "node:net";
import type { Server } from "../servers.ts";
import { connect, parseHead, requestHead } from "./connection.ts";

export interface PullLoad {
  readonly server: Server;
  readonly authorization: string | undefined;
  /** Asked for by turns. */
  readonly paths: readonly string[];
  readonly streams: number;
  readonly seconds: number;
}

export interface PullResult {
  readonly bytes: number;
  readonly seconds: number;
}

/** `streams` connections that ask for one blob after the other until the time is over; answers what came. */
export async function pullFor({ server, authorization, paths, streams, seconds }: PullLoad): Promise<PullResult> {
  const failure = Promise.withResolvers<never>();
  let bytes = 0;
  const sockets = await Promise.all(
    Array.from({ length: streams }, (_, index) => {
      const heads = paths.map((path) => requestHead("GET", path, { Authorization: authorization }));
      return openStream(
        server,
        heads,
        index,
        (count) => {
          bytes += count;
        },
        failure.reject,
      );
    }),
  );
  const started = performance.now();
  bytes = 0;
  const ended = new Promise<void>((resolve) => setTimeout(resolve, seconds * 1000));
  for (const { begin } of sockets) begin();
  await Promise.race([ended, failure.promise]);
  const took = (performance.now() - started) / 1000;
  for (const { socket } of sockets) socket.destroy();
  return { bytes, seconds: took };
}

interface Stream {
  readonly socket: Socket;
  begin(): void;
}

async function openStream(
  server: Server,
  heads: readonly string[],
  first: number,
  count: (bytes: number) => void,
  fail: (error: Error) => void,
): Promise<Stream> {
  let turn = first;
  let left = -1; // the head of an answer is awaited
  let held = Buffer.alloc(0);
  const ask = () => void socket.write(heads[turn++ % heads.length] ?? "");
  const socket = await connect(server, (bytes) => {
    let size = bytes.length;
    if (left < 0) {
      held = Buffer.concat([held, bytes]);
      const head = parseHead(held);
      if (head === undefined) return;
      if (head.status !== 200) return fail(new Error(`a pull was answered ${head.text}`));
      held = Buffer.alloc(0);
      left = head.length;
      size = head.rest;
    }
    count(size);
    left -= size;
    if (left > 0) return;
    left = -1;
    ask();
  });
  socket.once("close", () => fail(new Error(`${server.kind} closed a pull's connection`)));
  return { socket, begin: ask };
}
