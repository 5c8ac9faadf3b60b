import { randomBytes } from "node:crypto";
import { describe, expect, it } from "vitest";
import { type Digest, digestOf } from "../oci/digest.ts";
import type { BlobStore } from "./blob-store.ts";

const MIB = 1024 * 1024;

/** What every backend promises. `open` gives a store that holds nothing. */
export function blobStoreContract(backend: string, open: () => Promise<BlobStore>): void {
  describe(`${backend} keeps the BlobStore contract`, () => {
    it("gives back the bytes of a piece under their digest, whole and any part", async () => {
      const blobs = await open();
      const content = randomBytes(3 * MIB + 7);

      const { name, size, digest } = await blobs.writeSegment(inPackets(content), "sha256");
      await blobs.publish([name], digest, digest);

      expect([size, digest]).toEqual([content.length, digestOf(content)]);
      expect((await read(blobs, digest))?.equals(content)).toBe(true);
      const part = await read(blobs, digest, [MIB - 1, 2 * MIB + 3]);
      expect(part?.equals(content.subarray(MIB - 1, 2 * MIB + 4))).toBe(true);
    });

    it.each([
      ["small", [10, 1, 200]],
      ["as large as a buffer", [MIB, MIB, MIB]],
      ["larger than a buffer", [1.5 * MIB, 1.5 * MIB, 5 * MIB + 1, 3]],
      ["empty among others", [2 * MIB + 5, 0, 9]],
    ])("joins pieces that are %s, byte for byte", async (_, sizes) => {
      const blobs = await open();
      const pieces = sizes.map((size) => randomBytes(size));
      const content = Buffer.concat(pieces);

      const names: string[] = [];
      for (const piece of pieces) names.push((await blobs.writeSegment(inPackets(piece), "sha256")).name);
      const size = await blobs.publish(names, digestOf(content, "sha512"));

      expect(size).toBe(content.length);
      expect((await read(blobs, digestOf(content, "sha512")))?.equals(content)).toBe(true);
    });

    it("keeps no blob when the pieces do not hash to the expected digest", async () => {
      const blobs = await open();
      const { name, digest } = await blobs.writeSegment(inPackets(Buffer.from("tampered")), "sha256");

      const publish = blobs.publish([name], digestOf("honest"), digest);

      await expect(publish).rejects.toMatchObject({ code: "DIGEST_INVALID" });
      expect(await blobs.open(digestOf("honest"))).toBeUndefined();
    });

    it("answers BLOB_UPLOAD_UNKNOWN for a piece that is gone, and discards what is not there in silence", async () => {
      const blobs = await open();
      const { name, digest } = await blobs.writeSegment(inPackets(Buffer.from("x")), "sha256");

      await blobs.discard([name]);
      await blobs.discard([name]);

      await expect(blobs.publish([name], digest)).rejects.toMatchObject({ code: "BLOB_UPLOAD_UNKNOWN" });
    });

    it("keeps nothing of a piece whose content breaks off", async () => {
      const blobs = await open();
      async function* broken(): AsyncGenerator<Uint8Array> {
        yield randomBytes(2 * MIB);
        throw new Error("the client went away");
      }

      await expect(blobs.writeSegment(broken(), "sha256")).rejects.toThrow("the client went away");

      expect(await blobs.listIdleSegments(-60_000)).toEqual([]);
    });

    it("publishes the same bytes twice, also at the same moment", async () => {
      const blobs = await open();
      const content = randomBytes(2 * MIB);
      const segments = await Promise.all([1, 2].map(() => blobs.writeSegment(inPackets(content), "sha256")));

      await Promise.all(segments.map(({ name, digest }) => blobs.publish([name], digest, digest)));
      await blobs.discard(segments.map(({ name }) => name));

      expect((await read(blobs, digestOf(content)))?.equals(content)).toBe(true);
    });
  });
}

/** As the network brings it. */
async function* inPackets(content: Buffer): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < content.length; at += 65_536) yield content.subarray(at, at + 65_536);
}

async function read(blobs: BlobStore, digest: Digest, range?: [number, number]): Promise<Buffer | undefined> {
  const reader = await blobs.open(digest);
  if (reader === undefined) return undefined;
  const chunks: Buffer[] = [];
  const [first, last] = range ?? [0, reader.size - 1];
  for await (const chunk of reader.chunks(first, last)) chunks.push(Buffer.from(chunk));
  await reader.close();
  return Buffer.concat(chunks);
}
