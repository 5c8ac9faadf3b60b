import { afterAll, beforeAll, describe } from "vitest";
import { hasS3Server, S3_KINDS, type S3Server, startS3Server } from "../../conformance/harness/s3-servers.ts";
import { blobStoreContract } from "./blob-store.contract.ts";
import { S3BlobStore } from "./s3-blob-store.ts";
import { S3Bucket } from "./s3-bucket.ts";
import { openTestDatabase } from "./test-database.ts";

for (const kind of S3_KINDS) {
  describe.skipIf(!hasS3Server(kind))(`on ${kind}`, () => {
    let server: S3Server;
    beforeAll(async () => {
      server = await startS3Server(kind);
      Object.assign(process.env, server.env);
    });
    afterAll(() => server.stop());

    blobStoreContract("S3BlobStore", async () => {
      const { database, close } = await openTestDatabase();
      const settings = { bucket: server.bucket, prefix: "contract", endpoint: server.endpoint, timeoutSeconds: 10 };
      const bucket = new S3Bucket(settings, { hasChecksums: true });
      return {
        store: new S3BlobStore({ database, bucket }),
        close: async () => {
          bucket.close();
          await close();
        },
      };
    });
  });
}
