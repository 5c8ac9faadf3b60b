import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Digest, digestOf } from "../oci/digest.ts";
import type { BlobStore } from "./blob-store.ts";

export interface OpenedStore {
  readonly store: BlobStore;
  close(): Promise<void>;
}

/** What every backend of {@link BlobStore} keeps. */
export function blobStoreContract(backend: string, open: () => Promise<OpenedStore>): void {
  describe(`${backend} keeps the BlobStore contract`, () => {
    let opened: OpenedStore;
    let store: BlobStore;
    beforeAll(async () => {
      opened = await open();
      store = opened.store;
    });
    afterAll(() => opened.close());

    const write = (...pieces: (string | Buffer)[]) => store.writeSegment(stream(pieces), "sha256");

    it("has nothing under a digest that was never published", async () => {
      expect(await store.open(digestOf("never"))).toBeUndefined();
    });

    it("hashes and counts a piece while it is written, in both algorithms", async () => {
      const one = await write("hel", "", "lo");
      const other = await store.writeSegment(stream(["hello"]), "sha512");

      expect(one).toMatchObject({ size: 5, digest: digestOf("hello") });
      expect(other).toMatchObject({ size: 5, digest: digestOf("hello", "sha512") });
      expect(one.name).not.toBe(other.name);
    });

    it.each([0, 1, 1_000_000, 1_048_576, 1_048_577, 5_000_000])(
      "gives back %i bytes as they were written",
      async (size) => {
        const content = randomBytes(size);
        const { name, digest } = await write(...split(content, 77_777));

        expect(await store.publish([name], digest, digest)).toBe(size);

        expect((await read(store, digest)).equals(content)).toBe(true);
      },
    );

    it("makes one blob of several pieces, in their order, and hashes them itself", async () => {
      const pieces = [await write("one "), await write("two "), await write("three")].map(({ name }) => name);

      expect(await store.publish(pieces, digestOf("one two three"))).toBe(13);

      expect(String(await read(store, digestOf("one two three")))).toBe("one two three");
      await expect(store.publish(pieces.toReversed(), digestOf("one two three"))).rejects.toMatchObject({
        code: "DIGEST_INVALID",
      });
    });

    it.each([
      ["as large as a reader's buffer", [1_048_576, 1_048_576, 1_048_576]],
      ["larger than a reader's buffer", [1_500_000, 5_000_001, 3]],
      ["empty among others", [2_100_000, 0, 9]],
    ])("joins pieces that are %s, byte for byte", async (_, sizes) => {
      const pieces = sizes.map((size) => randomBytes(size));
      const content = Buffer.concat(pieces);
      const names: string[] = [];
      for (const piece of pieces) names.push((await write(...split(piece, 77_777))).name);

      expect(await store.publish(names, digestOf(content, "sha512"))).toBe(content.length);

      expect((await read(store, digestOf(content, "sha512"))).equals(content)).toBe(true);
    });

    it("makes the empty blob of no pieces", async () => {
      expect(await store.publish([], digestOf(""))).toBe(0);

      expect((await read(store, digestOf(""))).length).toBe(0);
    });

    it("publishes by another algorithm than a piece was written with", async () => {
      const { name } = await write("by sha512");

      await store.publish([name], digestOf("by sha512", "sha512"));

      expect(String(await read(store, digestOf("by sha512", "sha512")))).toBe("by sha512");
      expect(await store.open(digestOf("by sha512"))).toBeUndefined();
    });

    it("keeps nothing under a digest that the bytes do not hash to, and the pieces stay", async () => {
      const { name, digest } = await write("tampered");

      for (const known of [undefined, digest])
        await expect(store.publish([name], digestOf("honest"), known)).rejects.toMatchObject({
          code: "DIGEST_INVALID",
        });

      expect(await store.open(digestOf("honest"))).toBeUndefined();
      expect(await store.publish([name], digest)).toBe(8);
    });

    it("answers BLOB_UPLOAD_UNKNOWN when a piece is gone", async () => {
      const [kept, gone] = [await write("kept"), await write("gone")];
      await store.discard([gone.name]);

      for (const pieces of [[gone.name], [kept.name, gone.name]])
        await expect(store.publish(pieces, digestOf("keptgone"))).rejects.toMatchObject({
          code: "BLOB_UPLOAD_UNKNOWN",
        });
    });

    it("publishes the same content again, also when 16 do at once", async () => {
      const pieces = await Promise.all(Array.from({ length: 16 }, () => write("the same")));

      const sizes = await Promise.all(pieces.map(({ name, digest }) => store.publish([name], digest, digest)));
      await store.discard(pieces.map(({ name }) => name));

      expect(new Set(sizes)).toEqual(new Set([8]));
      expect(String(await read(store, digestOf("the same")))).toBe("the same");
    });

    it("keeps a published blob when its pieces are discarded, and does not miss those that are gone", async () => {
      const { name, digest } = await write("outlives its piece");
      await store.publish([name], digest, digest);

      await store.discard([name]);
      await store.discard([name]);

      expect(String(await read(store, digest))).toBe("outlives its piece");
    });

    it("reads any part, and throws where fewer bytes are there", async () => {
      const content = randomBytes(2_500_000);
      const { name, digest } = await write(...split(content, 100_000));
      await store.publish([name], digest, digest);
      const reader = await store.open(digest);
      if (reader === undefined) throw new Error("the blob is gone");

      for (const [first, last] of [
        [0, 0],
        [5, 1_048_580],
        [1_048_575, 1_048_576],
        [2_499_999, 2_499_999],
        [0, 2_499_999],
      ] as const)
        expect((await gather(reader.chunks(first, last))).equals(content.subarray(first, last + 1))).toBe(true);
      await expect(gather(reader.chunks(2_000_000, 2_500_000))).rejects.toThrow();
      await reader.close();
    });

    it("serves 8 readers of one blob at once, some of which stop in the middle", async () => {
      const content = randomBytes(3_000_000);
      const { name, digest } = await write(...split(content, 500_000));
      await store.publish([name], digest, digest);

      const whole = Array.from({ length: 4 }, () => read(store, digest));
      const broken = Array.from({ length: 4 }, async () => {
        const reader = await store.open(digest);
        for await (const _ of reader?.chunks(0, 2_999_999) ?? []) break;
        await reader?.close();
      });

      await Promise.all(broken);
      for (const got of await Promise.all(whole)) expect(got.equals(content)).toBe(true);
    });

    it("keeps nothing of a piece whose source breaks off", async () => {
      const before = await store.listIdleSegments(-1_000);
      async function* broken(): AsyncGenerator<Buffer> {
        yield randomBytes(2_000_000);
        throw new Error("the client went away");
      }

      await expect(store.writeSegment(broken(), "sha256")).rejects.toThrow("the client went away");

      expect(await store.listIdleSegments(-1_000)).toEqual(before);
    });

    it("lists pieces by how long nobody wrote to them", async () => {
      const { name } = await write("idle");

      expect(await store.listIdleSegments(60_000)).not.toContain(name);
      expect(await store.listIdleSegments(-1_000)).toContain(name);
    });

    it.each(["", "..", "../blobs", "0", "g".repeat(32), `${"0".repeat(31)}/`, `${"0".repeat(32)}\0`])(
      "makes no path of a name that it did not give: %j",
      async (name) => {
        await expect(store.publish([name], digestOf("x"))).rejects.toMatchObject({ code: "BLOB_UPLOAD_INVALID" });
        await expect(store.discard([name])).rejects.toMatchObject({ code: "BLOB_UPLOAD_INVALID" });
      },
    );
  });
}

async function* stream(pieces: readonly (string | Buffer)[]): AsyncGenerator<Buffer> {
  for (const piece of pieces) yield Buffer.from(piece);
}

function split(content: Buffer, size: number): Buffer[] {
  return Array.from({ length: Math.ceil(content.length / size) }, (_, index) =>
    content.subarray(index * size, (index + 1) * size),
  );
}

async function read(store: BlobStore, digest: Digest): Promise<Buffer> {
  const reader = await store.open(digest);
  if (reader === undefined) throw new Error(`no blob ${digest}`);
  try {
    return await gather(reader.chunks(0, reader.size - 1));
  } finally {
    await reader.close();
  }
}

/** Copies each piece: it is valid only until the next is asked for. */
async function gather(chunks: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  for await (const chunk of chunks) pieces.push(Uint8Array.from(chunk));
  return Buffer.concat(pieces);
}
