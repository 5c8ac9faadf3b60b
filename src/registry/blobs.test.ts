import { createHash, randomBytes } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { digestOf, type Place, pushBlob, pushParts, putManifest } from "../testing/images.ts";
import { openTestApp, type TestApp } from "../testing/open-test-app.ts";

let app: TestApp;
let place: Place;
/** Larger than what is kept in memory, and not a multiple of a piece. */
const large = randomBytes(3 * 1024 * 1024 + 17);
const small = Buffer.from("0123456789");
beforeAll(async () => {
  app = await openTestApp();
  place = { app, as: "alice", repository: "alice/blobs" };
  for (const content of [large, small, ""]) await pushBlob(place, content);
});
afterAll(async () => {
  expect(app.errors()).toEqual([]);
  await app[Symbol.asyncDispose]();
});

const get = (content: Buffer | string, headers: Record<string, string | string[]> = {}, method = "GET") =>
  app.ask(method, `/v2/alice/blobs/blobs/${digestOf(content)}`, { as: "alice", headers });

describe.each([
  ["small", small],
  ["large", large],
])("end-2 GET of a range of a %s blob", (_size, content) => {
  const { length } = content;

  it.each([
    ["bytes=0-0", 0, 0],
    ["bytes=0-", 0, length - 1],
    ["bytes=3-7", 3, 7],
    ["bytes=-4", length - 4, length - 1],
    [`bytes=-${length}`, 0, length - 1],
    [`bytes=-${length + 5}`, 0, length - 1],
    [`bytes=${length - 1}-`, length - 1, length - 1],
    [`bytes=5-${length + 100}`, 5, length - 1],
    ["bytes=5-18446744073709551616", 5, length - 1],
    ["bytes=-18446744073709551616", 0, length - 1],
    ["BYTES=1-2", 1, 2],
  ])("answers 206 for %s", async (range, first, last) => {
    const answer = await get(content, { range });

    expect([answer.status, answer.headers["content-range"]]).toEqual([206, `bytes ${first}-${last}/${length}`]);
    expect(answer.headers["content-length"]).toBe(String(last - first + 1));
    expect(answer.body.equals(content.subarray(first, last + 1))).toBe(true);
  });

  it.each([
    "bytes=0-1,3-4",
    `bytes=${Array.from({ length: 100 }, () => "0-").join(",")}`,
    "bytes=",
    "bytes=-",
    "bytes=a-b",
    "bytes=1-2-3",
    "bytes=--1",
    "bytes=1.5-2",
    "bytes=0x1-0x2",
    "bytes 0-1",
    "items=0-1",
    "0-1",
    "bytes=٣-٤",
  ])("answers the whole, once, for %s", async (range) => {
    const answer = await get(content, { range: Buffer.from(range).toString("latin1") });

    expect([answer.status, answer.headers["content-range"]]).toEqual([200, undefined]);
    expect(answer.body.equals(content)).toBe(true);
  });

  it.each([
    `bytes=${length}-`,
    "bytes=-0",
    "bytes=9-5",
    "bytes=18446744073709551616-",
    `bytes=${length}-${length + 1}`,
  ])("answers 416 RANGE_INVALID with the size for %s", async (range) => {
    const answer = await get(content, { range });

    expect([answer.status, answer.code]).toEqual([416, "RANGE_INVALID"]);
    expect(answer.headers["content-range"]).toBe(`bytes */${length}`);
  });

  it("honours a range only where If-Range names this very blob", async () => {
    const range = "bytes=0-1";
    const etag = `"${digestOf(content)}"`;

    const same = await get(content, { range, "if-range": etag });
    const others = [`W/${etag}`, '"other"', "Wed, 21 Oct 2015 07:28:00 GMT", "*"];
    const other = await Promise.all(others.map((value) => get(content, { range, "if-range": value })));

    expect(same.status).toBe(206);
    expect(other.map(({ status }) => status)).toEqual([200, 200, 200, 200]);
  });

  it("does not compress and knows no range for HEAD", async () => {
    const head = await get(content, { range: "bytes=0-1", "accept-encoding": "gzip" }, "HEAD");

    expect([head.status, head.headers["content-length"], head.headers["content-encoding"]]).toEqual([
      200,
      String(length),
      undefined,
    ]);
    expect((await get(content, { range: "bytes=0-1", "accept-encoding": "gzip" })).body.length).toBe(2);
  });

  it("answers 304 without a body where If-None-Match names the blob", async () => {
    const etag = `"${digestOf(content)}"`;
    for (const value of [etag, `W/${etag}`, "*", `"x", ${etag}`, `"x",${etag},"y"`]) {
      const answer = await get(content, { "if-none-match": value });

      expect([answer.status, answer.body.length, answer.headers.etag]).toEqual([304, 0, etag]);
    }
    for (const value of ['"x"', digestOf(content), ""])
      expect((await get(content, { "if-none-match": value })).status).toBe(200);
  });
});

