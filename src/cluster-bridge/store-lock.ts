import { once } from "node:events";
import { mkdir, rm } from "node:fs/promises";
import { createServer, type Server } from "node:net";
import { join } from "node:path";
import { BridgeError } from "./errors.ts";
import { isAnswered } from "./local-socket.ts";

export interface StoreLock {
  release(): Promise<void>;
}

/**
 * One bridge for one folder: two would each believe a journal that the other one writes. The lock is a socket that somebody
 * listens on, so that it ends with the process that holds it, however that ends.
 * @throws BridgeError STORE
 */
export async function lockStore(store: string): Promise<StoreLock> {
  await mkdir(store, { recursive: true, mode: 0o700 });
  const path = join(store, "lock");
  const server = await tryListen(path);
  if (server !== undefined) return { release: () => close(server) };
  if (await isAnswered(path)) throw new BridgeError("STORE", `another bridge works with ${store}`);
  // Left behind by a bridge that was killed.
  await rm(path, { force: true });
  const again = await tryListen(path);
  if (again === undefined) throw new BridgeError("STORE", `another bridge began to work with ${store}`);
  return { release: () => close(again) };
}

/** Undefined: the name is taken. */
async function tryListen(path: string): Promise<Server | undefined> {
  const server = createServer((socket) => socket.destroy()).listen(path);
  try {
    await once(server, "listening");
    return server.unref();
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "EADDRINUSE") return undefined;
    throw error;
  }
}

async function close(server: Server): Promise<void> {
  await new Promise((resolve) => server.close(resolve));
}
