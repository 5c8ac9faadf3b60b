import { createServer, type Server } from "node:net";
import { setTimeout as wait } from "node:timers/promises";
import { hasCode, SetupError } from "./errors.ts";

/** An earlier server of ours may be ending at this moment. */
const BUSY_DEADLINE_MS = 1000;

/** The port, held for the workers from before anything else starts: its number is part of the public URL. */
export interface ReservedPort extends AsyncDisposable {
  readonly port: number;
  /** Lets go of it, just before the workers take it. */
  release(): Promise<void>;
}

/** @throws SetupError when the address is taken or not ours */
export async function reservePort({ host, port }: { host: string; port: number }): Promise<ReservedPort> {
  for (const until = Date.now() + BUSY_DEADLINE_MS; ; await wait(50)) {
    // Nobody is served yet: whoever comes is sent away and tries again.
    const server = createServer((socket) => socket.resetAndDestroy());
    try {
      await bind(server, { host, port });
      const address = server.address();
      const release = (): Promise<void> => new Promise((done) => server.close(() => done()));
      const bound = typeof address === "object" && address !== null ? address.port : port;
      return { port: bound, release, [Symbol.asyncDispose]: release };
    } catch (error) {
      if (hasCode(error, "EADDRINUSE") && Date.now() < until) continue;
      throw explain(error, `${host}:${port}`);
    }
  }
}

function bind(server: Server, { host, port }: { host: string; port: number }): Promise<void> {
  return new Promise((done, fail) => {
    server.once("error", fail);
    server.listen({ host, port, exclusive: true }, done);
  });
}

function explain(error: unknown, address: string): unknown {
  if (hasCode(error, "EADDRINUSE")) {
    return new SetupError(`${address} is taken by another program: stop it, or set GOLDSEAL_LISTEN`, { cause: error });
  }
  if (hasCode(error, "EADDRNOTAVAIL", "ENOTFOUND", "EAI_AGAIN")) {
    return new SetupError(`${address} is no address of this machine: mend GOLDSEAL_LISTEN`, { cause: error });
  }
  if (hasCode(error, "EACCES")) {
    return new SetupError(`${address} is not allowed for this user: take a port above 1023`, { cause: error });
  }
  return error;
}
