import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { digestOf, type Place, pushBlob, startUpload } from "../testing/images.ts";
import { openTestApp, type TestApp } from "../testing/open-test-app.ts";

let app: TestApp;
let place: Place;
beforeAll(async () => {
  app = await openTestApp();
  await app.addOrg("crowd");
  place = { app, as: "alice", repository: "alice/uploads" };
});
afterAll(async () => {
  expect(app.errors()).toEqual([]);
  await app[Symbol.asyncDispose]();
});

describe("end-4 POST", () => {
  it("begins an upload whose Location is made from the public URL, whatever Host says", async () => {
    const answer = await app.ask("POST", "/v2/alice/uploads/blobs/uploads/", {
      as: "alice",
      headers: { host: "evil.test", "x-forwarded-host": "evil.test", forwarded: "host=evil.test" },
    });

    expect(answer.status).toBe(202);
    expect(answer.headers.location).toMatch(
      /^https:\/\/registry\.test\/v2\/alice\/uploads\/blobs\/uploads\/[0-9a-f-]{36}$/,
    );
    expect(answer.headers.range).toBe("0-0");
    expect(answer.body.length).toBe(0);
  });

  it("takes the path without the closing slash too", async () => {
    const answer = await app.ask("POST", "/v2/alice/uploads/blobs/uploads", { as: "alice" });

    expect(answer.status).toBe(202);
  });

  it.each([
    ["digest", "not-a-digest"],
    ["digest", `sha256:${"A".repeat(64)}`],
    ["mount", "sha256:abc"],
    ["digest-algorithm", "md5"],
  ])("answers 400 DIGEST_INVALID for ?%s=%s and begins nothing", async (name, value) => {
    const before = await app.stored();

    const answer = await app.ask("POST", `/v2/alice/uploads/blobs/uploads/?${name}=${value}`, { as: "alice" });

    expect([answer.status, answer.code]).toEqual([400, "DIGEST_INVALID"]);
    expect(await app.stored()).toEqual(before);
  });

  it("answers 400 DIGEST_INVALID for a body that hashes to something else, and keeps nothing of it", async () => {
    const before = await app.stored();

    const answer = await app.ask("POST", `/v2/alice/uploads/blobs/uploads/?digest=${digestOf("honest")}`, {
      as: "alice",
      body: "tampered",
    });

    expect([answer.status, answer.code]).toEqual([400, "DIGEST_INVALID"]);
    expect(await app.stored()).toEqual(before);
    expect(await pushBlob(place, "honest")).toBe(digestOf("honest"));
  });

  it("answers 400 BLOB_UPLOAD_INVALID for a body without a digest", async () => {
    const before = await app.stored();

    const answer = await app.ask("POST", "/v2/alice/uploads/blobs/uploads/", { as: "alice", body: "whose?" });

    expect([answer.status, answer.code]).toEqual([400, "BLOB_UPLOAD_INVALID"]);
    expect(await app.stored()).toEqual(before);
  });

  it("makes one repository of 32 first pushes at once, and answers 201 to all", async () => {
    const repository = "crowd/first";
    const pushes = Array.from({ length: 32 }, (_, index) =>
      pushBlob({ app, as: "admin", repository }, `first ${index}`),
    );

    await Promise.all(pushes);

    const rows = await app.database.query("", "select 1 from repositories where name = $1", [repository]);
    expect(rows.length).toBe(1);
  });

  it("makes one repository of 32 sessions begun at once", async () => {
    const repository = "crowd/sessions";
    const starts = Array.from({ length: 32 }, () => startUpload({ app, as: "admin", repository }));

    const paths = await Promise.all(starts);

    expect(new Set(paths).size).toBe(32);
    const rows = await app.database.query("", "select 1 from repositories where name = $1", [repository]);
    expect(rows.length).toBe(1);
  });

  it("makes one blob of the same content pushed 16 times at once", async () => {
    await Promise.all(
      Array.from({ length: 16 }, (_, i) => pushBlob({ ...place, repository: `alice/same-${i % 4}` }, "the same")),
    );

    const rows = await app.database.query("", "select 1 from blobs where digest = $1", [digestOf("the same")]);
    expect(rows.length).toBe(1);
  });
});
