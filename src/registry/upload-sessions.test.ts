import { randomUUID } from "node:crypto";
import { utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { FsBlobStore } from "../storage/fs-blob-store.ts";
import { sweepUploads } from "../storage/sweep.ts";
import { UploadStore } from "../storage/upload-store.ts";
import { digestOf, type Place, pathOf, pushBlob, startUpload } from "../testing/images.ts";
import { openTestApp, type TestApp } from "../testing/open-test-app.ts";
import { closeWithoutErrors, patchUpload, putUpload } from "./test-registry.ts";

let app: TestApp;
let place: Place;
beforeAll(async () => {
  app = await openTestApp();
  place = { app, as: "alice", repository: "alice/uploads" };
});
afterAll(() => closeWithoutErrors(app));

const patch = (path: string, body: string, contentRange?: string, as?: string) =>
  patchUpload(app, path, body, contentRange, as);
const put = (path: string, digest: string, body?: string, headers?: Record<string, string>) =>
  putUpload(app, path, digest, body, headers);

describe("end-13 GET", () => {
  it("answers 204 with Range 0-0 for an upload just begun", async () => {
    const path = await startUpload(place);

    const answer = await app.ask("GET", path, { as: "alice" });

    expect([answer.status, answer.headers.range, pathOf(answer)]).toEqual([204, "0-0", path]);
    expect(answer.headers["docker-upload-uuid"]).toBe(path.split("/").at(-1));
  });

  it.each([randomUUID(), "x", "..", "%2e%2e%2f", "%00", `${randomUUID()}%0d%0aX:1`, randomUUID().toUpperCase()])(
    "answers 404 BLOB_UPLOAD_UNKNOWN for the session %j, whatever is done to it",
    async (session) => {
      const path = `/v2/alice/uploads/blobs/uploads/${session}`;

      const answers = [
        await app.ask("GET", path, { as: "alice" }),
        await patch(path, "bytes"),
        await put(path, digestOf("bytes"), "bytes"),
        await app.ask("DELETE", path, { as: "alice" }),
      ];

      expect(answers.map(({ status, code }) => [status, code])).toEqual(
        answers.map(() => [404, "BLOB_UPLOAD_UNKNOWN"]),
      );
    },
  );
});

describe("end-14 DELETE", () => {
  it("ends the upload and removes its bytes", async () => {
    const before = await app.stored();
    const path = await startUpload(place);
    await patch(path, "not wanted");

    const answer = await app.ask("DELETE", path, { as: "alice" });

    expect(answer.status).toBe(204);
    expect(await app.stored()).toEqual(before);
    expect((await patch(path, "more")).code).toBe("BLOB_UPLOAD_UNKNOWN");
  });
});

describe("an upload of someone else", () => {
  const everyWay = async (as: string, path: string) => {
    const answers = [
      await app.ask("GET", path, { as }),
      await patch(path, "theirs", undefined, as),
      await app.ask("PUT", `${path}?digest=${digestOf("theirs")}`, { as, body: "theirs" }),
      await app.ask("DELETE", path, { as }),
    ];
    return answers.map(({ status, code }) => [status, code]);
  };
  const unknown = Array.from({ length: 4 }, () => [404, "BLOB_UPLOAD_UNKNOWN"]);

  it("answers 404 under the own repository, and to one who may push to both; its owner completes it", async () => {
    const path = await startUpload(place);
    await patch(path, "mine");
    const session = path.split("/").at(-1);
    await pushBlob({ app, as: "bob", repository: "bob/app" }, "bob has a repository");

    const underOwn = await everyWay("bob", `/v2/bob/app/blobs/uploads/${session}`);
    const asAdmin = await everyWay("admin", path);
    const moved = await everyWay("alice", `/v2/alice/other/blobs/uploads/${session}`);

    expect([underOwn, asAdmin, moved]).toEqual([unknown, unknown, unknown]);
    expect((await put(path, digestOf("mine"))).status).toBe(201);
  });

  it("answers one without the right to push as if the repository were missing, session or not", async () => {
    const path = await startUpload(place);
    const denied = Array.from({ length: 4 }, () => [403, "DENIED"]);

    const real = await everyWay("bob", path);
    const invented = await everyWay("bob", `/v2/alice/missing/blobs/uploads/${randomUUID()}`);

    expect([real, invented]).toEqual([denied, denied]);
    expect((await put(path, digestOf("mine"), "mine")).status).toBe(201);
  });
});

describe("the row of an upload", () => {
  const change = async (path: string, set: string) =>
    app.database.query("", `update upload_sessions set ${set} where id = $1`, [path.split("/").at(-1)]);

  it("never becomes a blob of other bytes when its digest was changed behind our back", async () => {
    const path = await startUpload(place);
    await patch(path, "authentic");
    await change(path, `digest = '${digestOf("forged")}'`);

    const answer = await put(path, digestOf("authentic"));

    expect([answer.status, answer.code]).toEqual([400, "DIGEST_INVALID"]);
    expect((await app.ask("GET", `/v2/alice/uploads/blobs/${digestOf("authentic")}`, { as: "alice" })).status).toBe(
      404,
    );
  });

  it.each([
    ["{../../../../etc/passwd}", 400, "BLOB_UPLOAD_INVALID"],
    ["{0}", 400, "BLOB_UPLOAD_INVALID"],
    [`{${"0".repeat(32)}}`, 404, "BLOB_UPLOAD_UNKNOWN"],
  ])("reads no file but its own when its pieces are called %s", async (segments, status, code) => {
    const path = await startUpload(place);
    await patch(path, "authentic");
    await change(path, `segments = '${segments}', digest = null`);

    const answer = await put(path, digestOf("authentic"));

    expect([answer.status, answer.code]).toEqual([status, code]);
  });
});

describe("sweepUploads", () => {
  it("removes what nobody touched for the time given, rows and bytes, and leaves strange files alone", async () => {
    const [old, young] = [await startUpload(place), await startUpload(place)];
    for (const path of [old, young]) await patch(path, "bytes");
    await app.database.query("", "update upload_sessions set touched_at = now() - interval '25 hours' where id = $1", [
      old.split("/").at(-1),
    ]);
    const uploads = join(app.blobsFolder, "uploads");
    const longAgo = new Date(Date.now() - 48 * 3_600_000);
    for (const name of ["README", "0".repeat(31), "x".repeat(32), "f".repeat(32)]) {
      await writeFile(join(uploads, name), "stray");
      await utimes(join(uploads, name), longAgo, longAgo);
    }

    const removed = await sweepUploads({
      uploads: new UploadStore(app.database),
      blobs: await FsBlobStore.open(app.blobsFolder),
      ttlHours: 24,
    });

    // The old upload's piece, and the one stray file that could be a piece.
    expect(removed).toBe(2);
    expect((await app.ask("GET", old, { as: "alice" })).code).toBe("BLOB_UPLOAD_UNKNOWN");
    expect((await put(young, digestOf("bytes"))).status).toBe(201);
  });

  it("is done by a process that was just started, which may not live until the next time", async () => {
    const old = await startUpload(place);
    await patch(old, "bytes");
    await app.database.query("", "update upload_sessions set touched_at = now() - interval '25 hours' where id = $1", [
      old.split("/").at(-1),
    ]);

    await using _ = await app.openAnother();

    await expect.poll(async () => (await app.ask("GET", old, { as: "alice" })).code).toBe("BLOB_UPLOAD_UNKNOWN");
  });
});
