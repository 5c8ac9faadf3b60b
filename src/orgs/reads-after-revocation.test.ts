import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { digestOf, pushParts, putManifest } from "../testing/images.ts";
import { type Node, openTestApp, type TestApp } from "../testing/open-test-app.ts";
import { basic, bearer, openTestServer } from "./test-server.ts";

let app: TestApp;
let other: Node;
let run = 0;
let repository = "";
let digest = "";
let layer = "";

beforeAll(async () => {
  app = await openTestApp();
  other = await app.openAnother();
});

/** A public repository of alice's with one image. */
beforeEach(async () => {
  repository = `alice/app${run++}`;
  const { manifest, layer: pushed } = await pushParts({ app, as: "alice", repository });
  layer = pushed.digest;
  await putManifest({ app, as: "alice", repository }, "v1", manifest);
  digest = digestOf(JSON.stringify(manifest));
  await become("public");
});

afterAll(async () => {
  expect(app.errors()).toEqual([]);
  await other[Symbol.asyncDispose]();
  await app[Symbol.asyncDispose]();
});

async function become(visibility: "public" | "private"): Promise<void> {
  const path = `/api/v1/orgs/alice/repositories/${repository.split("/")[1]}`;
  const { status } = await app.ask("PUT", path, { as: "alice", body: JSON.stringify({ visibility }) });
  expect(status).toBe(200);
}

const reads = () =>
  [`manifests/v1`, `manifests/${digest}`, `blobs/${layer}`].flatMap((path) =>
    ["GET", "HEAD"].map((method) => [method, `/v2/${repository}/${path}`] as const),
  );

describe("a public repository that becomes private", () => {
  it("answers no condition and no range to those who knew it, on any process, and says nothing of what it has", async () => {
    for (const [method, path] of reads()) {
      const { headers, status } = await app.ask(method, path);
      expect(status).toBe(200);
      const etag = String(headers.etag);
      expect((await other.ask(method, path, { headers: { "if-none-match": etag } })).status).toBe(304);
    }

    await become("private");

    for (const [method, path] of reads()) {
      for (const headers of [
        { "if-none-match": `"${digest}"` },
        { "if-none-match": `"${layer}"` },
        { "if-none-match": "*" },
        { "if-range": `"${layer}"`, range: "bytes=0-0" },
      ]) {
        for (const node of [app, other]) {
          const anonymous = await node.ask(method, path, { headers });
          const stranger = await node.ask(method, path, { as: "bob", headers });

          expect([anonymous.status, stranger.status]).toEqual([401, 404]);
          for (const name of ["etag", "docker-content-digest", "content-range", "cache-control"])
            expect([anonymous.headers[name], stranger.headers[name]]).toEqual([undefined, undefined]);
        }
      }
    }
  });

  it("keeps no one's answers for others: what caches may keep is private, and tags are asked for anew", async () => {
    const byTag = await app.ask("GET", `/v2/${repository}/manifests/v1`);
    const byDigest = await app.ask("GET", `/v2/${repository}/manifests/${digest}`);
    const blob = await app.ask("GET", `/v2/${repository}/blobs/${layer}`);

    expect(byTag.headers["cache-control"]).toBe("private, no-cache");
    for (const { headers } of [byDigest, blob]) expect(headers["cache-control"]).toMatch(/^private, /);
  });

  it("is no source of a mount any more", async () => {
    const mount = () => app.ask("POST", `/v2/bob/box/blobs/uploads/?mount=${layer}&from=${repository}`, { as: "bob" });
    const before = await mount();

    await become("private");
    await app.ask("DELETE", `/v2/bob/box/blobs/${layer}`, { as: "bob" });
    const after = await mount();

    expect([before.status, after.status]).toEqual([201, 202]);
  });

  it("read by many at that moment: whoever asks after the change is answered is refused", async () => {
    const path = `/v2/${repository}/manifests/v1`;
    const early = Array.from({ length: 32 }, () => app.ask("GET", path));

    await become("private");
    const late = await Promise.all(Array.from({ length: 32 }, () => other.ask("GET", path)));

    for (const { status } of await Promise.all(early)) expect([200, 401]).toContain(status);
    expect(new Set(late.map(({ status }) => status))).toEqual(new Set([401]));
  });

  it("is refused to a token that was got while it was public", async () => {
    const { body } = await app.ask("GET", `/token?scope=repository:${repository}:pull`, { as: "bob" });
    const headers = { authorization: `Bearer ${JSON.parse(body.toString()).token}` };
    const before = await app.ask("GET", `/v2/${repository}/manifests/v1`, { headers });

    await become("private");
    const after = await app.ask("GET", `/v2/${repository}/manifests/v1`, { headers });

    expect([before.status, after.status]).toEqual([200, 404]);
  });
});

describe("a read by a token", () => {
  it("ends with the right in the next request, and with the token after 300 s (and 10 for clocks) whatever happens", async () => {
    const server = await openTestServer();
    await server.addUser("ann", "ann's password");
    const ann = basic("ann", "ann's password");
    const { status } = await server.send("PUT", "/api/v1/orgs/ann/repositories/app", {
      headers: ann,
      body: '{"visibility":"private"}',
    });
    const { body } = await server.send("GET", "/token?scope=repository:ann/app:pull", { headers: ann });
    const start = server.clock.now.getTime();
    const read = async (seconds: number) => {
      server.clock.now = new Date(start + seconds * 1000);
      return (await server.send("GET", "/v2/ann/app/manifests/x", { headers: bearer(body.token) })).status;
    };

    const alive = [await read(0), await read(299), await read(309)];
    const over = await read(310);
    await server.database.query("", "update users set suspended = true where name = 'ann'");
    const revoked = await read(1);
    await server.close();

    expect([status, body.expires_in]).toEqual([201, 300]);
    expect(alive).toEqual([200, 200, 200]);
    expect([over, revoked]).toEqual([401, 401]);
  });
});
