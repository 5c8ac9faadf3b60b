import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { hasS3Server, S3_KINDS, type S3Server, startS3Server } from "../../conformance/harness/s3-servers.ts";
import { digestOf, type Place, pathOf, pushBlob, startUpload } from "../testing/images.ts";
import { openTestApp, type TestApp } from "../testing/open-test-app.ts";

const content = randomBytes(9 * 1024 * 1024);
const minuteMs = 60_000;

for (const kind of S3_KINDS) {
  describe.skipIf(!hasS3Server(kind))(`end-2 GET with blobs on ${kind} (conformance/provision builds it)`, () => {
    let server: S3Server;
    let app: TestApp;
    let path: string;
    let movedMs = 0;
    const now = (): Date => new Date(Date.now() + movedMs);
    beforeAll(async () => {
      server = await startS3Server(kind);
      Object.assign(process.env, server.env);
      const blobs = server.url("registry/eu");
      app = await openTestApp({ GOLDSEAL_BLOBS: blobs, GOLDSEAL_BLOB_REDIRECT: "127.0.0.0/8" }, now);
      path = `/v2/alice/app/blobs/${await pushBlob({ app, as: "alice", repository: "alice/app" }, content)}`;
    });
    afterAll(async () => {
      expect(app.errors()).toEqual([]);
      await app[Symbol.asyncDispose]();
      await server.stop();
    });

    const redirect = async (headers = {}): Promise<string> => {
      const answer = await app.ask("GET", path, { as: "alice", headers });
      expect([answer.status, answer.headers["cache-control"], answer.body.length]).toEqual([307, "no-store", 0]);
      return String(answer.headers.location);
    };

    it("sends the client to a URL for this one object, as bytes and nothing else, with its ranges", async () => {
      const url = await redirect();

      const whole = await fetch(url);
      const part = await fetch(url, { headers: { range: "bytes=5-1000" } });

      expect(url.startsWith(`${server.endpoint}/${server.bucket}/registry/eu/`)).toBe(true);
      expect([whole.status, whole.headers.get("content-type")]).toEqual([200, "application/octet-stream"]);
      expect(Buffer.from(await whole.arrayBuffer()).equals(content)).toBe(true);
      expect(part.status).toBe(206);
      expect(Buffer.from(await part.arrayBuffer()).equals(content.subarray(5, 1001))).toBe(true);
      for (const other of [url.replace(/\/[0-9a-f]{32}\?/, `/${"0".repeat(32)}?`), url.replace("octet-stream", "html")])
        expect((await fetch(other)).status).toBe(403);
      expect((await fetch(url, { method: "DELETE" })).status).toBe(403);
    });

    it("gives URLs that the server refuses 60 s after they were made", async () => {
      movedMs = -30_000;
      const young = await redirect();
      movedMs = -61_000;
      const old = await redirect();
      movedMs = 0;

      expect([(await fetch(young)).status, (await fetch(old)).status]).toEqual([200, 403]);
    });

    it("gives no more URLs to a reader who lost the right, at once, nor for a token that is over: out within 6 min", async () => {
      const setVisibility = (visibility: string) =>
        app.ask("PUT", "/api/v1/orgs/alice/repositories/app", { as: "alice", body: JSON.stringify({ visibility }) });
      expect((await setVisibility("public")).status).toBe(200);
      const asked = await app.ask("GET", "/token?scope=repository:alice/app:pull", { as: "bob" });
      const authorization = `Bearer ${JSON.parse(asked.body.toString()).token}`;
      const get = async () => (await app.ask("GET", path, { headers: { authorization } })).status;

      expect(await get()).toBe(307);
      expect((await setVisibility("private")).status).toBe(200);
      expect([401, 404]).toContain(await get());
      expect((await setVisibility("public")).status).toBe(200);
      movedMs = 4.9 * minuteMs;
      expect(await get()).toBe(307);
      // Replicas' clocks may be 10 s apart.
      movedMs = 5 * minuteMs + 11_000;
      expect(await get()).toBe(401);
      movedMs = 0;
    });

    it("answers HEAD, small blobs and blobs of several objects itself", async () => {
      const place: Place = { app, as: "alice", repository: "alice/app" };
      const small = await pushBlob(place, "small");
      const upload = await startUpload(place);
      const headers = { "content-type": "application/octet-stream" };
      const halves = [randomBytes(6 * 1024 * 1024), randomBytes(6 * 1024 * 1024)];
      for (const body of halves) await app.ask("PATCH", upload, { as: "alice", headers, body });
      const digest = digestOf(Buffer.concat(halves));
      const ended = await app.ask("PUT", `${upload}?digest=${digest}`, { as: "alice" });

      const head = await app.ask("HEAD", path, { as: "alice" });
      const smallBlob = await app.ask("GET", `/v2/alice/app/blobs/${small}`, { as: "alice" });
      const joined = await app.ask("GET", pathOf(ended), { as: "alice" });
      const part = await app.ask("GET", pathOf(ended), { as: "alice", headers: { range: "bytes=6291455-6291456" } });

      expect([head.status, head.headers["content-length"]]).toEqual([200, String(content.length)]);
      expect([smallBlob.status, smallBlob.body.toString()]).toEqual([200, "small"]);
      expect([joined.status, joined.body.equals(Buffer.concat(halves))]).toEqual([200, true]);
      expect([part.status, part.body.equals(Buffer.concat(halves).subarray(6291455, 6291457))]).toEqual([206, true]);
    });

    it.each([
      ["off", 200],
      ["on", 307],
      ["10.0.0.0/8,::1/128", 200],
      ["10.0.0.0/8,127.0.0.1/32", 307],
    ])("with GOLDSEAL_BLOB_REDIRECT=%s answers a client on the loopback %i", async (value, status) => {
      await using node = await app.openAnother({ GOLDSEAL_BLOB_REDIRECT: value });

      const answer = await node.ask("GET", path, { as: "alice" });

      expect(answer.status).toBe(status);
      expect(status === 307 || answer.body.equals(content)).toBe(true);
    });

    it.each([
      ["a client in the network, told by a trusted proxy", "127.0.0.1", "10.9.9.9", 307],
      ["a client elsewhere, told by a trusted proxy", "127.0.0.1", "10.9.9.9, 192.0.2.7", 200],
      ["a client that says it is in the network", "192.0.2.1", "10.9.9.9", 200],
    ])("redirects by client network: %s", async (_what, GOLDSEAL_TRUSTED_PROXIES, client, status) => {
      await using node = await app.openAnother({ GOLDSEAL_BLOB_REDIRECT: "10.0.0.0/8", GOLDSEAL_TRUSTED_PROXIES });

      const answer = await node.ask("GET", path, { as: "alice", headers: { "x-forwarded-for": client } });

      expect(answer.status).toBe(status);
    });
  });
}
