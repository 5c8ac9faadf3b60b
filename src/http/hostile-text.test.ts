import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { digestOf, OCI_MANIFEST, type Place, pushParts, putManifest } from "../testing/images.ts";
import { openTestApp, type TestApp } from "../testing/open-test-app.ts";

let app: TestApp;
let place: Place;
beforeAll(async () => {
  app = await openTestApp();
  await app.addOrg("al-ice_x");
  place = { app, as: "alice", repository: "alice/door" };
  const { manifest } = await pushParts(place);
  await putManifest(place, "v1", manifest);
});
afterAll(async () => {
  expect(app.errors()).toEqual([]);
  await app[Symbol.asyncDispose]();
});

const latin1 = (text: string) => Buffer.from(text, "latin1");

describe("a repository name", () => {
  const name255 = `alice/${"x".repeat(249)}`;
  const methods = ["GET", "PUT", "DELETE"] as const;

  it.each([
    "alice/UPPER",
    "Alice/app",
    "alice/%C3%BC",
    "alice/u%CC%88",
    "alice/%E2%84%AA",
    "alice/%EF%BD%81",
    "alice//app",
    "alice/a/../b",
    "alice/a/./b",
    "alice/%2e%2e/b",
    "alice%2fapp",
    "alice%252fapp",
    "alice/app%2fx",
    "alice/app/",
    "alice/app%2f",
    "/alice/app",
    `${name255}x`,
    "alice/%ff",
    "alice/%00",
    "alice/a%00",
    "alice/a%0d%0aX-Evil:1",
    "alice/%22%3cscript%3e",
    "alice/a,b",
    "alice/%E2%80%A8",
    "alice/_hidden",
    "alice/-a",
    "alice/a..b",
    "alice/a___b",
    "alice/a_-b",
    "alice",
    "a/app",
    `${"x".repeat(33)}/app`,
    "al.ice/app",
    "alice/a:b",
    "alice/a@b",
    "alice/%",
    "alice/%2",
    "alice/%zz",
  ])("answers 400 NAME_INVALID for %s, everywhere, and stores nothing", async (name) => {
    const before = await app.stored();
    const paths = [
      `/v2/${name}/tags/list`,
      `/v2/${name}/manifests/latest`,
      `/v2/${name}/blobs/${digestOf("x")}`,
      `/v2/${name}/referrers/${digestOf("x")}`,
    ];
    for (const path of paths) {
      const answer = await app.ask("GET", path, { as: "admin" });

      expect([path, answer.status, answer.code]).toEqual([path, 400, "NAME_INVALID"]);
    }
    for (const method of methods.slice(1)) {
      const answer = await app.ask(method, `/v2/${name}/manifests/latest`, { as: "admin" });
      expect([answer.status, answer.code]).toEqual([400, "NAME_INVALID"]);
    }
    const started = await app.ask("POST", `/v2/${name}/blobs/uploads/`, { as: "admin" });
    expect([started.status, started.code]).toEqual([400, "NAME_INVALID"]);
    expect(await app.stored()).toEqual(before);
  });

  it.each([
    name255,
    "alice/manifests/b",
    "alice/blobs/b",
    "alice/blobs/uploads",
    "alice/blobs/uploads/x",
    "alice/uploads",
    "alice/tags",
    "alice/tags/list",
    "alice/referrers",
    "alice/manifests",
    "alice/manifests/latest",
    "alice/v2",
    "alice/a.b_c__d-e---f",
    "al-ice_x/app",
  ])("takes %s, reserved words and all", async (repository) => {
    const at = { app, as: "admin", repository };
    const { manifest, layer } = await pushParts(at, repository.slice(0, 40));

    const put = await putManifest(at, "list", manifest);

    expect(put.status).toBe(201);
    const listed = await app.ask("GET", `/v2/${repository}/tags/list`, { as: "admin" });
    expect(JSON.parse(listed.body.toString())).toEqual({ name: repository, tags: ["list"] });
    expect((await app.ask("GET", `/v2/${repository}/manifests/list`, { as: "admin" })).status).toBe(200);
    expect((await app.ask("GET", `/v2/${repository}/blobs/${layer.digest}`, { as: "admin" })).status).toBe(200);
  });

  it.each([
    "/v2/alice/app",
    "/v2/alice/app/tags",
    "/v2/alice/app/tags/list/",
    "/v2/alice/app/manifests/",
    "/v2/x",
    "/v3/",
    "/V2/",
    "/v2/alice/app/blobs/",
    "/v2/alice/app/unknown/x",
    "/v1/search",
    "/",
  ])("answers 404 for %s, and never sends anyone elsewhere", async (path) => {
    const answer = await app.ask("GET", path, { as: "alice" });

    expect([answer.status, answer.headers.location]).toEqual([404, undefined]);
  });

  it("answers 405 UNSUPPORTED with Allow for a method that the path does not have", async () => {
    const answer = await app.ask("POST", "/v2/alice/app/manifests/v1", { as: "alice" });

    expect([answer.status, answer.code]).toEqual([405, "UNSUPPORTED"]);
    expect(answer.headers.allow).toBe("GET, PUT, DELETE");
  });
});

