import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  CONFIG,
  DOCKER_LIST,
  DOCKER_MANIFEST,
  describe as describeContent,
  digestOf,
  type Image,
  LAYER,
  OCI_INDEX,
  OCI_MANIFEST,
  type Place,
  pathOf,
  pushBlob,
  pushParts,
  putManifest,
} from "../testing/images.ts";
import type { TestApp } from "../testing/open-test-app.ts";
import { closeWithoutErrors, openWithImage } from "./test-registry.ts";

let app: TestApp;
let place: Place;
let image: Image;
beforeAll(async () => {
  ({ app, place, image } = await openWithImage("alice/manifests"));
});
afterAll(() => closeWithoutErrors(app));

const get = (reference: string, headers: Record<string, string> = {}, method = "GET") =>
  app.ask(method, `/v2/alice/manifests/manifests/${reference}`, { as: "alice", headers });
const variant = (name: string) => JSON.stringify({ ...image.manifest, annotations: { name } });

describe("end-3 GET", () => {
  it.each([OCI_MANIFEST, DOCKER_MANIFEST])("answers the very bytes of a %s, by tag and by digest", async (type) => {
    const body = ` ${JSON.stringify({ ...image.manifest, mediaType: type }, null, 3)}\n`;
    await putManifest(place, "bytes", body, { contentType: type });

    const answers = [await get("bytes"), await get(digestOf(body))];

    for (const { status, headers, body: got } of answers) {
      expect([status, headers["content-type"], got.toString()]).toEqual([200, type, body]);
      expect(headers["docker-content-digest"]).toBe(digestOf(body));
    }
    const head = await get("bytes", {}, "HEAD");
    expect([head.status, head.headers["content-length"], head.body.length]).toEqual([200, String(body.length), 0]);
  });

  it("answers 304 where If-None-Match names what the tag names now, to GET and HEAD", async () => {
    await putManifest(place, "moving", variant("first"));
    const { etag = "" } = (await get("moving")).headers;
    for (const value of [etag, `W/${etag}`, `"x", ${etag}`, "*"]) {
      for (const method of ["GET", "HEAD"]) {
        const answer = await get("moving", { "if-none-match": value }, method);

        expect([answer.status, answer.headers.etag, answer.body.length]).toEqual([304, etag, 0]);
      }
    }

    await putManifest(place, "moving", variant("second"));

    const moved = await get("moving", { "if-none-match": etag });
    expect([moved.status, moved.body.toString()]).toEqual([200, variant("second")]);
  });

  it.each([
    ["missing", 404, "MANIFEST_UNKNOWN"],
    [digestOf("missing"), 404, "MANIFEST_UNKNOWN"],
    ["-tag", 400, "TAG_INVALID"],
    [".tag", 400, "TAG_INVALID"],
    ["x".repeat(129), 400, "TAG_INVALID"],
    ["a%20b", 400, "TAG_INVALID"],
    ["a%2fb", 400, "TAG_INVALID"],
    ["%c3%bc", 400, "TAG_INVALID"],
    ["%ff", 400, "TAG_INVALID"],
    ["a%0d%0aX", 400, "TAG_INVALID"],
    ["a%00", 400, "TAG_INVALID"],
    ["sha256:abc", 400, "DIGEST_INVALID"],
    [`sha256:${"A".repeat(64)}`, 400, "DIGEST_INVALID"],
    ["a:b", 400, "DIGEST_INVALID"],
  ])("answers for the reference %s: %i %s", async (reference, status, code) => {
    const answer = await get(reference);

    expect([answer.status, answer.code]).toEqual([status, code]);
  });

  it("answers 404 for a manifest that only another repository has", async () => {
    const other = { ...place, repository: "alice/elsewhere" };
    await pushParts(other);
    await putManifest(other, "t", variant("elsewhere"));

    expect((await get(digestOf(variant("elsewhere")))).status).toBe(404);
  });
});

