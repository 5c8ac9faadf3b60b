import { PutBucketVersioningCommand, S3Client } from "@aws-sdk/client-s3";
import { type S3Kind, type S3Server, startS3Server } from "../../../conformance/harness/s3-servers.ts";
import * as faults from "../../../conformance/s3/fault-proxy.ts";
import type { Database } from "../../storage/database.ts";
import { S3BlobInventory } from "../../storage/s3-blob-inventory.ts";
import { S3BlobStore } from "../../storage/s3-blob-store.ts";
import { S3Bucket } from "../../storage/s3-bucket.ts";
import { sweepUploads } from "../../storage/sweep.ts";
import { UploadStore } from "../../storage/upload-store.ts";
import { listObjects } from "../s3-room.ts";
import type { Random } from "./random.ts";
import type { ExploredStorage, ProcessParts, ProcessStorage } from "./storage.ts";

const PREFIX = "explore";
const TIMEOUT_SECONDS = 1;
/** What deletions meet, of which the driver does not know whether they were done. */
const DELETIONS: readonly faults.Act[] = [
  faults.loseReply,
  faults.doneBut500,
  faults.refuse(500, "InternalError"),
  faults.refuse(503, "SlowDown"),
];
const HANG_CHANCE = 0.02;
const MAX_TIMES = 9;

/** Done, and no answer comes. */
const doneButSilent: faults.Act = async ({ forward }) => void (await forward()).resume();

/** A bucket of a real server, behind a proxy; on MinIO with versions, so that what is deleted stays behind. */
export class ExploredBucket implements ExploredStorage {
  readonly #server: S3Server;
  readonly #proxy: faults.FaultProxy;
  readonly #control: Database;
  /** Past the proxy, on connections that do not die. */
  readonly #own: S3Bucket;

  private constructor(server: S3Server, proxy: faults.FaultProxy, control: Database) {
    this.#server = server;
    this.#proxy = proxy;
    this.#control = control;
    this.#own = this.#bucketAt(server.endpoint);
  }

  static async start(kind: S3Kind, control: Database): Promise<ExploredBucket> {
    const server = await startS3Server(kind);
    Object.assign(process.env, server.env);
    if (kind === "minio") await keepVersions(server);
    return new ExploredBucket(server, await faults.openFaultProxy(server.endpoint), control);
  }

  async open({ database, failpoint }: ProcessParts): Promise<ProcessStorage> {
    const parts = { database, failpoint, bucket: this.#bucketAt(this.#proxy.endpoint) };
    return { blobs: new S3BlobStore(parts), inventory: new S3BlobInventory(parts) };
  }

  /** The object is gone, its row is not. */
  isStop(point: string): boolean {
    return point === "del.afterUnlink";
  }

  upset(random: Random): void {
    const act = random.chance(HANG_CHANCE) ? doneButSilent : random.pick(DELETIONS);
    // Up to three the driver asks again and again; with more, the deletion has failed.
    this.#proxy.set({ operation: "remove", act, times: random.below(MAX_TIMES) });
  }

  calm(): void {
    this.#proxy.set(undefined);
  }

  async timePasses(): Promise<void> {
    const text = "update s3_objects set touched_at = touched_at - interval '2 hours' where state = 'blob'";
    await this.#control.query("explore-time", text);
  }

  async checkSwept(): Promise<void> {
    const blobs = new S3BlobStore({ database: this.#control, bucket: this.#own });
    for (let sweep = 0; sweep < 2; sweep++) {
      await this.#control.query("explore-day", "update s3_objects set touched_at = touched_at - interval '25 hours'");
      await sweepUploads({ uploads: new UploadStore(this.#control), blobs, ttlHours: 24 });
    }
    const rows = await this.#control.query<{ key: string; state: string }>("explore-rows", "select * from s3_objects");
    const due = rows.map(
      ({ key, state }) => `${state === "blob" ? "" : `${state}: `}${PREFIX}/${key.slice(0, 2)}/${key}`,
    );
    const found = (await listObjects(this.#server)).filter((key) => !key.endsWith("/gc-mark"));
    if (due.sort().join() !== found.sort().join()) throw new Error(`the bucket has ${found}, its rows are ${due}`);
  }

  async reset(): Promise<void> {
    const rows = await this.#control.query<{ key: string }>("explore-keys", "delete from s3_objects returning key");
    for (const { key } of rows) await this.#own.remove(key);
  }

  async close(): Promise<void> {
    this.#own.close();
    await this.#proxy.close();
    await this.#server.stop();
  }

  #bucketAt(endpoint: string): S3Bucket {
    const settings = { bucket: this.#server.bucket, prefix: PREFIX, endpoint, timeoutSeconds: TIMEOUT_SECONDS };
    return new S3Bucket(settings, { hasChecksums: true });
  }
}

async function keepVersions({ endpoint, bucket: Bucket }: S3Server): Promise<void> {
  const client = new S3Client({ endpoint, forcePathStyle: true, region: "us-east-1" });
  const VersioningConfiguration = { Status: "Enabled" } as const;
  await client.send(new PutBucketVersioningCommand({ Bucket, VersioningConfiguration }));
  client.destroy();
}
