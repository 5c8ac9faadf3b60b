import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  PutObjectCommand,
  S3Client,
  UploadPartCommand,
} from "@aws-sdk/client-s3";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { hasS3Server, S3_KINDS, type S3Server, startS3Server } from "../../conformance/harness/s3-servers.ts";
import { nameOf, statusOf } from "./s3-calls.ts";

/** Where servers differ, and what our driver therefore must not rely on. AWS S3 does as is said in the comments. */
const DIFFERENCES = {
  minio: {
    wrongChecksum: "XAmzContentChecksumMismatch 400", // AWS: BadDigest
    uploadsUnderAFolder: 0, // AWS: 1. So uploads are listed by their whole key.
    abortOfNothing: "done", // AWS: NoSuchUpload 404
    completedTwice: "NoSuchUpload 404", // AWS: done. So a lost answer is held against HEAD.
    partWithoutChecksum: "InvalidPart 400", // AWS: InvalidRequest 400. So checksums are kept in rows.
  },
  versitygw: {
    wrongChecksum: "BadDigest 400",
    uploadsUnderAFolder: 1,
    abortOfNothing: "NoSuchUpload 404",
    completedTwice: "done",
    partWithoutChecksum: "InvalidRequest 400",
  },
} as const;

for (const kind of S3_KINDS) {
  const differs = DIFFERENCES[kind];
  describe.skipIf(!hasS3Server(kind))(`${kind} (conformance/provision builds it)`, () => {
    let server: S3Server;
    let client: S3Client;
    beforeAll(async () => {
      server = await startS3Server(kind);
      Object.assign(process.env, server.env);
      client = new S3Client({ endpoint: server.endpoint, forcePathStyle: true, region: "us-east-1", maxAttempts: 1 });
    });
    afterAll(async () => {
      client.destroy();
      await server.stop();
    });

    const outcome = (work: Promise<unknown>): Promise<string> =>
      work.then(
        () => "done",
        (error: unknown) => `${nameOf(error)} ${statusOf(error)}`,
      );
    const place = (Key: string) => ({ Bucket: server.bucket, Key });

    async function begin(key: string): Promise<{ UploadId: string; parts: { PartNumber: number; ETag: string }[] }> {
      const created = new CreateMultipartUploadCommand({ ...place(key), ChecksumAlgorithm: "CRC32" });
      const { UploadId = "" } = await client.send(created);
      const part = { ...place(key), UploadId, Body: Buffer.alloc(1000), ChecksumAlgorithm: "CRC32" } as const;
      const parts = [1, 2].map(async (PartNumber) => {
        const { ETag = "", ChecksumCRC32 = "" } = await client.send(new UploadPartCommand({ ...part, PartNumber }));
        return { PartNumber, ETag, ChecksumCRC32 };
      });
      return { UploadId, parts: await Promise.all(parts) };
    }

    const complete = (key: string, UploadId: string, Parts: { PartNumber: number; ETag: string }[]): Promise<string> =>
      outcome(client.send(new CompleteMultipartUploadCommand({ ...place(key), UploadId, MultipartUpload: { Parts } })));

    it("refuses bytes that do not have the checksum they came with", async () => {
      const put = new PutObjectCommand({ ...place("a/checksum"), Body: "x", ChecksumCRC32: "AAAAAA==" });

      expect(await outcome(client.send(put))).toBe(differs.wrongChecksum);
      expect(await outcome(client.send(new HeadObjectCommand(place("a/checksum"))))).toBe("NotFound 404");
    });

    it("lists uploads by the whole key; by the folder it is in, not everywhere", async () => {
      await begin("a/listed");
      const count = async (Prefix: string): Promise<number> => {
        const { Uploads = [] } = await client.send(new ListMultipartUploadsCommand({ Bucket: server.bucket, Prefix }));
        return Uploads.length;
      };

      expect([await count("a/listed"), await count("a/")]).toEqual([1, differs.uploadsUnderAFolder]);
    });

    it("ends an upload that is not there", async () => {
      const UploadId = "00000000-0000-0000-0000-000000000000";

      expect(await outcome(client.send(new AbortMultipartUploadCommand({ ...place("a/none"), UploadId })))).toBe(
        differs.abortOfNothing,
      );
    });

    it("joins no part that is too small, has another ETag or lost its checksum; and joins twice, or not", async () => {
      const { UploadId, parts } = await begin("a/joined");
      const [first = { PartNumber: 1, ETag: "" }] = parts;
      const bare = { PartNumber: 1, ETag: first.ETag };

      expect(await complete("a/joined", UploadId, parts)).toBe("EntityTooSmall 400");
      expect(await complete("a/joined", UploadId, [{ ...first, ETag: `"${"0".repeat(32)}"` }])).toBe("InvalidPart 400");
      expect(await complete("a/joined", UploadId, [bare])).toBe(differs.partWithoutChecksum);
      expect(await complete("a/joined", UploadId, [first])).toBe("done");
      expect(await complete("a/joined", UploadId, [first])).toBe(differs.completedTwice);
    });

    it("takes no part beyond the 10,000th", async () => {
      const { UploadId } = await begin("a/many");
      const part = { ...place("a/many"), UploadId, PartNumber: 10_001, Body: "x" };

      expect(await outcome(client.send(new UploadPartCommand(part)))).toBe("InvalidArgument 400");
    });
  });
}