describe("what a client puts into names and headers", () => {
  const HOSTILE = [
    "%0d%0aX-Evil:%201",
    "%0aX-Evil:%201",
    "%00",
    "%22",
    "%27",
    "%2c",
    "%3cscript%3e",
    "%E2%80%A8",
    "%7f",
    "%c2%85",
  ];

  it.each(HOSTILE)("adds no header to any answer: %s", async (text) => {
    const paths = [
      `/v2/alice/${text}/tags/list`,
      `/v2/alice/door/manifests/${text}`,
      `/v2/alice/door/blobs/${text}`,
      `/v2/alice/door/tags/list?n=1&last=${text}`,
      `/v2/_catalog?n=1&last=${text}`,
      `/v2/alice/door/referrers/${digestOf("x")}?artifactType=${text}`,
      `/v2/alice/door/blobs/uploads/${text}`,
      `/token?service=registry.test&scope=repository:alice/${text}:pull`,
      `/token?service=${text}`,
      `/api/v1/users/${text}`,
      `/${text}`,
    ];
    for (const path of paths) {
      const [signedIn, anonymous] = [await app.ask("GET", path, { as: "admin" }), await app.ask("GET", path)];

      for (const { status, rawHeaders } of [signedIn, anonymous]) {
        expect([path, status < 500]).toEqual([path, true]);
        expect(rawHeaders.join("\n")).not.toMatch(/X-Evil/);
        expect(rawHeaders.join("")).not.toMatch(/[\r\n\0]/);
        expect(rawHeaders.length / 2).toBeLessThan(20);
      }
    }
  });

  it("writes one log line of JSON for each request, whatever is in it", async () => {
    const before = app.log.length;
    const agent = latin1('evil"}\t{"level":"error"} \x80\u00ff').toString("latin1");

    await app.ask("GET", "/v2/alice/door/manifests/%0a%22%7d?x=%0a", { as: "alice", headers: { "user-agent": agent } });

    const lines = app.log.slice(before).filter(({ event }) => event === "http");
    expect(lines.length).toBe(1);
    expect(lines[0]).toMatchObject({ level: "info", status: 400, path: "/v2/alice/door/manifests/%0a%22%7d", agent });
  });

  it("believes no header about who asks and where", async () => {
    const path = "/v2/alice/door/blobs/uploads/";
    const headers = {
      host: "evil.test:666",
      "x-forwarded-proto": "x".repeat(8_000),
      "x-forwarded-host": "evil.test",
      "x-forwarded-for": "10.0.0.1",
      "x-forwarded-prefix": "/evil",
      "x-original-url": "/api/v1/users",
      "x-webauth-user": "admin",
      "x-http-method-override": "DELETE",
      forwarded: "for=1.2.3.4;host=evil.test",
    };

    const [signedIn, anonymous] = [
      await app.ask("POST", path, { as: "alice", headers }),
      await app.ask("POST", path, { headers }),
    ];

    expect(signedIn.headers.location).toMatch(/^https:\/\/registry\.test\/v2\/alice\/door\//);
    expect(anonymous.status).toBe(401);
    expect(anonymous.headers["www-authenticate"]).toContain('realm="https://registry.test/token"');
    expect(app.log.at(-1)).toMatchObject({ remote: "127.0.0.1", actor: "anonymous" });
  });

  it("serves annotations with control characters as JSON, escaped", async () => {
    const { manifest } = await pushParts(place);
    const subject = { mediaType: OCI_MANIFEST, digest: digestOf("hostile"), size: 7 };
    const annotations = { "a\r\nX-Evil: 1": '<script>"\u2028\u0000' };

    const put = await putManifest(place, "hostile", { ...manifest, subject, annotations });

    expect(put.status).toBe(201);
    const listed = await app.ask("GET", `/v2/alice/door/referrers/${subject.digest}`, { as: "alice" });
    expect(JSON.parse(listed.body.toString()).manifests[0].annotations).toEqual(annotations);
    expect(listed.rawHeaders.join("\n")).not.toContain("X-Evil");
  });
});
