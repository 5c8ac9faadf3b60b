/** One push of every shape, one after the other, against a server under strace on a fresh data folder. */
import { chmodSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { startServer } from "../harness/server.ts";
import { findTool } from "../harness/tools.ts";
import {
  cancelUpload,
  leaveUpload,
  mountBlob,
  pushChunked,
  pushInPut,
  pushLikeDocker,
  pushWhole,
} from "./blob-operations.ts";
import { Client } from "./client.ts";
import { createHand, type HandOptions } from "./hand.ts";
import { checkSyncOrder, type SyncCounts } from "./sync-order.ts";

const CALLS =
  "openat,mkdir,link,rename,unlink,write,writev,pwrite64,pwritev,sendfile,copy_file_range,fsync,fdatasync,sendto,sendmsg";
const SHAPES = [pushWhole, pushLikeDocker, pushChunked, pushInPut, leaveUpload, cancelUpload, mountBlob];
const ROUNDS = 3;

/** Undefined without strace. @throws Violation */
export async function checkTracedPushes(folder: string, options: HandOptions): Promise<SyncCounts | undefined> {
  const strace = findTool("strace");
  if (strace === undefined) return undefined;
  const data = join(folder, "traced");
  mkdirSync(data);
  chmodSync(data, 0o711);
  const trace = join(folder, "strace.txt");
  const server = await startServer({
    data,
    workers: 1,
    // -D: what we start, and stop, is the server; the tracer stands beside it.
    under: [strace, "-D", "-f", "-y", "-s", "120", "-e", `trace=${CALLS}`, "-e", "signal=none", "-o", trace],
    env: { GOLDSEAL_TLS: "off", GOLDSEAL_LOG_LEVEL: "error" },
  });
  const client = new Client(server);
  try {
    const hand = Object.assign(createHand(options), { client });
    for (let round = 0; round < ROUNDS; round++) for (const push of SHAPES) await push(hand);
  } finally {
    client.close();
    await server.stop();
  }
  return checkSyncOrder(readFileSync(trace, "utf8"), join(data, "blobs"));
}
