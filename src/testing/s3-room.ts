import { readdirSync } from "node:fs";
import { join } from "node:path";
import { paginateListObjectsV2, S3Client } from "@aws-sdk/client-s3";
import { type S3Kind, type S3Server, startS3Server } from "../../conformance/harness/s3-servers.ts";
import { S3BlobStore, type S3BlobStoreOptions } from "../storage/s3-blob-store.ts";
import { S3Bucket } from "../storage/s3-bucket.ts";
import { openTestDatabase, type TestDatabase } from "../storage/test-database.ts";

/** A real S3 server, a database, and stores over both as different processes would have them. */
export interface S3Room extends AsyncDisposable {
  readonly server: S3Server;
  readonly database: TestDatabase["database"];
  openStore(options?: Partial<S3BlobStoreOptions>): S3BlobStore;
  openBucket(): S3Bucket;
  /** Names of all objects in the bucket. */
  objects(): Promise<string[]>;
  /** Files of multipart uploads that are under way, looked up behind the server's back. */
  uploadFiles(): string[];
}

const UPLOADS = {
  minio: [".minio.sys", "multipart"],
  versitygw: ["goldseal", ".sgwtmp", "multipart"],
} as const;

export async function openS3Room(kind: S3Kind): Promise<S3Room> {
  const server = await startS3Server(kind);
  Object.assign(process.env, server.env);
  const { database, close } = await openTestDatabase();
  const buckets: S3Bucket[] = [];
  const openBucket = (): S3Bucket => {
    const settings = { bucket: server.bucket, prefix: "blobs", endpoint: server.endpoint, timeoutSeconds: 10 };
    const bucket = new S3Bucket(settings, { hasChecksums: true });
    buckets.push(bucket);
    return bucket;
  };
  return {
    ...{ server, database, openBucket },
    openStore: (options) => new S3BlobStore({ database, bucket: openBucket(), ...options }),
    objects: () => listObjects(server),
    uploadFiles: () => uploadFiles(server),
    [Symbol.asyncDispose]: async () => {
      for (const bucket of buckets) bucket.close();
      await close();
      await server.stop();
    },
  };
}

export async function listObjects({ endpoint, bucket }: S3Server): Promise<string[]> {
  const client = new S3Client({ endpoint, forcePathStyle: true, region: "us-east-1" });
  const keys: string[] = [];
  for await (const { Contents = [] } of paginateListObjectsV2({ client }, { Bucket: bucket }))
    keys.push(...Contents.map(({ Key = "" }) => Key));
  client.destroy();
  return keys;
}

export function uploadFiles({ kind, folder }: S3Server): string[] {
  return filesUnder(join(folder, ...UPLOADS[kind]));
}

/** A server keeps empty folders, or none at all. */
function filesUnder(folder: string): string[] {
  try {
    const entries = readdirSync(folder, { recursive: true, withFileTypes: true });
    return entries.filter((entry) => entry.isFile()).map(({ parentPath, name }) => join(parentPath, name));
  } catch {
    return [];
  }
}