describe("end-2 GET", () => {
  it("answers an empty blob, and 416 for any range of it", async () => {
    const [whole, range] = [await get(""), await get("", { range: "bytes=0-" })];

    expect([whole.status, whole.headers["content-length"]]).toEqual([200, "0"]);
    expect([range.status, range.headers["content-range"]]).toEqual([416, "bytes */0"]);
  });

  it("is never a page: octets, not sniffed, in a sandbox", async () => {
    await pushBlob(place, "<script>alert(1)</script>");

    const { headers } = await get("<script>alert(1)</script>", { accept: "text/html" });

    expect(headers["content-type"]).toBe("application/octet-stream");
    expect(headers["x-content-type-options"]).toBe("nosniff");
    expect(headers["content-security-policy"]).toContain("sandbox");
  });

  it("answers 400 when Range was sent twice", async () => {
    const answer = await get(small, { range: ["bytes=0-1", "bytes=2-3"] });

    expect([answer.status, answer.code]).toEqual([400, "UNSUPPORTED"]);
  });

  it.each([
    "sha256:abc",
    `sha256:${"A".repeat(64)}`,
    `md5:${"0".repeat(32)}`,
    "sha256:..%2f..%2fetc%2fpasswd",
    `sha512:${"0".repeat(64)}`,
    "latest",
    `sha256:${"0".repeat(64)}%00`,
    `sha256:${"0".repeat(64)}%0d%0aX:1`,
  ])("answers 400 DIGEST_INVALID for %s, to every method", async (digest) => {
    for (const method of ["GET", "DELETE"]) {
      const answer = await app.ask(method, `/v2/alice/blobs/blobs/${digest}`, { as: "alice" });

      expect([answer.status, answer.code]).toEqual([400, "DIGEST_INVALID"]);
    }
  });

  it("answers 404 BLOB_UNKNOWN for a blob that only another repository has", async () => {
    await pushBlob({ app, as: "bob", repository: "bob/own" }, "only bob has this");
    const path = `/v2/alice/blobs/blobs/${digestOf("only bob has this")}`;

    const [got, head] = [await app.ask("GET", path, { as: "alice" }), await app.ask("HEAD", path, { as: "alice" })];

    expect([got.status, got.code, head.status]).toEqual([404, "BLOB_UNKNOWN", 404]);
  });

  it("serves a sha512 blob by its own digest and no other", async () => {
    const digest = await pushBlob(place, "by sha512", "sha512");

    const [right, wrong] = [
      await app.ask("GET", `/v2/alice/blobs/blobs/${digest}`, { as: "alice" }),
      await get("by sha512"),
    ];

    expect([right.status, right.headers["docker-content-digest"]]).toEqual([200, digest]);
    expect(createHash("sha512").update(right.body).digest("hex")).toBe(digest.slice("sha512:".length));
    expect(wrong.status).toBe(404);
  });
});

