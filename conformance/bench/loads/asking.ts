import type { Socket } from "node:net";
import type { Target } from "../access/loads.ts";
import type { Server } from "../servers.ts";
import { connect, parseHead, requestHead } from "./connection.ts";

/** Connections that stay, for turns that are too short to open any. */
export interface Asking {
  /** So many GETs, of the targets one after the other all the way round; each connection has one under way. */
  ask(targets: readonly Target[], requests: number): Promise<void>;
  close(): void;
}

/** One turn. */
interface Work {
  readonly heads: readonly string[];
  next: number;
  left: number;
  unanswered: number;
  readonly done: PromiseWithResolvers<void>;
}

export async function openAsking(server: Server, connections: number): Promise<Asking> {
  let work: Work | undefined;
  const fail = (error: Error): void => work?.done.reject(error);
  const send = (socket: Socket): void => {
    if (work === undefined || work.left === 0) return;
    work.left--;
    socket.write(work.heads[work.next++ % work.heads.length] ?? "");
  };
  const answered = (socket: Socket): void => {
    if (work === undefined || --work.unanswered === 0) work?.done.resolve();
    else send(socket);
  };
  const sockets: Socket[] = [];
  for (let n = 0; n < connections; n++) sockets.push(await openSocket(server, answered, fail));
  return {
    ask: async (targets, requests) => {
      const heads = targets.map(({ path, authorization }) =>
        requestHead("GET", path, { Authorization: authorization }),
      );
      const done = Promise.withResolvers<void>();
      work = { heads, next: 0, left: requests, unanswered: requests, done };
      for (const socket of sockets) send(socket);
      await done.promise;
      work = undefined;
    },
    close: () => {
      for (const socket of sockets) socket.destroy();
    },
  };
}

async function openSocket(
  server: Server,
  answered: (socket: Socket) => void,
  fail: (error: Error) => void,
): Promise<Socket> {
  /** Bytes of the answer's body that are to come; undefined: its head is. */
  let rest: number | undefined;
  const socket = await connect(server, (bytes) => {
    if (rest === undefined) {
      // The head of so small an answer comes whole.
      const head = parseHead(bytes);
      if (head?.status !== 200) return fail(new Error(`a GET was answered ${head?.text ?? bytes.toString()}`));
      rest = head.length - head.rest;
    } else rest -= bytes.length;
    if (rest > 0) return;
    rest = undefined;
    answered(socket);
  });
  socket.once("close", () => fail(new Error(`${server.kind} closed a connection`)));
  return socket;
}
