import { readFileSync } from "node:fs";
import { rm, truncate, unlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import {
  describe as describeContent,
  digestOf,
  OCI_INDEX,
  OCI_MANIFEST,
  pushBlob,
  pushParts,
  putManifest,
  startUpload,
} from "../../testing/images.ts";
import { ALL, DRY, SIZES, useFsck } from "./test-fsck.ts";

const { app, place, events, fsck, fileOf, flip, get, asideOf } = useFsck();

describe("goldseal fsck of blobs", () => {
  it("finds nothing where all is well, and remembers that it looked", async () => {
    const digest = await pushBlob(place(), "good");
    await app().database.query("", "update blobs set checked_at = '2020-01-01'");

    const run = await fsck(ALL);

    expect(run).toMatchObject({
      outcome: "done",
      stage: "over",
      lines: [],
      findings: 0,
      skipped: 0,
      reason: undefined,
    });
    expect(run).toMatchObject({ objects: 1, totalObjects: 1, bytes: 4, totalBytes: 4 });
    const rows = await app().database.query(
      "",
      "select digest from blobs where checked_at > now() - interval '1 minute'",
    );
    expect(rows).toEqual([{ digest }]);
  });

  it.each(["sha256", "sha512"])(
    "finds a flipped bit of %s, keeps the bytes aside, and the next push heals it",
    async (algorithm) => {
      const digest = await pushBlob(place(), "good bytes", algorithm);
      await flip(digest);
      expect((await fsck({ ...SIZES, repair: false })).lines).toEqual([]);
      expect((await fsck(DRY)).lines).toEqual([`blob ${digest} digest none`]);
      expect((await get(`blobs/${digest}`, "HEAD")).status).toBe(200);

      const run = await fsck(ALL);

      expect(run).toMatchObject({ lines: [`blob ${digest} digest quarantined`], findings: 1 });
      expect(await get(`blobs/${digest}`)).toMatchObject({
        ...{ status: 404, code: "BLOB_UNKNOWN" },
        body: expect.stringContaining("are damaged and were set aside; push it again"),
      });
      expect((await get(`blobs/${digest}`, "HEAD")).status).toBe(404);
      expect(asideOf(digest).map((file) => readFileSync(file, "utf8"))).toEqual(["food bytes"]);
      expect(events).toEqual([{ kind: "damaged", of: "blob", digest, reason: "digest" }]);
      // Still there, and still a finding.
      expect((await fsck(SIZES)).lines).toEqual([`blob ${digest} quarantined none`]);

      await pushBlob(place(), "good bytes", algorithm);

      expect(await get(`blobs/${digest}`)).toMatchObject({ status: 200, body: "good bytes" });
      expect((await fsck(ALL)).lines).toEqual([]);
      expect(asideOf(digest)).toHaveLength(1);
    },
  );

  it.each<[string, string, (digest: string) => Promise<void>]>([
    ["is truncated", "size", (digest) => truncate(fileOf(digest), 3)],
    ["has grown", "size", (digest) => writeFile(fileOf(digest), "some bytes and more")],
    ["is missing", "missing", (digest) => unlink(fileOf(digest))],
    ["is missing with its directory", "missing", (digest) => rm(join(fileOf(digest), ".."), { recursive: true })],
  ])("finds without reading a file that %s; a push in chunks heals it", async (_what, reason, damage) => {
    const content = `bytes ${reason} ${place().repository}`;
    const digest = await pushBlob(place(), content);
    await damage(digest);

    expect((await fsck(SIZES)).lines).toEqual([`blob ${digest} ${reason} quarantined`]);

    expect((await get(`blobs/${digest}`)).code).toBe("BLOB_UNKNOWN");
    const upload = await startUpload(place());
    for (const piece of [content.slice(0, 4), content.slice(4)])
      expect((await app().ask("PATCH", upload, { as: "alice", body: Buffer.from(piece) })).status).toBe(202);
    expect((await app().ask("PUT", `${upload}?digest=${digest}`, { as: "alice" })).status).toBe(201);
    expect(await get(`blobs/${digest}`)).toMatchObject({ status: 200, body: content });
    expect((await fsck(ALL)).lines).toEqual([]);
  });

  it("is absent to a mount and to a manifest, and there again for all once one repository has pushed it", async () => {
    const other = { ...place(), repository: `${place().repository}-other` };
    const image = await pushParts(place(), place().repository);
    await pushParts(other, place().repository);
    await flip(image.layer.digest);
    await fsck(ALL);

    const mounted = await app().ask(
      "POST",
      `/v2/${place().repository}-third/blobs/uploads/?mount=${image.layer.digest}&from=${place().repository}`,
      { as: "alice" },
    );
    expect(mounted.status).toBe(202);
    const refused = await putManifest(place(), "t", image.manifest);
    expect([refused.status, refused.code]).toEqual([400, "MANIFEST_BLOB_UNKNOWN"]);

    await pushBlob(other, `layer of ${place().repository}`);

    expect((await putManifest(place(), "t", image.manifest)).status).toBe(201);
    expect((await get(`blobs/${image.layer.digest}`)).status).toBe(200);
    expect((await fsck(ALL)).lines).toEqual([]);
  });

  it("makes no client leave out a push because the manifest is there, through indexes too, and hides it from no puller", async () => {
    const image = await pushParts(place(), place().repository);
    const body = JSON.stringify(image.manifest);
    await putManifest(place(), "t", body);
    const index = { schemaVersion: 2, mediaType: OCI_INDEX, manifests: [describeContent(body, OCI_MANIFEST)] };
    await putManifest(place(), "list", index, { contentType: OCI_INDEX });
    const other = await pushParts({ ...place(), repository: place().repository }, "whole");
    await putManifest(place(), "whole", JSON.stringify(other.manifest));
    const asked = await app().ask("GET", `/token?scope=repository:${place().repository}:pull`, { as: "alice" });
    const authorization = `Bearer ${JSON.parse(asked.body.toString()).token}`;
    const path = `/v2/${place().repository}/manifests`;
    const pulls = async (method: string, tag: string) =>
      (await app().ask(method, `${path}/${tag}`, { headers: { authorization } })).status;
    await flip(image.layer.digest);
    await fsck(ALL);

    for (const tag of ["t", "list"]) {
      expect((await get(`manifests/${tag}`, "HEAD")).status).toBe(404);
      expect([await pulls("HEAD", tag), await pulls("GET", tag)]).toEqual([200, 200]);
    }
    expect((await get("manifests/whole", "HEAD")).status).toBe(200);

    await pushParts(place(), place().repository);
    for (const tag of ["t", "list"]) expect((await get(`manifests/${tag}`, "HEAD")).status).toBe(200);
    expect((await fsck(ALL)).lines).toEqual([]);
  });

  it("takes out of quarantine what is whole again: put there by hand, or set aside by mistake", async () => {
    const digests = [await pushBlob(place(), "by hand"), await pushBlob(place(), "by mistake")] as const;
    for (const digest of digests) await flip(digest);
    await fsck(ALL);
    await writeFile(fileOf(digests[0]), "by hand");
    await writeFile(asideOf(digests[1])[0] ?? "", "by mistake");

    expect((await fsck(DRY)).lines).toEqual(digests.map((digest) => `blob ${digest} healthy none`).sort());
    expect((await get(`blobs/${digests[0]}`)).status).toBe(404);
    const run = await fsck(SIZES);

    expect(run).toMatchObject({ lines: digests.map((digest) => `blob ${digest} healthy lifted`).sort(), findings: 0 });
    expect(await get(`blobs/${digests[0]}`)).toMatchObject({ status: 200, body: "by hand" });
    expect(await get(`blobs/${digests[1]}`)).toMatchObject({ status: 200, body: "by mistake" });
    expect(asideOf(digests[1])).toEqual([]);
    expect((await fsck(ALL)).lines).toEqual([]);
  });

  it("hashes a sample of so many, or of so many in a hundred", async () => {
    for (let one = 0; one < 20; one++) await pushBlob(place(), `sampled ${one}`);
    const [{ blobs = 0 } = {}] = await app().database.query<{ blobs: number }>(
      "",
      "select count(*)::int as blobs from blobs",
    );

    const of = async (sample: string) => (await fsck({ ...ALL, mode: "sample", sample })).objects;

    expect([await of("3"), await of("1000"), await of("100%")]).toEqual([3, blobs, blobs]);
    expect(await of("10%")).toBe(Math.ceil(blobs / 10));
  });
});

describe("goldseal fsck of manifests", () => {
  const corrupt = (digest: string) =>
    app().database.query("", "update manifests set content = set_byte(content, 0, 65) where digest = $1", [digest]);

  it("finds damaged bytes, which are served to nobody, and the next push heals them", async () => {
    const image = await pushParts(place(), place().repository);
    const body = JSON.stringify(image.manifest);
    const digest = digestOf(body);
    expect((await putManifest(place(), "t", body)).status).toBe(201);
    expect((await get("manifests/t")).body).toBe(body);
    await corrupt(digest);
    expect((await fsck({ ...SIZES, repair: false })).lines).toEqual([`manifest ${digest} digest none`]);

    const run = await fsck(SIZES);

    expect(run).toMatchObject({ lines: [`manifest ${digest} digest quarantined`], findings: 1 });
    expect(events).toEqual([{ kind: "damaged", of: "manifest", digest, reason: "digest" }]);
    for (const reference of ["t", digest]) {
      expect(await get(`manifests/${reference}`)).toMatchObject({
        ...{ status: 404, code: "MANIFEST_UNKNOWN" },
        body: expect.stringContaining("damaged"),
      });
      expect((await get(`manifests/${reference}`, "HEAD")).status).toBe(404);
    }
    const child = describeContent(body, OCI_MANIFEST);
    const index = { schemaVersion: 2, mediaType: OCI_INDEX, manifests: [child] };
    const refused = await putManifest(place(), "list", index, { contentType: OCI_INDEX });
    expect([refused.status, refused.code]).toEqual([400, "MANIFEST_BLOB_UNKNOWN"]);
    const [kept] = await app().database.query<{ content: Buffer }>(
      "",
      "select content from quarantine where digest = $1",
      [digest],
    );
    expect(kept?.content.toString()).toBe(`A${body.slice(1)}`);

    expect((await putManifest(place(), "t", body)).status).toBe(201);

    expect(await get("manifests/t")).toMatchObject({ status: 200, body });
    expect((await putManifest(place(), "list", index, { contentType: OCI_INDEX })).status).toBe(201);
    expect((await fsck(ALL)).lines).toEqual([]);
  });

  it("heals by a push what nobody has noticed yet, and lifts what is whole again", async () => {
    const image = await pushParts(place(), place().repository);
    const body = JSON.stringify(image.manifest);
    const digest = digestOf(body);
    await putManifest(place(), "t", body);
    await corrupt(digest);
    expect((await putManifest(place(), "t", body)).status).toBe(201);
    expect((await fsck(ALL)).lines).toEqual([]);

    await corrupt(digest);
    await fsck(ALL);
    await app().database.query("", "update manifests set content = $1 where digest = $2", [Buffer.from(body), digest]);
    expect((await fsck(DRY)).lines).toEqual([`manifest ${digest} healthy none`]);
    expect((await fsck(ALL)).lines).toEqual([`manifest ${digest} healthy lifted`]);

    expect(await get("manifests/t")).toMatchObject({ status: 200, body });
  });
});
