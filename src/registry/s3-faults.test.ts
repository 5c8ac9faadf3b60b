import { randomBytes } from "node:crypto";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import {
  hasS3Server,
  S3_KINDS,
  type S3Kind,
  type S3Server,
  startS3Server,
} from "../../conformance/harness/s3-servers.ts";
import * as faults from "../../conformance/s3/fault-proxy.ts";
import { S3BlobStore } from "../storage/s3-blob-store.ts";
import { S3Bucket } from "../storage/s3-bucket.ts";
import { sweepUploads } from "../storage/sweep.ts";
import { UploadStore } from "../storage/upload-store.ts";
import type { Answer } from "../testing/http-client.ts";
import { digestOf, pathOf } from "../testing/images.ts";
import { openTestApp, type TestApp } from "../testing/open-test-app.ts";
import { listObjects, uploadFiles } from "../testing/s3-room.ts";

const kib = 1024;
const place = { as: "alice", headers: { "content-type": "application/octet-stream" } };
const uploads = "/v2/alice/faults/blobs/uploads/";

/** Pushes all of `content`; the answer is the first that is no success, or the last. */
type Push = (app: TestApp, content: Buffer) => Promise<Answer>;

const whole: Push = (app, body) => app.ask("POST", `${uploads}?digest=${digestOf(body)}`, { ...place, body });

const inChunks =
  (chunks: number): Push =>
  async (app, content) => {
    let answer = await app.ask("POST", uploads, place);
    const step = Math.ceil(content.length / chunks);
    for (let at = 0; at < content.length && answer.status === 202; at += step)
      answer = await app.ask("PATCH", pathOf(answer), { ...place, body: content.subarray(at, at + step) });
    if (answer.status !== 202) return answer;
    return app.ask("PUT", `${pathOf(answer)}?digest=${digestOf(content)}`, place);
  };

const PATHS = {
  "one small object": { push: whole, bytes: 100 * kib, operations: ["put"] },
  "an object of two parts": { push: inChunks(1), bytes: 9_000 * kib, operations: ["begin", "part", "complete"] },
  "pieces that are put together": { push: inChunks(3), bytes: 300 * kib, operations: ["get", "put"] },
} as const;

/** Once: the client notices nothing. Always: 503, or 201 where the deed is done and can be seen to be. */
const FAULTS: Readonly<Record<string, faults.Act>> = {
  "500": faults.refuse(500, "InternalError"),
  "503 SlowDown": faults.refuse(503, "SlowDown"),
  "403 RequestTimeTooSkewed": faults.refuse(403, "RequestTimeTooSkewed"),
  "a reset at byte 0": faults.resetAt(0),
  "a reset at byte 70,000": faults.resetAt(70_000),
  "a reply that is lost": faults.loseReply,
  "a 500 for what was done": faults.doneBut500,
  "an answer cut in half": faults.truncate,
  "200 with an error inside": faults.errorInside200,
  "a DOCTYPE bomb": faults.hostileXml(500, faults.doctypeBomb),
  "a DOCTYPE bomb as success": faults.hostileXml(200, faults.doctypeBomb),
  "a million entities": faults.hostileXml(500, faults.entityFlood),
  "256 MiB of XML": faults.hostileXml(200, faults.endlessXml),
  "1 B/s": faults.slow,
  "no answer": faults.hang,
};

/** All of them take minutes: `npm run s3` names the servers on which all are run. On others one of so many is. */
const allOn = process.env.S3_FAULTS?.split(",") ?? [];
const ONE_OF = { minio: 11, versitygw: 33 } as const;

for (const kind of S3_KINDS)
  describe.skipIf(!hasS3Server(kind))(`a push while S3 fails, on ${kind} (conformance/provision builds it)`, () =>
    testFaults(kind),
  );

