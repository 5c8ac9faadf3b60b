import { existsSync, readdirSync, readFileSync } from "node:fs";
import { rename, rm, truncate, unlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import {
  describe as describeContent,
  digestOf,
  OCI_INDEX,
  OCI_MANIFEST,
  type Place,
  pushBlob,
  pushParts,
  putManifest,
  startUpload,
} from "../../testing/images.ts";
import { openTestApp, type TestApp } from "../../testing/open-test-app.ts";
import { FsBlobInspector } from "../fs-blob-inspector.ts";
import { FsBlobInventory } from "../fs-blob-inventory.ts";
import { FsBlobStore } from "../fs-blob-store.ts";
import { Collector } from "../gc/collector.ts";
import { GcRuns } from "../gc/runs.ts";
import { Fsck, type FsckOptions } from "./fsck.ts";
import { type FsckRequest, FsckRuns } from "./fsck-runs.ts";
import type { IntegrityEvent } from "./integrity-event.ts";
import { listQuarantined } from "./quarantine.ts";

let app: TestApp;
let place: Place;
let count = 0;
const events: IntegrityEvent[] = [];
beforeAll(async () => {
  app = await openTestApp({ GOLDSEAL_GC_EVERY_MINUTES: "off" });
});
/** Each test leaves a store in which there is nothing to find. */
beforeEach(() => {
  place = { app, as: "alice", repository: `alice/fsck-${++count}` };
  events.length = 0;
});
afterAll(async () => {
  expect(app.errors()).toEqual([]);
  await app[Symbol.asyncDispose]();
});

const ALL: FsckRequest = { mode: "all", sample: undefined, repair: true, acceptLoss: false };
const DRY: FsckRequest = { ...ALL, repair: false };
const SIZES: FsckRequest = { ...ALL, mode: "sizes" };
const inAnHour = () => new Date(Date.now() + 3_700_000);

async function open(options: Partial<FsckOptions> = {}): Promise<Fsck> {
  return new Fsck({
    database: app.database,
    blobs: await FsBlobStore.open(app.blobsFolder),
    inspector: new FsBlobInspector(app.blobsFolder),
    inventory: new FsBlobInventory(app.blobsFolder),
    observe: (event) => events.push(event),
    ...options,
  });
}
/** Findings as lines, in the order of their names. */
async function fsck(request: FsckRequest, options: Partial<FsckOptions> = {}) {
  const id = await (await open(options)).run(request);
  const runs = new FsckRuns(app.database);
  const run = await runs.find(id ?? 0);
  if (run === undefined) throw new Error("nobody looked");
  const findings = await runs.listFindings(run.id, 0, 1_000);
  return {
    ...run,
    lines: findings.map(({ kind, name, reason, action }) => `${kind} ${name} ${reason} ${action}`).sort(),
  };
}
const fileOf = (digest: string): string => {
  const [algorithm = "", hex = ""] = digest.split(":");
  return join(app.blobsFolder, "blobs", algorithm, hex.slice(0, 2), hex);
};
async function flip(digest: string): Promise<void> {
  const bytes = readFileSync(fileOf(digest));
  bytes.writeUInt8(bytes.readUInt8(0) ^ 1, 0);
  await writeFile(fileOf(digest), bytes);
}
const get = async (path: string, method = "GET") => {
  const answer = await app.ask(method, `/v2/${place.repository}/${path}`, { as: "alice" });
  return { status: answer.status, code: answer.code, body: answer.body.toString() };
};
const asideOf = (digest: string): string[] => {
  const folder = join(app.blobsFolder, "quarantine");
  const names = existsSync(folder) ? readdirSync(folder) : [];
  return names.filter((name) => name.startsWith(digest.replace(":", "-"))).map((name) => join(folder, name));
};

describe("goldseal fsck of blobs", () => {
  it("finds nothing where all is well, and remembers that it looked", async () => {
    const digest = await pushBlob(place, "good");
    await app.database.query("", "update blobs set checked_at = '2020-01-01'");

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
    const rows = await app.database.query(
      "",
      "select digest from blobs where checked_at > now() - interval '1 minute'",
    );
    expect(rows).toEqual([{ digest }]);
  });

  it.each(["sha256", "sha512"])(
    "finds a flipped bit of %s, keeps the bytes aside, and the next push heals it",
    async (algorithm) => {
      const digest = await pushBlob(place, "good bytes", algorithm);
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

      await pushBlob(place, "good bytes", algorithm);

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
    const content = `bytes ${reason} ${count}`;
    const digest = await pushBlob(place, content);
    await damage(digest);

    expect((await fsck(SIZES)).lines).toEqual([`blob ${digest} ${reason} quarantined`]);

    expect((await get(`blobs/${digest}`)).code).toBe("BLOB_UNKNOWN");
    const upload = await startUpload(place);
    for (const piece of [content.slice(0, 4), content.slice(4)])
      expect((await app.ask("PATCH", upload, { as: "alice", body: Buffer.from(piece) })).status).toBe(202);
    expect((await app.ask("PUT", `${upload}?digest=${digest}`, { as: "alice" })).status).toBe(201);
    expect(await get(`blobs/${digest}`)).toMatchObject({ status: 200, body: content });
    expect((await fsck(ALL)).lines).toEqual([]);
  });

  it("is absent to a mount and to a manifest, and there again for all once one repository has pushed it", async () => {
    const other = { ...place, repository: `${place.repository}-other` };
    const image = await pushParts(place, place.repository);
    await pushParts(other, place.repository);
    await flip(image.layer.digest);
    await fsck(ALL);

    const mounted = await app.ask(
      "POST",
      `/v2/${place.repository}-third/blobs/uploads/?mount=${image.layer.digest}&from=${place.repository}`,
      { as: "alice" },
    );
    expect(mounted.status).toBe(202);
    const refused = await putManifest(place, "t", image.manifest);
    expect([refused.status, refused.code]).toEqual([400, "MANIFEST_BLOB_UNKNOWN"]);

    await pushBlob(other, `layer of ${place.repository}`);

    expect((await putManifest(place, "t", image.manifest)).status).toBe(201);
    expect((await get(`blobs/${image.layer.digest}`)).status).toBe(200);
    expect((await fsck(ALL)).lines).toEqual([]);
  });

  it("takes out of quarantine what is whole again: put there by hand, or set aside by mistake", async () => {
    const digests = [await pushBlob(place, "by hand"), await pushBlob(place, "by mistake")] as const;
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
    for (let one = 0; one < 20; one++) await pushBlob(place, `sampled ${one}`);
    const [{ blobs = 0 } = {}] = await app.database.query<{ blobs: number }>(
      "",
      "select count(*)::int as blobs from blobs",
    );

    const of = async (sample: string) => (await fsck({ ...ALL, mode: "sample", sample })).objects;

    expect([await of("3"), await of("1000"), await of("100%")]).toEqual([3, blobs, blobs]);
    expect(await of("10%")).toBe(Math.ceil(blobs / 10));
  });
});

describe("goldseal fsck beside pushes, deletions and the collector", () => {
  it("takes nothing for damage that the collector may have deleted, or has", async () => {
    const [candidate, deleted] = [await pushBlob(place, "candidate"), await pushBlob(place, "deleted")];
    for (const digest of [candidate, deleted]) await unlink(fileOf(digest));
    await app.database.query("", "update blobs set unreferenced_at = now() where digest = $1", [candidate]);
    const inspector = new FsBlobInspector(app.blobsFolder);
    const inspect = inspector.inspect.bind(inspector);
    let looks = 0;
    inspector.inspect = async (digest) => {
      const found = await inspect(digest);
      // Between the look and the lock.
      if (digest === deleted && looks++ === 0) {
        await app.database.query("", "delete from repository_blobs where digest = $1", [deleted]);
        await app.database.query("", "delete from blobs where digest = $1", [deleted]);
      }
      return found;
    };

    expect((await fsck(SIZES, { inspector })).lines).toEqual([]);

    expect(looks).toBe(1);
    await pushBlob(place, "candidate");
    expect((await fsck(ALL)).lines).toEqual([]);
  });

  it("leaves alone what was pushed again between its look and its lock", async () => {
    const digest = await pushBlob(place, "pushed again");
    await unlink(fileOf(digest));
    const inspector = new FsBlobInspector(app.blobsFolder);
    const inspect = inspector.inspect.bind(inspector);
    let looks = 0;
    inspector.inspect = async (asked) => {
      const found = await inspect(asked);
      if (asked === digest && looks++ === 0) await pushBlob(place, "pushed again");
      return found;
    };

    expect((await fsck(SIZES, { inspector })).lines).toEqual([]);

    expect(await get(`blobs/${digest}`)).toMatchObject({ status: 200, body: "pushed again" });
  });

  it("keeps what a push puts there between the mark and the setting aside, and keeps the damaged bytes too", async () => {
    const digest = await pushBlob(place, "in between");
    await flip(digest);
    const failpoint = async (name: string) => {
      if (name === "fsck.afterMark") await pushBlob(place, "in between");
    };

    await fsck(ALL, { failpoint });

    expect(await get(`blobs/${digest}`)).toMatchObject({ status: 200, body: "in between" });
    expect(asideOf(digest).map((file) => readFileSync(file, "utf8"))).toEqual(["hn between"]);
    expect((await fsck(ALL)).lines).toEqual([]);
  });

  it.each(["fsck.afterMark", "fsck.afterAside"])("is absent, and heals, when the process dies at %s", async (where) => {
    const content = `dies at ${where}`;
    const [healed, found] = [await pushBlob(place, content), await pushBlob(place, `${content}, found`)];
    for (const digest of [healed, found]) await flip(digest);
    const failpoint = async (name: string) => {
      if (name === where) throw new Error("dies");
    };
    await fsck(ALL, { failpoint });
    for (const digest of [healed, found]) expect((await get(`blobs/${digest}`)).code).toBe("BLOB_UNKNOWN");

    await pushBlob(place, content);
    expect(await get(`blobs/${healed}`)).toMatchObject({ status: 200, body: content });

    expect((await fsck(ALL)).lines).toEqual([`blob ${found} quarantined none`]);
    expect(asideOf(found)).toHaveLength(1);
    await pushBlob(place, `${content}, found`);
    expect((await fsck(ALL)).lines).toEqual([]);
  });

  it("goes on where a process left it, in another one, and finds everything once", async () => {
    const digests: string[] = [];
    for (let one = 0; one < 70; one++) digests.push(await pushBlob(place, `resumed ${one}`));
    digests.sort();
    const [first = "", last = ""] = [digests[0], digests.at(-1)];
    for (const digest of [first, last]) await flip(digest);
    await app.database.query("", "update blobs set checked_at = '2020-01-01'");
    const stopping = new AbortController();
    const failpoint = async (name: string) => {
      const [row] = await app.database.query<{ stage: string }>(
        "",
        "select stage from fsck_runs where ended_at is null",
      );
      if (name === "fsck.afterBatch" && row?.stage === "hashing") stopping.abort(new Error("the process stopped"));
    };
    const stopped = (await open({ failpoint, signal: stopping.signal })).run(ALL);
    await expect(stopped).rejects.toThrow("the process stopped");
    const [half] = await app.database.query<{ id: string; place: string; n: number }>(
      "",
      `select id, place, (select count(*)::int from blobs where checked_at > '2020-01-02') as n
       from fsck_runs where ended_at is null`,
    );
    expect(half?.n).toBe(63);

    const run = await fsck(ALL);

    expect(run.id).toBe(Number(half?.id));
    expect(run.lines).toEqual([first, last].map((digest) => `blob ${digest} digest quarantined`).sort());
    expect(run.objects).toBe(run.totalObjects);
    // The damaged one is read twice; the other one was hashed before.
    expect(run.bytes - run.totalBytes).toBe(readFileSync(asideOf(last)[0] ?? "").length);
    for (let one = 0; one < 70; one++) await pushBlob(place, `resumed ${one}`);
    expect((await fsck(ALL)).lines).toEqual([]);
  });

  it("is one at a time over all processes, and another request ends the one that waits", async () => {
    let second: number | undefined = -1;
    const failpoint = async (name: string) => {
      if (name === "fsck.afterBatch") second = await (await open()).run(SIZES);
    };
    await fsck(SIZES, { failpoint });
    expect(second).toBeUndefined();

    await app.database.query(
      "",
      "insert into fsck_runs (mode, repair, accept_loss, stage) values ('all', false, false, 'sizes')",
    );
    expect(await (await open()).run(undefined)).toBeTypeOf("number");
    await app.database.query(
      "",
      "insert into fsck_runs (mode, repair, accept_loss, stage) values ('all', false, false, 'sizes')",
    );
    const next = await fsck(SIZES);
    const runs = await new FsckRuns(app.database).list(2);
    expect(runs.map(({ id, outcome, reason }) => [id, outcome, reason])).toEqual([
      [next.id, "done", undefined],
      [next.id - 1, "failed", "given up for another one"],
    ]);
    expect(await (await open()).run(undefined)).toBeUndefined();
  });

  it("believes no store that seems to have lost everything, unless it is told so", async () => {
    for (let one = 0; one < 120; one++) await pushBlob(place, `lost ${one}`);
    const folder = join(app.blobsFolder, "blobs", "sha256");
    const opened = await open();
    await rename(folder, `${folder}-elsewhere`);
    await expect(opened.run(SIZES)).rejects.toThrow("100 blobs in a row could not be read");
    events.length = 0;

    // A start makes the folders that it misses.
    await FsBlobStore.open(app.blobsFolder);

    await expect(fsck(SIZES)).rejects.toThrow(/100 blobs in a row are missing.*mounted/);
    const marked = await listQuarantined(app.database, "", 1_000);
    expect(marked.length).toBeLessThan(100);
    await fsck({ ...SIZES, acceptLoss: true });
    expect((await listQuarantined(app.database, "", 1_000)).length).toBeGreaterThanOrEqual(120);

    await rm(folder, { recursive: true });
    await rename(`${folder}-elsewhere`, folder);
    expect(await fsck(SIZES)).toMatchObject({ findings: 0 });
    expect(await listQuarantined(app.database, "", 1_000)).toEqual([]);
  });
});

describe("goldseal fsck of what has no row", () => {
  const withoutRow = async (content: string): Promise<string> => {
    const digest = await pushBlob(place, content);
    await app.database.query("", "delete from repository_blobs where digest = $1", [digest]);
    await app.database.query("", "delete from blobs where digest = $1", [digest]);
    return digest;
  };

  it("lets a push write its row within the hour, and holds the collector of a database that may be an old one (G8)", async () => {
    const digest = await withoutRow("pushed after the backup");
    expect((await fsck(ALL)).lines).toEqual([]);
    const inspector = new FsBlobInspector(app.blobsFolder, inAnHour);
    expect(await fsck(DRY, { inspector })).toMatchObject({ lines: [`blob ${digest} surplus none`], reason: undefined });
    expect((await collect({})).outcome).toBe("done");
    // The collector has given it a row meanwhile.
    expect((await fsck(DRY)).lines).toEqual([`blob ${digest} surplus none`]);

    expect(await fsck(SIZES)).toMatchObject({
      lines: [`blob ${digest} surplus none`],
      reason: expect.stringContaining("goldseal gc --after-restore"),
    });

    await app.database.query("", "update blobs set unreferenced_at = now() - interval '9 days' where digest = $1", [
      digest,
    ]);
    expect(await collect({})).toMatchObject({ outcome: "held", deleted: 0 });
    expect(existsSync(fileOf(digest))).toBe(true);
    expect(await collect({ afterRestore: true })).toMatchObject({ outcome: "done", deleted: 1 });
    expect(existsSync(fileOf(digest))).toBe(false);
    expect((await fsck(ALL)).lines).toEqual([]);
  });

  it("is no surplus any more once somebody has pushed it", async () => {
    const digest = await withoutRow("pushed once more");
    await collect({});
    expect((await fsck(DRY)).lines).toEqual([`blob ${digest} surplus none`]);

    await pushBlob(place, "pushed once more");

    expect((await fsck(ALL)).lines).toEqual([]);
  });

  async function collect(options: { afterRestore?: boolean }) {
    const store = await FsBlobStore.open(app.blobsFolder);
    const collector = new Collector({
      database: app.database,
      inventory: new FsBlobInventory(app.blobsFolder),
      seeBytes: async (digest, size) => (await store.findSize(digest)) === size,
      ...{ graceSeconds: 86_400, untaggedSeconds: undefined },
    });
    const id = await collector.run({ dryRun: false, ...options });
    return (await new GcRuns(app.database).find(id ?? 0)) ?? { outcome: undefined, deleted: -1 };
  }
});

describe("goldseal fsck of manifests", () => {
  const corrupt = (digest: string) =>
    app.database.query("", "update manifests set content = set_byte(content, 0, 65) where digest = $1", [digest]);

  it("finds damaged bytes, which are served to nobody, and the next push heals them", async () => {
    const image = await pushParts(place, place.repository);
    const body = JSON.stringify(image.manifest);
    const digest = digestOf(body);
    expect((await putManifest(place, "t", body)).status).toBe(201);
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
    const refused = await putManifest(place, "list", index, { contentType: OCI_INDEX });
    expect([refused.status, refused.code]).toEqual([400, "MANIFEST_BLOB_UNKNOWN"]);
    const [kept] = await app.database.query<{ content: Buffer }>(
      "",
      "select content from quarantine where digest = $1",
      [digest],
    );
    expect(kept?.content.toString()).toBe(`A${body.slice(1)}`);

    expect((await putManifest(place, "t", body)).status).toBe(201);

    expect(await get("manifests/t")).toMatchObject({ status: 200, body });
    expect((await putManifest(place, "list", index, { contentType: OCI_INDEX })).status).toBe(201);
    expect((await fsck(ALL)).lines).toEqual([]);
  });

  it("heals by a push what nobody has noticed yet, and lifts what is whole again", async () => {
    const image = await pushParts(place, place.repository);
    const body = JSON.stringify(image.manifest);
    const digest = digestOf(body);
    await putManifest(place, "t", body);
    await corrupt(digest);
    expect((await putManifest(place, "t", body)).status).toBe(201);
    expect((await fsck(ALL)).lines).toEqual([]);

    await corrupt(digest);
    await fsck(ALL);
    await app.database.query("", "update manifests set content = $1 where digest = $2", [Buffer.from(body), digest]);
    expect((await fsck(DRY)).lines).toEqual([`manifest ${digest} healthy none`]);
    expect((await fsck(ALL)).lines).toEqual([`manifest ${digest} healthy lifted`]);

    expect(await get("manifests/t")).toMatchObject({ status: 200, body });
  });
});
