/** A server in the middle that answers some requests as they were answered before: how a rollback looks from outside. */
import { readFileSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { request } from "node:https";
import type { AddressInfo } from "node:net";
import type { RunningServer } from "../harness/server.ts";

export interface Replay {
  readonly url: string;
  /** From now on the last answer to every path that ends so is repeated. */
  freeze(ending: string): void;
  stop(): Promise<void>;
}

export async function startReplay({ url, caPath }: RunningServer): Promise<Replay> {
  const ca = readFileSync(caPath);
  const answers = new Map<string, Buffer>();
  const frozen = new Set<string>();
  const relay = (incoming: IncomingMessage, outgoing: ServerResponse): void => {
    const path = incoming.url ?? "";
    const kept = [...frozen].some((ending) => path.endsWith(ending)) ? answers.get(path) : undefined;
    if (kept !== undefined) return void outgoing.end(kept);
    const { method, headers } = incoming;
    const forward = request(new URL(path, url), { method, headers, ca }, async (answer) => {
      const pieces: Buffer[] = [];
      for await (const piece of answer) pieces.push(piece);
      if (answer.statusCode === 200) answers.set(path, Buffer.concat(pieces));
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers).end(Buffer.concat(pieces));
    });
    forward.once("error", () => outgoing.writeHead(502).end());
    incoming.pipe(forward);
  };
  const server = createServer(relay).listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    freeze: (ending) => void frozen.add(ending),
    stop: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
