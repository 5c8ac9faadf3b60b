/** `--blobs fs|s3 [--s3 minio|versitygw]`: where the server under test keeps its blobs. */
import { hasS3Server, isS3Kind, S3_KINDS, startS3Server } from "./s3-servers.ts";

export const blobsOptions = {
  blobs: { type: "string", default: "fs" },
  s3: { type: "string", default: "minio" },
  redirect: { type: "boolean", default: false },
} as const;

export interface Blobs {
  /** For the server under test. */
  readonly env: Readonly<Record<string, string>>;
  stop(): Promise<void>;
}

interface Values {
  readonly blobs: string;
  readonly s3: string;
  readonly redirect: boolean;
}

/** What is wrong with the options, or undefined. */
export function findBlobsMistake({ blobs, s3, redirect }: Values): string | undefined {
  if (blobs !== "fs" && blobs !== "s3") return `--blobs ${blobs}: must be fs or s3`;
  if (blobs === "fs" && redirect) return "--redirect: needs --blobs s3";
  if (!isS3Kind(s3)) return `--s3 ${s3}: must be ${S3_KINDS.join(" or ")}`;
  if (blobs === "s3" && !hasS3Server(s3)) return `${s3} not found: run conformance/provision`;
  return undefined;
}

/** Starts the S3 server, if one is wanted; `--redirect` also has clients pull from it. */
export async function openBlobs({ blobs, s3, redirect }: Values): Promise<Blobs> {
  if (blobs !== "s3" || !isS3Kind(s3)) return { env: {}, stop: async () => undefined };
  const server = await startS3Server(s3);
  const env = { ...server.env, GOLDSEAL_BLOBS: server.url("blobs"), GOLDSEAL_BLOB_REDIRECT: redirect ? "on" : "off" };
  return { env, stop: () => server.stop() };
}