describe("end-7 PUT", () => {
  it.each([
    ["-tag", "TAG_INVALID"],
    ["x".repeat(129), "TAG_INVALID"],
    ["a%0d%0aX", "TAG_INVALID"],
    ["a%00", "TAG_INVALID"],
    ["a%22%3cb%3e", "TAG_INVALID"],
    ["%E2%80%A8", "TAG_INVALID"],
    ["sha256:abc", "DIGEST_INVALID"],
  ])("answers 400 for the reference %s: %s, and stores nothing", async (reference, code) => {
    const before = await app.stored();

    const answer = await putManifest(place, reference, image.manifest);

    expect([answer.status, answer.code]).toEqual([400, code]);
    expect(await app.stored()).toEqual(before);
  });

  it("answers 400 DIGEST_INVALID when the bytes are not those of the digest", async () => {
    const before = await app.stored();

    for (const algorithm of ["sha256", "sha512"]) {
      const answer = await putManifest(place, digestOf("something else", algorithm), image.manifest);

      expect([answer.status, answer.code]).toEqual([400, "DIGEST_INVALID"]);
    }
    expect(await app.stored()).toEqual(before);
  });

  it("makes every tag of a push by digest, or none", async () => {
    const body = variant("tagged at once");
    const before = await app.stored();
    const many = Array.from({ length: 10 }, (_, index) => `many-${index}`);

    const bad = await putManifest(place, digestOf(body), body, { query: "?tag=fine&tag=-bad" });
    const after = await app.stored();
    const good = await putManifest(place, digestOf(body), body, { query: `?tag=${many.join("&tag=")}&tag=many-0` });

    expect([bad.status, bad.code, after]).toEqual([400, "TAG_INVALID", before]);
    expect([good.status, pathOf(good)]).toEqual([201, `/v2/alice/manifests/manifests/${digestOf(body)}`]);
    expect(String(good.headers["oci-tag"]).split(", ").sort()).toEqual(many);
    for (const tag of many) expect((await get(tag)).headers["docker-content-digest"]).toBe(digestOf(body));
  });

  it("answers 400 TAG_INVALID for ?tag= beside a tag, and for more than 100", async () => {
    const body = variant("too many tags");
    const tags = Array.from({ length: 101 }, (_, index) => `tag=t${index}`).join("&");

    const answers = [
      await putManifest(place, "one", body, { query: "?tag=two" }),
      await putManifest(place, digestOf(body), body, { query: `?${tags}` }),
      await putManifest(place, digestOf(body), body, { query: "?tag=" }),
    ];

    expect(answers.map(({ status, code }) => [status, code])).toEqual(answers.map(() => [400, "TAG_INVALID"]));
  });

  it("keeps a whole image by sha512: config, layer, manifest, index and referrer", async () => {
    const at = { ...place, repository: "alice/sha512" };
    await pushBlob(at, "{}", "sha512");
    await pushBlob(at, "layer", "sha512");
    const layers = [describeContent("layer", LAYER, "sha512")];
    const body = JSON.stringify({ schemaVersion: 2, config: describeContent("{}", CONFIG, "sha512"), layers });
    const digest = digestOf(body, "sha512");
    const manifests = [describeContent(body, OCI_MANIFEST, "sha512")];
    const index = JSON.stringify({ schemaVersion: 2, manifests });
    const referrer = JSON.stringify({ schemaVersion: 2, manifests: [], subject: manifests[0], artifactType: "a/b" });

    const answers = [
      await putManifest(at, digest, body, { query: "?tag=image" }),
      await putManifest(at, "index", index, { contentType: OCI_INDEX }),
      await putManifest(at, digestOf(referrer, "sha512"), referrer, { contentType: OCI_INDEX }),
    ];

    expect(answers.map(({ status }) => status)).toEqual([201, 201, 201]);
    const pulled = await app.ask("GET", "/v2/alice/sha512/manifests/image", { as: "alice" });
    expect([pulled.headers["docker-content-digest"], pulled.body.toString()]).toEqual([digest, body]);
    const listed = await app.ask("GET", `/v2/alice/sha512/referrers/${digest}`, { as: "alice" });
    expect(JSON.parse(listed.body.toString()).manifests[0].digest).toBe(digestOf(referrer, "sha512"));
  });

  it("takes each of 32 moves of one tag at once, and the tag then names one of them", async () => {
    const bodies = Array.from({ length: 32 }, (_, index) => variant(`racing ${index}`));

    const answers = await Promise.all(bodies.map((body) => putManifest(place, "race", body)));

    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([201]));
    expect(bodies).toContain((await get("race")).body.toString());
  });
});

describe("end-7 PUT beside end-9 DELETE of the same manifest", () => {
  it("stores all of it or is deleted whole, in every round", async () => {
    const body = variant("pushed and deleted at once");
    const path = `/v2/alice/manifests/manifests/${digestOf(body)}`;
    for (let round = 0; round < 40; round++) {
      await putManifest(place, "beside", body);

      const answers = await Promise.all([
        ...Array.from({ length: 4 }, () => putManifest(place, "beside", body)),
        app.ask("DELETE", path, { as: "alice" }),
      ]);

      expect(answers.map(({ status }) => status)).toEqual([201, 201, 201, 201, 202]);
      const [tag, digest] = [await get("beside"), await get(digestOf(body))];
      expect(tag.status).toBe(digest.status);
      if (tag.status === 200) expect([tag.body.toString(), digest.body.toString()]).toEqual([body, body]);
    }
  });
});

describe("end-9 DELETE", () => {
  const remove = (reference: string) =>
    app.ask("DELETE", `/v2/alice/manifests/manifests/${reference}`, { as: "alice" });

  it("removes a tag alone, or a manifest with all its tags", async () => {
    const body = variant("to go");
    for (const tag of ["go-1", "go-2", "go-3"]) await putManifest(place, tag, body);

    expect((await remove("go-1")).status).toBe(202);
    expect([(await get("go-1")).status, (await get("go-2")).status]).toEqual([404, 200]);
    expect((await remove(digestOf(body))).status).toBe(202);
    for (const reference of ["go-2", "go-3", digestOf(body)]) {
      expect((await get(reference)).status).toBe(404);
      expect((await remove(reference)).code).toBe("MANIFEST_UNKNOWN");
    }
  });

  it("and pushes of the same manifest never fail each other", async () => {
    const body = variant("to and fro");
    const rounds = Array.from({ length: 40 }, (_, index) => index);

    const answers = await Promise.all(
      rounds.flatMap((index) => [putManifest(place, `fro-${index % 3}`, body), remove(digestOf(body))]),
    );

    const statuses = answers.map(({ status }, index) => (index % 2 === 0 ? [status] : [status, "removed"]));
    for (const [status, removed] of statuses) expect(removed ? [202, 404] : [201]).toContain(status);
  });

  it("answers 409 DENIED while an index lists the manifest", async () => {
    const body = variant("child");
    await putManifest(place, "child", body);
    const index = { schemaVersion: 2, mediaType: DOCKER_LIST, manifests: [describeContent(body, OCI_MANIFEST)] };
    await putManifest(place, "parent", index, { contentType: DOCKER_LIST });

    const answer = await remove(digestOf(body));

    expect([answer.status, answer.code]).toEqual([409, "DENIED"]);
    expect((await get("child")).status).toBe(200);
  });
});
