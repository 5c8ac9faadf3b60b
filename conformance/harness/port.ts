import { randomInt } from "node:crypto";
import { createServer } from "node:net";

/** Below what the kernel takes a port from for whoever asks for any: nobody gets it by chance before its program listens. */
const [FIRST, LAST] = [15_000, 32_000];
const given = new Set<number>();

/** A port of the loopback that nobody listens on now, each time another one. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(FIRST, LAST);
    if (given.has(port) || !(await isFree(port))) continue;
    given.add(port);
    return port;
  }
}

function isFree(port: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const server = createServer();
  server.once("error", () => resolve(false));
  server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  return promise;
}
