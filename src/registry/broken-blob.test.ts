import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { appendFileSync, readFileSync, renameSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { get, type IncomingMessage } from "node:http";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { parseDigest } from "../oci/digest.ts";
import { blobPath } from "../storage/fs-layout.ts";
import { OCI_MANIFEST, type Place, pushBlob, pushParts, putManifest } from "../testing/images.ts";
import { basic, openTestApp, type TestApp } from "../testing/open-test-app.ts";

const LARGE = 200_000;
const MIB = 1024 * 1024;

let app: TestApp;
let place: Place;
let count = 0;
beforeAll(async () => {
  app = await openTestApp({ GOLDSEAL_GC_EVERY_MINUTES: "off" });
});
beforeEach(() => {
  place = { app, as: "alice", repository: `alice/broken-${++count}` };
});
afterAll(async () => {
  const events = new Set(app.errors().map(({ event }) => event));
  expect(events).toEqual(new Set(["bitrot.found", "http.broken-off"]));
  await app[Symbol.asyncDispose]();
});

const fileOf = (digest: string) => blobPath(app.blobsFolder, parseDigest(digest));
const ask = (digest: string, method = "GET", headers = {}) =>
  app.ask(method, `/v2/${place.repository}/blobs/${digest}`, { as: "alice", headers });
const found = () => app.log.filter(({ event }) => event === "bitrot.found");
const counted = async (reason: string): Promise<number> => {
  const text = (await app.ask("GET", "/metrics")).body.toString();
  return Number(new RegExp(`goldseal_bitrot_total\\{kind="blob",reason="${reason}"\\} (\\d+)`).exec(text)?.[1] ?? 0);
};
const quarantined = () =>
  app.database.query("", "select digest from blobs where quarantined_at is not null order by digest");

function flip(path: string): void {
  const bytes = readFileSync(path);
  bytes.writeUInt8(bytes.readUInt8(0) ^ 1, 0);
  writeFileSync(path, bytes);
}

describe("end-2 GET of a blob whose damage nobody has found yet", () => {
  it.each<[what: string, bytes: number, reason: string, damage: (path: string) => void]>([
    ["a small one is missing", 50, "missing", (path) => rmSync(path)],
    ["a small one is cut off", 50, "size", (path) => truncateSync(path, 10)],
    ["a small one has a flipped bit", 50, "digest", flip],
    ["a large one is missing", LARGE, "missing", (path) => rmSync(path)],
    ["a large one is cut off", LARGE, "size", (path) => truncateSync(path, LARGE - 1)],
    ["a large one has grown", LARGE, "size", (path) => appendFileSync(path, "more")],
  ])(
    "%s: the first pull is told so, it is in quarantine from then on, and a push heals it",
    async (_, bytes, reason, damage) => {
      const content = randomBytes(bytes);
      const digest = await pushBlob(place, content);
      const [logged, before] = [found().length, await counted(reason)];
      damage(fileOf(digest));

      const answers = [await ask(digest), await ask(digest, "GET", { range: "bytes=0-4" }), await ask(digest, "HEAD")];

      expect(answers.map(({ status }) => status)).toEqual([404, 404, 404]);
      expect(JSON.parse(String(answers[0]?.body)).errors[0]).toMatchObject({
        code: "BLOB_UNKNOWN",
        message: expect.stringContaining("are damaged and were set aside; push it again"),
        detail: { digest, quarantined: true },
      });
      expect(await quarantined()).toEqual([{ digest }]);
      expect(found().slice(logged)).toMatchObject([{ of: "blob", digest, reason }]);
      expect(await counted(reason)).toBe(before + 1);
      const { body } = await app.ask("GET", "/api/v1/quarantine", { as: "admin" });
      expect(JSON.parse(body.toString()).quarantine).toMatchObject([
        { digest, reason, repositories: [place.repository] },
      ]);

      await pushBlob(place, content);

      const healed = await ask(digest);
      expect([healed.status, healed.body.equals(content)]).toEqual([200, true]);
      expect(await quarantined()).toEqual([]);
    },
  );

  it("one that is cut off while it is sent: the connection breaks, and the next pull is told", async () => {
    const content = randomBytes(64 * MIB);
    const digest = await pushBlob(place, content);
    const path = `/v2/${place.repository}/blobs/${digest}`;
    const options = { host: "127.0.0.1", port: app.port, path, headers: { authorization: basic("alice") } };
    const [message] = (await once(get(options), "response")) as [IncomingMessage];
    // The server cannot be far: nobody takes what it sends.
    truncateSync(fileOf(digest), 1);

    const received = await (async () => {
      let bytes = 0;
      for await (const piece of message) bytes += piece.length;
      return bytes;
    })().catch((error: Error) => error);

    expect(received).toMatchObject({ code: "ECONNRESET" });
    await expect.poll(quarantined).toEqual([{ digest }]);
    expect((await ask(digest)).code).toBe("BLOB_UNKNOWN");
    await pushBlob(place, content);
  });

  it("of a disk that is not there right now: 503, and nothing is held to be lost", async () => {
    const digest = await pushBlob(place, randomBytes(LARGE));
    const folder = join(app.blobsFolder, "blobs", "sha256");
    renameSync(folder, `${folder}-away`);

    const away = await ask(digest);
    renameSync(`${folder}-away`, folder);

    expect([away.status, away.code, away.headers["retry-after"]]).toEqual([503, "UNAVAILABLE", "5"]);
    expect([(await ask(digest)).status, await quarantined()]).toEqual([200, []]);
  });

  it("of a store in which blob after blob is missing: believes so for nineteen, unless one between is there", async () => {
    const [good] = [await pushBlob(place, randomBytes(LARGE))];
    const lost = await Promise.all(Array.from({ length: 45 }, () => pushBlob(place, randomBytes(100))));
    for (const digest of lost) rmSync(fileOf(digest));
    const statuses = async (some: readonly string[]) => {
      const answers: number[] = [];
      for (const digest of some) answers.push((await ask(digest)).status);
      return answers;
    };

    expect((await ask(good)).status).toBe(200);
    expect(new Set(await statuses(lost.slice(0, 19)))).toEqual(new Set([404]));
    expect(await statuses(lost.slice(19, 22))).toEqual([503, 503, 503]);
    expect((await ask(good)).status).toBe(200);
    expect(new Set(await statuses(lost.slice(19, 38)))).toEqual(new Set([404]));
    expect(await quarantined()).toHaveLength(38);
    await app.database.query("", "update blobs set quarantined_at = null");
  });
});

describe("end-3 GET of a manifest whose bytes are others", () => {
  it("says so, sets it aside, and a push heals it", async () => {
    const { manifest } = await pushParts(place);
    const pushed = await putManifest(place, "t", manifest);
    const digest = pushed.headers["docker-content-digest"];
    await app.database.query("", "update manifests set content = set_byte(content, 0, 1) where digest = $1", [digest]);
    await using node = await app.openAnother();
    const path = `/v2/${place.repository}/manifests/t`;
    const get = () => node.ask("GET", path, { as: "alice", headers: { accept: OCI_MANIFEST } });

    const answers = [await get(), await get()];

    expect(answers.map(({ status, code }) => [status, code])).toEqual([
      [404, "MANIFEST_UNKNOWN"],
      [404, "MANIFEST_UNKNOWN"],
    ]);
    expect(answers[0]?.body.toString()).toContain("are damaged and were set aside; push it again");
    expect(found().at(-1)).toMatchObject({ of: "manifest", digest, reason: "digest" });
    expect((await putManifest(place, "t", manifest)).status).toBe(201);
    expect((await get()).status).toBe(200);
  });
});