describe("end-10 DELETE", () => {
  const at = (repository: string, content: string) => `/v2/${repository}/blobs/${digestOf(content)}`;

  it("takes the blob out of this repository alone, on every process, until it is pushed here again", async () => {
    const content = "shared by a and b";
    for (const repository of ["alice/a", "alice/b"]) await pushBlob({ ...place, repository }, content);
    await using other = await app.openAnother();
    const as = "alice";
    for (const node of [app, other]) expect((await node.ask("GET", at("alice/a", content), { as })).status).toBe(200);

    const deleted = await app.ask("DELETE", at("alice/a", content), { as });

    expect(deleted.status).toBe(202);
    await using late = await app.openAnother();
    await pushBlob({ ...place, repository: "alice/b" }, content);
    for (const node of [app, other, late]) {
      for (const method of ["GET", "HEAD"])
        expect((await node.ask(method, at("alice/a", content), { as })).status).toBe(404);
      const kept = await node.ask("GET", at("alice/b", content), { as });
      expect([kept.status, kept.body.toString()]).toEqual([200, content]);
    }
    const parts = await pushParts({ ...place, repository: "alice/a" });
    const naming = { ...parts.manifest, layers: [{ ...parts.layer, digest: digestOf(content), size: content.length }] };
    const refused = await putManifest({ ...place, repository: "alice/a" }, "x", naming);
    expect([refused.status, refused.code]).toEqual([400, "MANIFEST_BLOB_UNKNOWN"]);
    await pushBlob({ ...place, repository: "alice/a" }, content);
    expect((await putManifest({ ...place, repository: "alice/a" }, "x", naming)).status).toBe(201);
  });

  it("answers 409 DENIED while a manifest needs the blob, and it stays", async () => {
    const needed = { ...place, repository: "alice/needed" };
    const { manifest } = await pushParts(needed, "needed");
    await putManifest(needed, "t", manifest);

    const answer = await app.ask("DELETE", at("alice/needed", "layer of needed"), { as: "alice" });

    expect([answer.status, answer.code]).toEqual([409, "DENIED"]);
    expect((await app.ask("GET", at("alice/needed", "layer of needed"), { as: "alice" })).status).toBe(200);
  });

  it("answers 404 BLOB_UNKNOWN the second time", async () => {
    await pushBlob(place, "once");

    const answers = [1, 2].map(() => app.ask("DELETE", at("alice/blobs", "once"), { as: "alice" }));

    const told = (await Promise.all(answers)).map(({ status, code }) => [status, code]).sort();
    expect(told).toEqual([
      [202, undefined],
      [404, "BLOB_UNKNOWN"],
    ]);
  });

  it("lets a deleted image be pushed again, whole, without a restart", async () => {
    const again = { ...place, repository: "alice/again" };
    const { manifest, layer, config } = await pushParts(again, "again");
    const body = JSON.stringify(manifest);
    await putManifest(again, "t", body);
    const remove = (path: string) => app.ask("DELETE", `/v2/alice/again/${path}`, { as: "alice" });
    expect((await remove(`manifests/${digestOf(body)}`)).status).toBe(202);
    for (const { digest } of [layer, config]) expect((await remove(`blobs/${digest}`)).status).toBe(202);

    const head = await app.ask("HEAD", `/v2/alice/again/blobs/${layer.digest}`, { as: "alice" });
    const alone = await putManifest(again, "t", body);
    await pushParts(again, "again");
    const whole = await putManifest(again, "t", body);

    expect([head.status, alone.status, alone.code, whole.status]).toEqual([404, 400, "MANIFEST_BLOB_UNKNOWN", 201]);
    const pulled = await app.ask("GET", at("alice/again", "layer of again"), { as: "alice" });
    expect(pulled.body.toString()).toBe("layer of again");
  });

  it("answers 405 UNSUPPORTED where deletion is switched off, for tags, manifests and blobs, and nothing changes", async () => {
    const kept = { ...place, repository: "alice/kept" };
    const { manifest, layer } = await pushParts(kept, "kept");
    const body = JSON.stringify(manifest);
    await putManifest(kept, "t", body);
    await pushBlob(kept, "free");
    const before = await app.stored();
    await using locked = await app.openAnother({ GOLDSEAL_DELETE: "off" });
    const paths = ["manifests/t", `manifests/${digestOf(body)}`, `blobs/${layer.digest}`, `blobs/${digestOf("free")}`];

    for (const path of paths) {
      const answer = await locked.ask("DELETE", `/v2/alice/kept/${path}`, { as: "alice" });

      expect([answer.status, answer.code]).toEqual([405, "UNSUPPORTED"]);
    }
    expect(await app.stored()).toEqual(before);
  });
});
