import { access, constants, stat } from "node:fs/promises";
import { connect } from "node:net";
import { dirname } from "node:path";

/** Why nobody answers there, or undefined. */
export function tryConnect(target: { path: string } | { host: string; port: number }): Promise<string | undefined> {
  return new Promise((done) => {
    const socket = connect({ ...target, timeout: 3000 });
    socket.once("connect", () => settle(undefined));
    socket.once("timeout", () => settle("does not answer"));
    socket.once("error", (error) => settle(error.message));
    function settle(failure: string | undefined): void {
      socket.destroy();
      done(failure);
    }
  });
}

/** `folder`, or the nearest above it that exists. */
export async function nearestExisting(folder: string): Promise<string> {
  for (let current = folder; ; current = dirname(current)) {
    const found = await stat(current).catch(() => undefined); // not there: one up
    if (found || current === dirname(current)) return current;
  }
}

export async function isWritable(folder: string): Promise<boolean> {
  return access(folder, constants.W_OK | constants.X_OK).then(
    () => true,
    () => false,
  );
}
