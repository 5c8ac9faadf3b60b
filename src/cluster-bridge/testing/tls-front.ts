/** What stands in front of a registry with GOLDSEAL_TLS=off. */
import { once } from "node:events";
import { request as httpRequest } from "node:http";
import { createServer } from "node:https";
import type { Pair } from "./tls-pair.ts";

export interface TlsFront {
  readonly port: number;
  /** Of the registry behind it, over HTTP. */
  target: number;
  close(): Promise<void>;
}

export async function startTlsFront({ cert, key }: Pair): Promise<TlsFront> {
  const front = { port: 0, target: 0 };
  const server = createServer({ cert, key }, (incoming, outgoing) => {
    const { method, url, headers } = incoming;
    const inner = httpRequest({ host: "127.0.0.1", port: front.target, method, path: url, headers }, (answer) => {
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(outgoing);
    });
    inner.on("error", () => outgoing.destroy());
    incoming.pipe(inner);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  front.port = address.port;
  const close = async (): Promise<void> => {
    const closed = once(server, "close");
    server.close();
    server.closeAllConnections();
    await closed;
  };
  return Object.assign(front, { close });
}
