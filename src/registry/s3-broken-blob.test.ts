import { randomBytes } from "node:crypto";
import { DeleteObjectCommand, PutObjectCommand, S3Client } from "@aws-sdk/client-s3";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { hasS3Server, S3_KINDS, type S3Server, startS3Server } from "../../conformance/harness/s3-servers.ts";
import { type Place, pushBlob } from "../testing/images.ts";
import { openTestApp, type TestApp } from "../testing/open-test-app.ts";

const SMALL = 50;
const LARGE = 200_000;

for (const kind of S3_KINDS) {
  describe.skipIf(!hasS3Server(kind))(
    `end-2 GET of a damaged blob on ${kind} (conformance/provision builds it)`,
    () => {
      let server: S3Server;
      let client: S3Client;
      let app: TestApp;
      let place: Place;
      beforeAll(async () => {
        server = await startS3Server(kind);
        Object.assign(process.env, server.env);
        client = new S3Client({ endpoint: server.endpoint, forcePathStyle: true, region: "us-east-1" });
        app = await openTestApp({ GOLDSEAL_BLOBS: server.url("blobs"), GOLDSEAL_GC_EVERY_MINUTES: "off" });
        place = { app, as: "alice", repository: "alice/broken" };
      });
      afterAll(async () => {
        expect(new Set(app.errors().map(({ event }) => event))).toEqual(new Set(["bitrot.found"]));
        await app[Symbol.asyncDispose]();
        client.destroy();
        await server.stop();
      });

      async function placeOf(digest: string): Promise<{ Bucket: string; Key: string }> {
        const text = "select key from s3_objects where digest = $1";
        const [row] = await app.database.query<{ key: string }>("", text, [digest]);
        return { Bucket: server.bucket, Key: `blobs/${row?.key.slice(0, 2)}/${row?.key}` };
      }
      const remove = async (digest: string) => void (await client.send(new DeleteObjectCommand(await placeOf(digest))));
      const write = async (digest: string, bytes: number) =>
        void (await client.send(new PutObjectCommand({ ...(await placeOf(digest)), Body: randomBytes(bytes) })));
      const get = (digest: string, node: Pick<TestApp, "ask"> = app) =>
        node.ask("GET", `/v2/${place.repository}/blobs/${digest}`, { as: "alice" });
      const quarantined = () => app.database.query("", "select digest from blobs where quarantined_at is not null");

      it.each<[what: string, bytes: number, reason: string, damage: (digest: string) => Promise<void>]>([
        ["a small one is missing", SMALL, "missing", remove],
        ["a small one is cut off", SMALL, "size", (digest) => write(digest, SMALL - 1)],
        ["a small one has other bytes", SMALL, "digest", (digest) => write(digest, SMALL)],
        ["a large one is missing", LARGE, "missing", remove],
        ["a large one is cut off", LARGE, "size", (digest) => write(digest, LARGE - 1)],
      ])("%s: the first pull is told so, and a push heals it", async (_, bytes, reason, damage) => {
        const content = randomBytes(bytes);
        const digest = await pushBlob(place, content);
        await damage(digest);

        const answer = await get(digest);

        expect([answer.status, answer.code]).toEqual([404, "BLOB_UNKNOWN"]);
        expect(answer.body.toString()).toContain("are damaged and were set aside; push it again");
        expect(await quarantined()).toEqual([{ digest }]);
        expect(app.errors().at(-1)).toMatchObject({ event: "bitrot.found", digest, reason });
        await pushBlob(place, content);
        expect((await get(digest)).body.equals(content)).toBe(true);
        expect(await quarantined()).toEqual([]);
      });

      it("sends nobody to an object that is not there", async () => {
        await using node = await app.openAnother({ GOLDSEAL_BLOB_REDIRECT: "on" });
        const content = randomBytes(LARGE);
        const digest = await pushBlob(place, content);
        const before = await get(digest, node);
        await remove(digest);

        const after = await get(digest, node);

        expect([before.status, after.status, after.code]).toEqual([307, 404, "BLOB_UNKNOWN"]);
        await pushBlob(place, content);
        expect((await get(digest, node)).status).toBe(307);
      });
    },
  );
}
