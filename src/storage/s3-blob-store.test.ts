import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { hasS3Server, S3_KINDS } from "../../conformance/harness/s3-servers.ts";
import { type Digest, digestOf } from "../oci/digest.ts";
import { openS3Room, type S3Room } from "../testing/s3-room.ts";
import { blobStoreContract } from "./blob-store.contract.ts";
import type { S3BlobStore } from "./s3-blob-store.ts";
import { partBytes } from "./s3-object-writer.ts";
import { sweepUploads } from "./sweep.ts";
import { UploadStore } from "./upload-store.ts";

const mib = 1024 * 1024;

async function* stream(content: Buffer, step = 300_000): AsyncGenerator<Buffer> {
  for (let at = 0; at < content.length; at += step) yield content.subarray(at, at + step);
}

async function read(store: S3BlobStore, digest: Digest): Promise<Buffer> {
  const reader = await store.open(digest);
  const pieces: Uint8Array[] = [];
  for await (const chunk of reader?.chunks(0, reader.size - 1) ?? []) pieces.push(Uint8Array.from(chunk));
  return Buffer.concat(pieces);
}

it("has parts that grow, so that one object takes 10,000 of them and 172 GiB, none above what a worker holds twice", () => {
  const sizes = Array.from({ length: 10_000 }, (_, index) => partBytes(index + 1));

  expect(sizes.reduce((sum, size) => sum + size, 0) / 1024 ** 3).toBe(171.875);
  expect([Math.min(...sizes), Math.max(...sizes)]).toEqual([8 * mib, 32 * mib]);
});

