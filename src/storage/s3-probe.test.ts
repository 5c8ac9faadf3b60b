import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { hasS3Server, S3_KINDS } from "../../conformance/harness/s3-servers.ts";
import { openS3Room, type S3Room } from "../testing/s3-room.ts";
import type { S3Settings } from "./s3-client.ts";
import { probeS3 } from "./s3-probe.ts";

/** Not AWS's words everywhere. */
const UNKNOWN_KEY = {
  minio: /InvalidAccessKeyId 403.*mend AWS_ACCESS_KEY_ID/,
  versitygw: /XAdminUserNotFound 404.*mend AWS_ACCESS_KEY_ID/,
};

for (const kind of S3_KINDS) {
  describe.skipIf(!hasS3Server(kind))(`probeS3 on ${kind} (conformance/provision builds it)`, () => {
    let room: S3Room;
    let settings: S3Settings;
    beforeAll(async () => {
      room = await openS3Room(kind);
      settings = { bucket: room.server.bucket, prefix: "a/b", endpoint: room.server.endpoint, timeoutSeconds: 5 };
    });
    afterAll(() => room[Symbol.asyncDispose]());

    it("finds that everything is there, checksums too, and leaves nothing behind", async () => {
      expect(await probeS3(settings)).toEqual({ hasChecksums: true, faults: [] });

      expect([await room.objects(), room.uploadFiles()]).toEqual([[], []]);
    });

    it.each([
      ["a bucket that is not there", { bucket: "nowhere" }, /NoSuchBucket 404.*make the bucket nowhere/],
      [
        "a port that nobody listens at",
        { endpoint: "http://127.0.0.1:9" },
        /ECONNREFUSED.*endpoint, bucket and region/,
      ],
      ["a secret that is wrong", { secret: "wrong" }, /SignatureDoesNotMatch 403.*mend AWS_ACCESS_KEY_ID/],
      ["a key that nobody has", { id: "nobody" }, UNKNOWN_KEY[kind]],
    ])("says for %s what is wrong and what to do", async (_, wrong: Record<string, string>, words) => {
      const { id, secret, ...settingsToo } = wrong;
      if (id !== undefined) process.env.AWS_ACCESS_KEY_ID = id;
      if (secret !== undefined) process.env.AWS_SECRET_ACCESS_KEY = secret;

      const { faults } = await probeS3({ ...settings, ...settingsToo }).finally(() =>
        Object.assign(process.env, room.server.env),
      );

      expect(faults).toEqual([expect.stringMatching(words)]);
    });
  });
}
