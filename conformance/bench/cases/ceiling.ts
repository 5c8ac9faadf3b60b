import type { AddressInfo } from "node:net";
import { Worker } from "node:worker_threads";
import { MIB } from "../content.ts";
import { pullFor } from "../loads/pull.ts";
import type { Server } from "../servers.ts";

/** MiB/s that the client of the pull cases takes from a server that does nothing but write: no figure can be above it. */
export async function pullCeiling(streams: number, seconds: number): Promise<number> {
  const thread = new Worker(new URL("../loads/one-buffer-server.ts", import.meta.url));
  const { port } = await new Promise<AddressInfo>((resolve, reject) => {
    thread.once("message", resolve).once("error", reject);
  });
  const url = new URL(`http://127.0.0.1:${port}`);
  const server: Server = { kind: "peer", url, ca: undefined, pid: process.pid, data: "", stop: async () => undefined };
  try {
    const { bytes, seconds: took } = await pullFor({
      server,
      authorization: undefined,
      paths: ["/"],
      streams,
      seconds,
    });
    return bytes / MIB / took;
  } finally {
    await thread.terminate();
  }
}
