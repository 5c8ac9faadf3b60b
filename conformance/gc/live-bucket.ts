/** A bucket for the live run, which does not do everything as it says. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import pg from "pg";
import { type S3Kind, startS3Server } from "../harness/s3-servers.ts";
import * as faults from "../s3/fault-proxy.ts";

export interface LiveBucket {
  /** For the server. */
  readonly env: Readonly<Record<string, string>>;
  /** From now on some deletions fail, or succeed and say that they failed. Returns how to end it. */
  misbehave(data: string): () => void;
  behave(): void;
  /** Objects that are older than `seconds` are as old as those that no push counts on any more: more than an hour. */
  grow(data: string, seconds: number): Promise<void>;
  close(): Promise<void>;
}

const GROW_EVERY_MS = 500;
/** No push of the live run takes so long, from its bytes to its row. */
const GROWN_SECONDS = 10;

export async function openLiveBucket(kind: S3Kind): Promise<LiveBucket> {
  const server = await startS3Server(kind);
  const proxy = await faults.openFaultProxy(server.endpoint);
  const refuse = faults.refuse(500, "InternalError");
  const answers: readonly faults.Act[] = [faults.loseReply, faults.doneBut500, refuse, ...Array(7).fill(faults.passOn)];
  return {
    env: { ...server.env, GOLDSEAL_BLOBS: `${server.url("live", proxy.endpoint)}&timeout=5` },
    misbehave: (data) => {
      const act: faults.Act = (exchange) =>
        (answers[Math.floor(Math.random() * answers.length)] ?? faults.passOn)(exchange);
      proxy.set({ operation: "remove", act });
      const timer = setInterval(() => void grow(data, GROWN_SECONDS).catch(() => undefined), GROW_EVERY_MS);
      return () => clearInterval(timer);
    },
    behave: () => proxy.set(undefined),
    grow,
    close: async () => {
      await proxy.close();
      await server.stop();
    },
  };
}

async function grow(data: string, seconds: number): Promise<void> {
  const socket = readFileSync(join(data, "postgres", "postmaster.pid"), "utf8").split("\n")[4];
  const password = readFileSync(join(data, "postgres.password"), "utf8").trim();
  const client = new pg.Client({ user: "goldseal", database: "goldseal", password, ...(socket && { host: socket }) });
  // Its end while the server stops is no failure of the run.
  client.on("error", () => undefined);
  await client.connect();
  try {
    await client.query(
      `update s3_objects set touched_at = touched_at - interval '2 hours'
       where state = 'blob' and touched_at between now() - interval '1 hour' and now() - make_interval(secs => $1)`,
      [seconds],
    );
  } finally {
    await client.end();
  }
}