for (const kind of S3_KINDS) {
  describe.skipIf(!hasS3Server(kind))(`on ${kind} (conformance/provision builds it)`, () => {
    let room: S3Room;
    beforeAll(async () => {
      room = await openS3Room(kind);
    });
    afterAll(() => room[Symbol.asyncDispose]());

    blobStoreContract("S3BlobStore", async () => ({ store: room.openStore(), close: async () => undefined }));

    /** Everything that is not a blob goes, as if a day had passed. */
    async function sweepAll(): Promise<void> {
      await room.database.query("", "update s3_objects set touched_at = now() - interval '25 hours'");
      await sweepUploads({ uploads: new UploadStore(room.database), blobs: room.openStore(), ttlHours: 24 });
    }

    const rowsOf = (digest: Digest) =>
      room.database.query<{ key: string; size: string }>(
        "",
        "select key, size from s3_objects where digest = $1 and state = 'blob' order by position",
        [digest],
      );

    it.each([
      ["just one part", 8 * mib],
      ["a part and one byte", 8 * mib + 1],
      ["four parts and a bit", 32 * mib + 12_345],
    ])("writes %s once, under the key it keeps", async (_, size) => {
      const [store, content] = [room.openStore(), randomBytes(size)];
      await sweepAll();
      const before = await room.objects();

      const { name, digest } = await store.writeSegment(stream(content), "sha256");
      const written = await room.objects();
      await store.publish([name], digest, digest);
      await store.discard([name]);

      expect(await room.objects()).toEqual(written);
      expect(written.filter((key) => !before.includes(key))).toEqual([`blobs/${name.slice(0, 2)}/${name}`]);
      expect((await read(room.openStore(), digest)).equals(content)).toBe(true);
      expect(room.uploadFiles()).toEqual([]);
    });

    it("goes on with growing parts in their order, however late the first is acknowledged", async () => {
      const store = room.openStore({ partBytes: (number) => (number < 3 ? 5 : 7) * mib });
      const content = randomBytes(30 * mib + 7);

      const { name, digest } = await store.writeSegment(stream(content, 1_000_003), "sha512");
      await store.publish([name], digest, digest);

      expect(digest).toBe(digestOf(content, "sha512"));
      expect((await read(store, digest)).equals(content)).toBe(true);
      expect(await room.database.query("", "select * from s3_parts where key = $1", [name])).toEqual([]);
    });

    it("puts small pieces together, leaves large ones where they are, whichever process wrote them", async () => {
      await sweepAll();
      const before = await room.objects();
      const sizes = [100, 5 * mib - 1, 6 * mib, 3, 8 * mib + 5, 1, 2];
      const pieces = sizes.map((size) => randomBytes(size));
      const names: string[] = [];
      for (const piece of pieces) names.push((await room.openStore().writeSegment(stream(piece), "sha256")).name);
      const digest = digestOf(Buffer.concat(pieces));

      const size = await room.openStore().publish(names, digest);
      await room.openStore().discard(names);

      expect(size).toBe(sizes.reduce((sum, each) => sum + each, 0));
      const rows = await rowsOf(digest);
      expect(rows.map((row) => Number(row.size))).toEqual([5 * mib + 99, 6 * mib, 3, 8 * mib + 5, 3]);
      expect([rows[1]?.key, rows[3]?.key]).toEqual([names[2], names[4]]);
      expect((await room.objects()).length - before.length).toBe(5);
      expect((await read(room.openStore(), digest)).equals(Buffer.concat(pieces))).toBe(true);
    });

    it("keeps one of the same bytes that are stored by many at once, and the other objects go", async () => {
      await sweepAll();
      const before = await room.objects();
      const content = randomBytes(9 * mib);

      const stored = Array.from({ length: 4 }, async () => {
        const store = room.openStore();
        const { name, digest } = await store.writeSegment(stream(content), "sha256");
        await store.publish([name], digest, digest);
        await store.discard([name]);
      });
      await Promise.all(stored);

      expect(await rowsOf(digestOf(content))).toHaveLength(1);
      expect((await room.objects()).length - before.length).toBe(1);
    });

    it("mends a blob whose object was taken away or cut off from outside with the next push of its bytes", async () => {
      const content = randomBytes(1000);
      const [store, bucket] = [room.openStore(), room.openBucket()];
      for (const harm of ["none", "gone", "cut"]) {
        const [{ key = "" } = {}] = await rowsOf(digestOf(content));
        if (harm === "gone") await bucket.remove(key);
        if (harm === "cut") await bucket.put(key, content.subarray(1));
        if (harm !== "none") expect(await store.open(digestOf(content))).toBeUndefined();

        const { name, digest } = await store.writeSegment(stream(content), "sha256");
        await store.publish([name], digest, digest);
        await store.discard([name]);

        expect((await read(store, digest)).equals(content)).toBe(true);
      }
    });

    it("leaves no part of a piece whose source breaks off after several", async () => {
      await sweepAll();
      const before = await room.objects();
      async function* broken(): AsyncGenerator<Buffer> {
        yield* stream(randomBytes(27 * mib));
        throw new Error("the client went away");
      }

      await expect(room.openStore().writeSegment(broken(), "sha256")).rejects.toThrow("the client went away");

      expect([await room.objects(), room.uploadFiles()]).toEqual([before, []]);
      expect(await room.database.query("", "select 1 from s3_objects where state <> 'blob'")).toEqual([]);
    });

    it.each(["mpu.afterPart", "mpu.beforeComplete", "mpu.afterComplete", "upload.afterSync"])(
      "finds with the sweep what a process left that ended at %s, an upload without a recorded id too",
      async (point) => {
        await sweepAll();
        const before = await room.objects();
        let reached = 0;
        const failpoint = async (name: string): Promise<void> => {
          if (name !== point) return;
          reached++;
          await new Promise(() => undefined);
        };
        void room.openStore({ failpoint }).writeSegment(stream(randomBytes(20 * mib)), "sha256");
        // All three parts are on their way at once.
        await expect.poll(() => reached).toBe(point === "mpu.afterPart" ? 3 : 1);
        expect([await room.objects(), room.uploadFiles()]).not.toEqual([before, []]);
        if (point === "mpu.afterPart") await room.database.query("", "update s3_objects set upload_id = null");

        await sweepAll();

        expect([await room.objects(), room.uploadFiles()]).toEqual([before, []]);
        expect(await room.database.query("", "select 1 from s3_objects where state <> 'blob'")).toEqual([]);
      },
    );

    it("refuses to end an object that was swept while it was written", async () => {
      const store = room.openStore();
      async function* swept(): AsyncGenerator<Buffer> {
        yield* stream(randomBytes(10 * mib));
        await room.database.query("", "update s3_objects set state = 'doomed' where state = 'writing'");
        yield* stream(randomBytes(10 * mib));
      }

      await expect(store.writeSegment(swept(), "sha256")).rejects.toMatchObject({ code: "BLOB_UPLOAD_UNKNOWN" });
    });
  });
}