function testFaults(kind: S3Kind): void {
  let server: S3Server;
  let proxy: faults.FaultProxy;
  let app: TestApp;
  const acknowledged: { readonly digest: string; readonly bytes: number }[] = [];
  let [firstRss, peakRss] = [0, 0];
  beforeAll(async () => {
    server = await startS3Server(kind);
    Object.assign(process.env, server.env);
    proxy = await faults.openFaultProxy(server.endpoint);
    // The collector keeps an object of its own in the bucket.
    const env = { GOLDSEAL_BLOBS: `${server.url("b", proxy.endpoint)}&timeout=1`, GOLDSEAL_GC_EVERY_MINUTES: "off" };
    app = await openTestApp(env);
    for (let i = 0; i < 3; i++) await inChunks(1)(app, randomBytes(9_000 * kib));
    firstRss = process.memoryUsage.rss();
  });
  afterEach(() => {
    proxy.set(undefined);
    peakRss = Math.max(peakRss, process.memoryUsage.rss());
  });
  afterAll(async () => {
    await app[Symbol.asyncDispose]();
    await proxy.close();
    await server.stop();
  });

  async function pushOnce(push: Push, bytes: number): Promise<Answer> {
    const content = randomBytes(bytes);
    const began = performance.now();
    const answer = await push(app, content);
    expect(performance.now() - began).toBeLessThan(30_000);
    if (answer.status === 201) acknowledged.push({ digest: digestOf(content), bytes });
    return answer;
  }

  const all = Object.entries(PATHS).flatMap(([path, { operations }]) =>
    operations.flatMap((operation) => Object.keys(FAULTS).map((fault) => [fault, operation, path] as const)),
  );
  const rows = allOn.includes(kind) ? all : all.filter((_, index) => index % ONE_OF[kind] === 0);

  it.each(rows)("%s to %s of %s: once is not noticed, always is 503 with at most 3 retries", async (name, op, path) => {
    const { push, bytes } = PATHS[path as keyof typeof PATHS];
    const act = FAULTS[name] ?? faults.hang;

    proxy.set({ operation: op, act, times: 1 });
    const once = await pushOnce(push, bytes);
    const metOnce = proxy.met;
    proxy.set({ operation: op, act });
    const always = await pushOnce(push, bytes);
    const met = proxy.met;
    proxy.set(undefined);

    expect([once.status, metOnce]).toEqual([201, 1]);
    // What was done may be seen to be done, whatever the answer was.
    if (always.status !== 201) {
      expect([always.status, always.code]).toEqual([503, "UNAVAILABLE"]);
      expect(always.headers["retry-after"]).toBe("5");
    }
    // Two parts are on their way at once.
    expect(met).toBeGreaterThan(0);
    expect(met).toBeLessThanOrEqual(op === "part" ? 8 : 4);
    expect((await pushOnce(push, bytes)).status).toBe(201);
  });

  it.each(["put", "part", "complete"] as const)("a wrong ETag of %s loses nothing", async (operation) => {
    proxy.set({ operation, act: faults.wrongETag });

    const { status } = await pushOnce(operation === "put" ? whole : inChunks(1), 9_000 * kib);

    expect(status).toBe(operation === "part" ? 503 : 201);
  });

  it("403 AccessDenied is 503 at once: asking again would not help", async () => {
    proxy.set({ operation: "put", act: faults.refuse(403, "AccessDenied") });

    const { status } = await pushOnce(whole, 1000);

    expect([status, proxy.met]).toEqual([503, 1]);
  });

  it("NoSuchUpload for an upload that is really gone is 503, and the next push is well", async () => {
    proxy.set({ operation: "complete", act: faults.refuse(404, "NoSuchUpload") });

    expect((await pushOnce(inChunks(1), 9_000 * kib)).status).toBe(503);
    proxy.set(undefined);

    expect((await pushOnce(inChunks(1), 9_000 * kib)).status).toBe(201);
  });

  it("507 when the bucket is full", async () => {
    proxy.set({ operation: "put", act: faults.refuse(507, "XMinioStorageFull") });

    const { status, code } = await pushOnce(whole, 1000);

    expect([status, code]).toEqual([507, "INSUFFICIENT_STORAGE"]);
  });

  it.each(["reset", "stall"])("a pull goes on where a %s of the bucket's connection left it", async (name) => {
    const { digest = "" } = acknowledged.find(({ bytes }) => bytes > 1_000_000) ?? {};
    const act: faults.Act = async ({ incoming, outgoing, forward }) => {
      const answer = await forward();
      outgoing.writeHead(206, answer.headers);
      let sent = 0;
      for await (const piece of answer) {
        outgoing.write(piece);
        sent += piece.length;
        if (sent > 3_000_000) break;
      }
      if (name === "reset") incoming.socket.resetAndDestroy();
    };
    proxy.set({ operation: "get", act, times: 2 });

    const pulled = await app.ask("GET", `/v2/alice/faults/blobs/${digest}`, place);

    expect([pulled.status, proxy.met]).toEqual([200, 2]);
    expect(digestOf(pulled.body)).toBe(digest);
  });

  it("503 for a pull when the bucket cannot be asked, and a later one is well", async () => {
    const { digest = "" } = acknowledged.find(({ bytes }) => bytes > 64 * kib) ?? {};
    proxy.set({ operation: "head", act: faults.refuse(500, "InternalError") });

    const failed = await app.ask("GET", `/v2/alice/faults/blobs/${digest}`, place);
    proxy.set(undefined);
    const pulled = await app.ask("GET", `/v2/alice/faults/blobs/${digest}`, place);

    expect([failed.status, failed.code, failed.headers["retry-after"]]).toEqual([503, "UNAVAILABLE", "5"]);
    expect(digestOf(pulled.body)).toBe(digest);
  });

  it("has lost nothing it acknowledged, and memory stayed flat", async () => {
    expect(acknowledged.length).toBeGreaterThan(rows.length * 2);
    for (const { digest } of acknowledged) {
      const { body } = await app.ask("GET", `/v2/alice/faults/blobs/${digest}`, place);
      expect(digestOf(body)).toBe(digest);
    }
    expect((peakRss - firstRss) / kib / kib).toBeLessThan(200);
  }, 600_000);

  function openStore(failpoint: (name: string) => Promise<void>): S3BlobStore {
    const settings = { bucket: server.bucket, prefix: "b", endpoint: proxy.endpoint, timeoutSeconds: 5 };
    return new S3BlobStore({
      database: app.database,
      bucket: new S3Bucket(settings, { hasChecksums: true }),
      failpoint,
    });
  }

  async function sweepADayLater(): Promise<void> {
    for (const table of ["s3_objects", "upload_sessions"])
      await app.database.query("", `update ${table} set touched_at = now() - interval '25 hours'`);
    const blobs = openStore(async () => undefined);
    await sweepUploads({ uploads: new UploadStore(app.database), blobs, ttlHours: 24 });
  }

  it("leaves no part and no object to a sweep a day later, though the bucket refused an earlier one", async () => {
    proxy.set({ operation: "remove", act: faults.refuse(500, "InternalError") });
    await sweepADayLater();
    proxy.set(undefined);
    await sweepADayLater();

    const left = await app.database.query<{ key: string; state: string }>("", "select key, state from s3_objects");
    expect(left.filter(({ state }) => state !== "blob")).toEqual([]);
    expect((await listObjects(server)).sort()).toEqual(left.map(({ key }) => `b/${key.slice(0, 2)}/${key}`).sort());
    expect(uploadFiles(server)).toEqual([]);
  });

  it("ends an upload whose process died, though the bucket's list of uploads is stale", async () => {
    let reached = 0;
    const dying = openStore(async (name) => {
      if (name !== "mpu.afterPart") return;
      reached++;
      await new Promise(() => undefined);
    });
    async function* content(): AsyncGenerator<Buffer> {
      yield randomBytes(9_000 * kib);
    }
    void dying.writeSegment(content(), "sha256");
    await expect.poll(() => reached).toBe(2);
    expect(uploadFiles(server)).not.toEqual([]);
    proxy.set({ operation: "list", act: faults.staleList });

    await sweepADayLater();

    expect(uploadFiles(server)).toEqual([]);
  });
}
