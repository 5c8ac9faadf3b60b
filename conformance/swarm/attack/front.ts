/** Whoever has the registry's TLS key stands before it: passes everything on, until a case answers in its place. */
import { once } from "node:events";
import { readFileSync } from "node:fs";
import type { IncomingMessage, ServerResponse } from "node:http";
import { Agent, createServer, request } from "node:https";
import { join } from "node:path";
import type { RunningServer } from "../../harness/server.ts";

/** Answers, or does not, and then says false. */
export type Attack = (path: string, response: ServerResponse, request: IncomingMessage) => boolean;

export interface Front {
  attack: Attack;
  close(): Promise<void>;
}

export const nothing: Attack = () => false;

export async function openFront(server: RunningServer, where: { host: string; port: number }): Promise<Front> {
  const stolen = {
    cert: readFileSync(join(server.data, "server.crt")),
    key: readFileSync(join(server.data, "server.key")),
  };
  const agent = new Agent({ keepAlive: true, ca: readFileSync(server.caPath) });
  const front: { attack: Attack } = { attack: nothing };
  const pass = (incoming: IncomingMessage, outgoing: ServerResponse): void => {
    const { method, url, headers } = incoming;
    const to = { host: where.host, port: server.port, method, path: url, headers, agent };
    const inner = request(to, (answer) => {
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(outgoing);
    });
    inner.on("error", () => outgoing.destroy());
    incoming.pipe(inner);
  };
  const listener = createServer(stolen, (incoming, outgoing) => {
    const path = incoming.url ?? "";
    if (!front.attack(path, outgoing, incoming)) pass(incoming, outgoing);
  });
  listener.listen(where.port, where.host);
  await once(listener, "listening");
  const close = async (): Promise<void> => {
    const closed = once(listener, "close");
    listener.close();
    listener.closeAllConnections();
    agent.destroy();
    await closed;
  };
  return Object.assign(front, { close });
}
