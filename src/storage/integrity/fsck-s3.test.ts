import { randomBytes } from "node:crypto";
import {
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  PutObjectCommand,
  S3Client,
  UploadPartCommand,
} from "@aws-sdk/client-s3";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { hasS3Server, S3_KINDS, type S3Server, startS3Server } from "../../../conformance/harness/s3-servers.ts";
import { digestOf, type Place, pushBlob, startUpload } from "../../testing/images.ts";
import { openTestApp, type TestApp } from "../../testing/open-test-app.ts";

const MIB = 1024 * 1024;
/** Where servers differ: MinIO lists uploads by whole keys alone, so those without a row cannot be found there. */
const FINDS_UPLOADS = { minio: false, versitygw: true } as const;

for (const kind of S3_KINDS) {
  describe.skipIf(!hasS3Server(kind))(`goldseal fsck on ${kind} (conformance/provision builds it)`, () => {
    let server: S3Server;
    let client: S3Client;
    let app: TestApp;
    let place: Place;
    beforeAll(async () => {
      server = await startS3Server(kind);
      Object.assign(process.env, server.env);
      client = new S3Client({ endpoint: server.endpoint, forcePathStyle: true, region: "us-east-1" });
      app = await openTestApp({ GOLDSEAL_BLOBS: server.url("blobs"), GOLDSEAL_GC_EVERY_MINUTES: "off" });
      place = { app, as: "alice", repository: "alice/fsck" };
    });
    afterAll(async () => {
      expect(new Set(app.errors().map(({ event }) => event))).toEqual(new Set(["bitrot.found"]));
      await app[Symbol.asyncDispose]();
      client.destroy();
      await server.stop();
    });

    const at = (key: string) => ({ Bucket: server.bucket, Key: `blobs/${key.slice(0, 2)}/${key}` });
    async function keysOf(digest: string, table = "s3_objects"): Promise<string[]> {
      const rows = await app.database.query<{ key: string }>(
        "",
        `select key from ${table} where digest = $1 order by position`,
        [digest],
      );
      return rows.map(({ key }) => key);
    }
    async function rewrite(key: string, change: (bytes: Buffer) => Uint8Array): Promise<void> {
      const { Body } = await client.send(new GetObjectCommand(at(key)));
      const bytes = Buffer.from((await Body?.transformToByteArray()) ?? []);
      await client.send(new PutObjectCommand({ ...at(key), Body: change(bytes) }));
    }
    const flipped = (bytes: Buffer): Buffer => {
      bytes.writeUInt8(bytes.readUInt8(0) ^ 1, 0);
      return bytes;
    };
    async function fsck(body: object): Promise<{ lines: string[]; reason: unknown }> {
      const begun = await app.ask("POST", "/api/v1/fsck", { as: "admin", body: JSON.stringify(body) });
      const path = `/api/v1/fsck/${JSON.parse(begun.body.toString()).id}`;
      const read = async (rest = "") =>
        JSON.parse((await app.ask("GET", `${path}${rest}`, { as: "admin" })).body.toString());
      let run = await read();
      while (run.state === "running") run = await read();
      expect([run.state, run.skipped]).toEqual(["done", 0]);
      const { findings } = await read("/findings");
      const toLine = (one: Record<string, string>) => `${one.kind} ${one.name} ${one.reason} ${one.action}`;
      return { lines: findings.map(toLine).sort(), reason: run.reason };
    }
    const statusOf = async (digest: string, method = "GET") =>
      (await app.ask(method, `/v2/alice/fsck/blobs/${digest}`, { as: "alice" })).status;
    /** In chunks that stay objects of their own. */
    async function pushChunks(content: Buffer): Promise<string> {
      const upload = await startUpload(place);
      for (let from = 0; from < content.length; from += 6 * MIB) {
        const body = content.subarray(from, from + 6 * MIB);
        expect((await app.ask("PATCH", upload, { as: "alice", body })).status).toBe(202);
      }
      const digest = digestOf(content);
      expect((await app.ask("PUT", `${upload}?digest=${digest}`, { as: "alice" })).status).toBe(201);
      return digest;
    }

    it.each<[string, string, string, (key: string) => Promise<unknown>]>([
      ["a flipped byte", "digest", "sha256", (key) => rewrite(key, flipped)],
      ["a flipped byte", "digest", "sha512", (key) => rewrite(key, flipped)],
      ["fewer bytes", "size", "sha256", (key) => rewrite(key, (bytes) => bytes.subarray(1))],
      ["no object", "missing", "sha256", (key) => client.send(new DeleteObjectCommand(at(key)))],
    ])(
      "finds %s (%s, %s), keeps what is there, and the next push heals it",
      async (_what, reason, algorithm, damage) => {
        const content = randomBytes(1000);
        const digest = await pushBlob(place, content, algorithm);
        const [key = ""] = await keysOf(digest);
        await damage(key);

        expect((await fsck({ all: true })).lines).toEqual([`blob ${digest} ${reason} none`]);
        expect((await fsck({ all: true, repair: true })).lines).toEqual([`blob ${digest} ${reason} quarantined`]);

        expect([await statusOf(digest), await statusOf(digest, "HEAD")]).toEqual([404, 404]);
        expect(await keysOf(digest, "s3_quarantine")).toEqual(reason === "missing" ? [] : [key]);
        await pushBlob(place, content, algorithm);
        const pulled = await app.ask("GET", `/v2/alice/fsck/blobs/${digest}`, { as: "alice" });
        expect(pulled.body.equals(content)).toBe(true);
        expect((await fsck({ all: true })).lines).toEqual([]);
      },
    );

    it("finds damage in one of several objects of a blob, and a push of one piece or of several heals it", async () => {
      const content = randomBytes(13 * MIB);
      const digest = await pushChunks(content);
      const keys = await keysOf(digest);
      expect(keys.length).toBeGreaterThan(1);
      await rewrite(keys[1] ?? "", flipped);
      expect((await fsck({ all: true, repair: true })).lines).toEqual([`blob ${digest} digest quarantined`]);
      expect(await keysOf(digest, "s3_quarantine")).toEqual(keys);
      await pushBlob(place, content);
      expect((await fsck({ all: true })).lines).toEqual([]);

      const [only = ""] = await keysOf(digest);
      await client.send(new DeleteObjectCommand(at(only)));
      expect((await fsck({ repair: true })).lines).toEqual([`blob ${digest} missing quarantined`]);
      await pushChunks(content);
      const pulled = await app.ask("GET", `/v2/alice/fsck/blobs/${digest}`, { as: "alice" });
      expect(pulled.body.equals(content)).toBe(true);
      expect((await fsck({ all: true })).lines).toEqual([]);
    });

    it("puts back what it set aside, once that is whole again", async () => {
      const digest = await pushBlob(place, "an object that recovers");
      const [key = ""] = await keysOf(digest);
      await rewrite(key, flipped);
      await fsck({ all: true, repair: true });
      await rewrite(key, flipped);

      expect((await fsck({})).lines).toEqual([`blob ${digest} healthy none`]);
      expect((await fsck({ repair: true })).lines).toEqual([`blob ${digest} healthy lifted`]);

      expect([await keysOf(digest), await statusOf(digest)]).toEqual([[key], 200]);
      expect((await fsck({ all: true })).lines).toEqual([]);
    });

    it("lists objects and uploads that no row knows, leaves them, and minds no piece of a push under way", async () => {
      const upload = await startUpload(place);
      await app.ask("PATCH", upload, { as: "alice", body: Buffer.from("half a blob") });
      await app.database.query("", "insert into s3_objects (key) values ($1)", ["a".repeat(32)]);
      await client.send(new CreateMultipartUploadCommand(at("a".repeat(32))));
      expect((await fsck({ all: true })).lines).toEqual([]);
      const [object, unfinished] = ["b".repeat(32), "c".repeat(32)];
      await client.send(new PutObjectCommand({ ...at(object), Body: "of a later database" }));
      await client.send(new PutObjectCommand({ Bucket: server.bucket, Key: "blobs/not-ours.txt", Body: "x" }));
      const { UploadId } = await client.send(new CreateMultipartUploadCommand(at(unfinished)));
      await client.send(new UploadPartCommand({ ...at(unfinished), UploadId, PartNumber: 1, Body: "part" }));

      const { lines } = await fsck({ repair: true });

      const uploads = FINDS_UPLOADS[kind] ? [`upload ${unfinished} surplus none`] : [];
      expect(lines).toEqual([`object ${object} surplus none`, ...uploads]);
      expect((await fsck({})).lines).toEqual(lines);
    });

    it("finds blobs whose rows an older database has not, once no push can be writing them", async () => {
      const digest = await pushBlob(place, "pushed after the backup");
      await app.database.query("", "delete from repository_blobs where digest = $1", [digest]);
      await app.database.query("", "delete from blobs where digest = $1", [digest]);
      const surplus = async (body: object) => {
        const { lines, reason } = await fsck(body);
        return { lines: lines.filter((line) => line.startsWith("blob")), reason };
      };
      expect((await surplus({})).lines).toEqual([]);
      await app.database.query("", "update s3_objects set touched_at = now() - interval '61 minutes'");

      expect((await surplus({})).lines).toEqual([`blob ${digest} surplus none`]);
      expect((await surplus({ repair: true })).reason).toMatch(/gc --after-restore/);

      const held = await app.ask("POST", "/api/v1/gc", { as: "admin", body: "{}" });
      const path = `/api/v1/gc/${JSON.parse(held.body.toString()).id}`;
      const read = async () => JSON.parse((await app.ask("GET", path, { as: "admin" })).body.toString()).state;
      let state = await read();
      while (state === "running") state = await read();
      expect(state).toBe("held");
    });
  });
}
