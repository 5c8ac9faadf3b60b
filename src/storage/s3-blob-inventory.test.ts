import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { hasS3Server, S3_KINDS } from "../../conformance/harness/s3-servers.ts";
import type { Digest } from "../oci/digest.ts";
import { openS3Room, type S3Room } from "../testing/s3-room.ts";
import { S3BlobInventory } from "./s3-blob-inventory.ts";

for (const kind of S3_KINDS) {
  describe.skipIf(!hasS3Server(kind))(`S3BlobInventory on ${kind} (conformance/provision builds it)`, () => {
    let room: S3Room;
    let inventory: S3BlobInventory;
    beforeAll(async () => {
      room = await openS3Room(kind);
      inventory = new S3BlobInventory({ database: room.database, bucket: room.openBucket() });
    });
    afterAll(() => room[Symbol.asyncDispose]());

    async function* stream(content: Buffer): AsyncGenerator<Buffer> {
      yield content;
    }

    async function store(size = 100): Promise<{ name: string; digest: Digest }> {
      const blobs = room.openStore();
      const { name, digest } = await blobs.writeSegment(stream(randomBytes(size)), "sha256");
      await blobs.publish([name], digest, digest);
      return { name, digest };
    }

    const anHourLater = () =>
      room.database.query("", "update s3_objects set touched_at = now() - interval '61 minutes'");
    const sizeOf = (digest: Digest) => room.openStore().findSize(digest);

    it("lists every blob with its size, and no piece", async () => {
      const [one, other] = [await store(100), await store(7)];
      await room.openStore().writeSegment(stream(randomBytes(5)), "sha256");

      const listed = [];
      for await (const blob of inventory.list()) listed.push(blob);

      expect(listed).toEqual(
        expect.arrayContaining([
          { digest: one.digest, size: 100 },
          { digest: other.digest, size: 7 },
        ]),
      );
      expect(listed).toHaveLength(2);
    });

    it("withdraws a blob, and puts it back or destroys it", async () => {
      const { name, digest } = await store();
      await anHourLater();

      const first = await inventory.withdraw(digest);
      expect([await sizeOf(digest), await inventory.withdraw(digest)]).toEqual([undefined, undefined]);
      await first?.restore();
      expect(await sizeOf(digest)).toBe(100);
      await anHourLater();
      await (await inventory.withdraw(digest))?.discard();

      expect(await sizeOf(digest)).toBeUndefined();
      expect((await room.objects()).filter((key) => key.endsWith(name))).toEqual([]);
    });

    it("destroys, instead of putting back, what somebody stored anew meanwhile", async () => {
      const content = randomBytes(50);
      const blobs = room.openStore();
      const first = await blobs.writeSegment(stream(content), "sha256");
      await blobs.publish([first.name], first.digest, first.digest);
      await anHourLater();
      const withdrawn = await inventory.withdraw(first.digest);
      const second = await blobs.writeSegment(stream(content), "sha256");
      await blobs.publish([second.name], second.digest, second.digest);

      await withdrawn?.restore();

      expect(await sizeOf(first.digest)).toBe(50);
      expect((await room.objects()).filter((key) => key.endsWith(first.name))).toEqual([]);
    });

    it("leaves the pieces of a push that has not committed yet, which can publish them again", async () => {
      const { name, digest } = await store();

      await (await inventory.withdraw(digest))?.discard();
      expect(await sizeOf(digest)).toBeUndefined();
      expect(await room.openStore().publish([name], digest, digest)).toBe(100);

      expect(await sizeOf(digest)).toBe(100);
    });

    it("puts nothing back that the push itself has published again", async () => {
      const { name, digest } = await store();
      const withdrawn = await inventory.withdraw(digest);
      await room.openStore().publish([name], digest, digest);

      await withdrawn?.restore();

      expect(await sizeOf(digest)).toBe(100);
    });

    it("keeps its mark in the bucket", async () => {
      expect(await inventory.readMark()).toBe(0);

      await inventory.writeMark(7);
      await inventory.writeMark(12);

      expect(await new S3BlobInventory({ database: room.database, bucket: room.openBucket() }).readMark()).toBe(12);
    });
  });
}
