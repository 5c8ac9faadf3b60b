/** Real S3 servers on the loopback, each with one empty bucket; they end with the process that started them. */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { freePort } from "./port.ts";
import { findTool, getTool } from "./tools.ts";

export type S3Kind = "minio" | "versitygw";
export const S3_KINDS: readonly S3Kind[] = ["minio", "versitygw"];

export interface S3Server {
  readonly kind: S3Kind;
  /** `http://127.0.0.1:45321` */
  readonly endpoint: string;
  readonly bucket: string;
  /** Where it keeps its files. */
  readonly folder: string;
  /** What a client finds its keys by. */
  readonly env: Readonly<Record<string, string>>;
  /** `s3://…` for GOLDSEAL_BLOBS; `endpoint` may be that of a proxy before it. */
  url(prefix?: string, endpoint?: string): string;
  stop(): Promise<void>;
  /** SIGKILL; its files stay. */
  kill(): Promise<void>;
  /** After `kill`, on the same port; resolves when it answers. */
  start(): Promise<void>;
}

const READY_SECONDS = 30;
const BUCKET = "goldseal";
export const S3_KEYS = { id: "goldseal-test", secret: "goldseal-test-secret" } as const;

export const isS3Kind = (text: string): text is S3Kind => S3_KINDS.some((kind) => kind === text);
export const hasS3Server = (kind: S3Kind): boolean => findTool(kind) !== undefined;

export async function startS3Server(kind: S3Kind): Promise<S3Server> {
  const folder = mkdtempSync(join(tmpdir(), `goldseal-${kind}-`));
  // A folder is a bucket to both of them.
  mkdirSync(join(folder, BUCKET));
  const port = await freePort();
  const endpoint = `http://127.0.0.1:${port}`;
  let child = launch(kind, folder, port);
  const stop = async (): Promise<void> => {
    await end(child, "SIGTERM");
    rmSync(folder, { recursive: true, force: true });
  };
  const kill = (): Promise<void> => end(child, "SIGKILL");
  const start = (): Promise<void> => {
    child = launch(kind, folder, port);
    return ready(endpoint, child);
  };
  await ready(endpoint, child).catch(async (error: unknown) => {
    await stop();
    throw error;
  });
  return {
    ...{ kind, endpoint, bucket: BUCKET, folder, stop, kill, start },
    env: { AWS_ACCESS_KEY_ID: S3_KEYS.id, AWS_SECRET_ACCESS_KEY: S3_KEYS.secret, AWS_REGION: "us-east-1" },
    url: (prefix = "", at = endpoint) => `s3://${BUCKET}/${prefix}?endpoint=${encodeURIComponent(at)}&region=us-east-1`,
  };
}

function launch(kind: S3Kind, folder: string, port: number): ChildProcess {
  const address = `127.0.0.1:${port}`;
  const child =
    kind === "minio"
      ? spawn(
          getTool("minio"),
          ["server", folder, "--address", address, "--console-address", "127.0.0.1:0", "--quiet"],
          {
            env: {
              ...process.env,
              MINIO_ROOT_USER: S3_KEYS.id,
              MINIO_ROOT_PASSWORD: S3_KEYS.secret,
              MINIO_BROWSER: "off",
            },
            stdio: "ignore",
          },
        )
      : spawn(getTool("versitygw"), ["--port", address, "--quiet", "--keep-alive", "posix", folder], {
          env: { ...process.env, ROOT_ACCESS_KEY: S3_KEYS.id, ROOT_SECRET_KEY: S3_KEYS.secret },
          stdio: "ignore",
        });
  const kill = () => void child.kill("SIGKILL");
  process.once("exit", kill);
  child.once("exit", () => process.removeListener("exit", kill));
  return child;
}

/** Any answer will do: without a signature it is a refusal. */
async function ready(endpoint: string, child: ChildProcess): Promise<void> {
  for (const until = Date.now() + READY_SECONDS * 1000; Date.now() < until && child.exitCode === null; await wait(20)) {
    const status = await fetch(`${endpoint}/${BUCKET}`).then(
      (response) => response.status,
      () => 0,
    );
    // MinIO answers 503 until it has found its folders.
    if (status > 0 && status < 500) return;
  }
  throw new Error(`the S3 server does not answer at ${endpoint}`);
}

async function end(child: ChildProcess, signal: "SIGTERM" | "SIGKILL"): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((done) => child.once("exit", done));
  child.kill(signal);
  const timer = setTimeout(() => child.kill("SIGKILL"), 5_000);
  await ended;
  clearTimeout(timer);
}
