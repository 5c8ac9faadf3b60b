import { stat } from "node:fs/promises";
import { connect, createServer, type Server } from "node:net";
import { hasCode, SetupError } from "./errors.ts";

/**
 * At most one server works in a folder. The lock is an abstract Unix socket named by the folder's device and inode:
 * the kernel gives it to one process and takes it back when that process dies, however it dies, and the folder is the
 * same through whatever path it is reached. Whoever connects is told the holder's process id.
 */
export interface Lock extends AsyncDisposable {
  readonly folder: string;
}

/** @throws SetupError naming the process that holds the folder */
export async function lockFolder(folder: string): Promise<Lock> {
  const server = createServer((socket) => {
    socket.on("error", () => socket.destroy());
    socket.end(String(process.pid));
  });
  try {
    await listenOn(server, await socketName(folder));
  } catch (error) {
    if (!hasCode(error, "EADDRINUSE")) throw error;
    const holder = await findHolder(folder);
    const who = holder === undefined ? "another process" : `process ${holder}`;
    throw new SetupError(
      `${folder} is in use by ${who}: stop it first (kill ${holder ?? "<pid>"}), or set GOLDSEAL_DATA to another folder`,
    );
  }
  server.unref();
  return { folder, [Symbol.asyncDispose]: () => new Promise((done) => server.close(() => done())) };
}

/** The id of the process that holds the folder, "unknown" when it does not answer, undefined when nobody does. */
export async function findHolder(folder: string): Promise<string | undefined> {
  const name = await socketName(folder);
  return new Promise((done) => {
    const socket = connect(name).setEncoding("utf8").setTimeout(1000);
    let answer = "";
    socket.on("data", (text: string) => {
      answer += text;
    });
    socket.on("timeout", () => socket.destroy());
    socket.on("error", (error) => done(hasCode(error, "ECONNREFUSED") ? undefined : "unknown"));
    socket.on("close", () => done(/^\d+$/.test(answer) ? answer : "unknown"));
  });
}

async function socketName(folder: string): Promise<string> {
  const { dev, ino } = await stat(folder, { bigint: true });
  return `\0goldseal-${dev}-${ino}`;
}

function listenOn(server: Server, path: string): Promise<void> {
  return new Promise((done, fail) => {
    server.once("error", fail);
    // exclusive: never shared through node:cluster
    server.listen({ path, exclusive: true }, done);
  });
}
