import { existsSync, readdirSync } from "node:fs";
import { utimes } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Digest, parseDigest } from "../../oci/digest.ts";
import { parseRepositoryName } from "../../oci/repository-name.ts";
import {
  describe as describeContent,
  digestOf,
  type Image,
  OCI_INDEX,
  OCI_MANIFEST,
  type Place,
  pushBlob,
  pushParts,
  putManifest,
  startUpload,
} from "../../testing/images.ts";
import { openTestApp, type TestApp } from "../../testing/open-test-app.ts";
import { FsBlobInventory } from "../fs-blob-inventory.ts";
import { FsBlobStore } from "../fs-blob-store.ts";
import { pin, unpin } from "../pins.ts";
import { Collector, type CollectorOptions, type GcEvent } from "./collector.ts";
import { GcRuns } from "./runs.ts";

let app: TestApp;
let runs: GcRuns;
let count = 0;
beforeAll(async () => {
  app = await openTestApp();
  runs = new GcRuns(app.database);
});
afterAll(async () => {
  expect(app.errors()).toEqual([]);
  await app[Symbol.asyncDispose]();
});

const DAY = 86_400;
const events: GcEvent[] = [];
async function open(options: Partial<CollectorOptions> = {}): Promise<Collector> {
  const store = await FsBlobStore.open(app.blobsFolder);
  return new Collector({
    database: app.database,
    inventory: new FsBlobInventory(app.blobsFolder),
    seeBytes: async (digest, size) => (await store.findSize(digest)) === size,
    ...{ graceSeconds: 0, untaggedSeconds: 0, observe: (event) => events.push(event) },
    ...options,
  });
}
async function collect(
  options: Partial<CollectorOptions> = {},
  run: { dryRun?: boolean; afterRestore?: boolean } = {},
) {
  const id = await (await open(options)).run({ dryRun: false, ...run });
  const found = id === undefined ? undefined : await runs.find(id);
  if (id === undefined || found === undefined) throw new Error("nobody collected");
  const items = await runs.listItems(id, 0, 1_000);
  return {
    ...found,
    items: items.map((one) => `${one.kind} ${one.repository ?? ""} ${one.digest} ${one.size}`).sort(),
  };
}
/** Everything that nothing needs is a while old. */
async function age(seconds: number): Promise<void> {
  for (const table of ["manifests", "repository_blobs", "blobs"]) {
    await app.database.query("", `update ${table} set unreferenced_at = unreferenced_at - make_interval(secs => $1)`, [
      seconds,
    ]);
  }
}
function newPlace(): Place {
  return { app, as: "alice", repository: `alice/gc-${++count}` };
}
/** An image of its own under `tag`. */
async function pushImage(place: Place, tag: string, more: object = {}): Promise<{ image: Image; digest: string }> {
  const image = await pushParts(place, `${place.repository} ${tag}`);
  const body = JSON.stringify({ ...image.manifest, ...more });
  expect((await putManifest(place, tag, body)).status).toBe(201);
  sizes.set(digestOf(body), Buffer.byteLength(body));
  return { image, digest: digestOf(body) };
}
/** Of manifests with more in them than their parts. */
const sizes = new Map<string, number>();
const statusOf = async ({ repository }: Place, path: string, method = "GET") =>
  (await app.ask(method, `/v2/${repository}/${path}`, { as: "alice" })).status;
const untag = async (place: Place, tag: string) =>
  expect(await statusOf(place, `manifests/${tag}`, "DELETE")).toBe(202);
const fileOf = (digest: string): string =>
  join(app.blobsFolder, "blobs", "sha256", digest.slice(7, 9), digest.slice(7));
const statusesOf = async (place: Place, { image, digest }: { image: Image; digest: string }) => [
  await statusOf(place, `manifests/${digest}`),
  await statusOf(place, `blobs/${image.config.digest}`),
  await statusOf(place, `blobs/${image.layer.digest}`),
];
const ALL_THERE = [200, 200, 200];
const ALL_GONE = [404, 404, 404];

describe("a collection", () => {
  it("deletes an image that nothing names, with its bytes, and leaves the one beside it", async () => {
    const place = newPlace();
    const [kept, gone] = [await pushImage(place, "kept"), await pushImage(place, "gone")];
    await untag(place, "gone");

    const run = await collect();

    expect([run.outcome, run.skipped]).toEqual(["done", 0]);
    expect(run.items).toEqual(
      [
        `manifest ${place.repository} ${gone.digest} ${JSON.stringify(gone.image.manifest).length}`,
        ...[gone.image.config, gone.image.layer].flatMap(({ digest, size }) => [
          `link ${place.repository} ${digest} ${size}`,
          `blob  ${digest} ${size}`,
        ]),
      ].sort(),
    );
    expect(await statusesOf(place, gone)).toEqual(ALL_GONE);
    expect(await statusesOf(place, kept)).toEqual(ALL_THERE);
    expect([gone.image.config, kept.image.config].map(({ digest }) => existsSync(fileOf(digest)))).toEqual([
      false,
      true,
    ]);
    expect(readdirSync(join(app.blobsFolder, "uploads"))).toEqual([]);
  });

  it("lists in a dry run what the real one then deletes, and changes nothing (G7)", async () => {
    const place = newPlace();
    const gone = await pushImage(place, "gone");
    await pushImage(place, "kept");
    const index = { schemaVersion: 2, mediaType: OCI_INDEX, manifests: [child(gone)] };
    expect((await putManifest(place, "list", index, { contentType: OCI_INDEX })).status).toBe(201);
    for (const tag of ["gone", "list"]) await untag(place, tag);
    await pushBlob(place, "nobody's");
    const before = await app.stored();
    await collect({ graceSeconds: DAY, untaggedSeconds: DAY });
    for (const grace of [DAY, 0]) {
      const dry = await collect({ graceSeconds: grace, untaggedSeconds: grace }, { dryRun: true });
      expect(await app.stored()).toEqual(before);
      const real = await collect({ graceSeconds: grace, untaggedSeconds: grace });

      expect(dry.items).toEqual(real.items);
      expect([dry.deleted, dry.freedBytes]).toEqual([real.deleted, real.freedBytes]);
      expect(real.items).toHaveLength(grace === 0 ? 8 : 0);
    }
  });

  it("keeps what tags, indexes, subjects and pins lead to, however far (G4)", async () => {
    const place = newPlace();
    const inner = await pushImage(place, "inner");
    const subject = await pushImage(place, "subject");
    const pinned = await pushImage(place, "pinned");
    const signature = await pushImage(place, "signature", { subject: child(inner) });
    const ofSignature = await pushImage(place, "countersigned", { subject: child(signature) });
    const nested = JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests: [child(inner)] });
    await putManifest(place, "nested", nested, { contentType: OCI_INDEX });
    const outer = {
      ...{ schemaVersion: 2, mediaType: OCI_INDEX, subject: child(subject) },
      manifests: [{ ...describeContent(nested, OCI_INDEX) }],
    };
    await putManifest(place, "outer", outer, { contentType: OCI_INDEX });
    const [repository, digest] = [parseRepositoryName(place.repository), parseDigest(pinned.digest)];
    const held = { repository, digest, kind: "deployment", owner: "production/web" };
    expect(await pin(app.database, held)).toBe(true);
    expect(await pin(app.database, { ...held, digest: parseDigest(digestOf("missing")) })).toBe(false);
    for (const tag of ["inner", "pinned", "signature", "countersigned", "nested", "outer"]) await untag(place, tag);

    await collect();
    for (const image of [inner, subject, pinned, signature, ofSignature])
      expect(await statusesOf(place, image)).toEqual(ALL_THERE);

    await untag(place, "subject");
    await unpin(app.database, held);
    await collect();
    for (const image of [inner, subject, pinned, signature, ofSignature])
      expect(await statusesOf(place, image)).toEqual(ALL_GONE);
  });

  it("waits out the grace from when nothing led to it any more, however old it is, and not at all when led to again", async () => {
    const place = newPlace();
    const image = await pushImage(place, "t");
    const tagAgain = () => putManifest(place, "t", JSON.stringify(image.image.manifest));
    await app.database.query("", "update manifests set created_at = now() - interval '1 year'");
    const slow = { graceSeconds: DAY, untaggedSeconds: DAY };
    await untag(place, "t");
    await collect(slow);
    await age(DAY - 60);
    expect((await collect(slow)).items).toEqual([]);

    await tagAgain();
    await untag(place, "t");
    await collect(slow);
    await age(DAY - 60);
    expect((await collect(slow)).items).toEqual([]);
    expect(await statusesOf(place, image)).toEqual(ALL_THERE);
    await collect(slow);
    await age(DAY);
    await app.database.query("", "update repository_blobs set unreferenced_at = now() - interval '3 days'");
    await app.database.query(
      "",
      "update blobs set unreferenced_at = now() - interval '3 days' where unreferenced_at is not null",
    );

    expect((await collect(slow)).items).toHaveLength(5);
    expect(await statusesOf(place, image)).toEqual(ALL_GONE);
  });

  it("keeps old children of a new index, and an old index on old children (D23)", async () => {
    const place = newPlace();
    const image = await pushImage(place, "t");
    await untag(place, "t");
    const slow = { graceSeconds: DAY, untaggedSeconds: DAY };
    await collect(slow);
    await age(30 * DAY);
    const index = { schemaVersion: 2, mediaType: OCI_INDEX, manifests: [child(image)] };
    await putManifest(place, "list", index, { contentType: OCI_INDEX });

    await collect(slow);
    await age(30 * DAY);
    await collect(slow);

    expect(await statusesOf(place, image)).toEqual(ALL_THERE);
  });

  it("keeps untagged manifests for ever where it is told so", async () => {
    const place = newPlace();
    const image = await pushImage(place, "t");
    await untag(place, "t");
    const extra = await pushBlob(place, "nobody's here either");

    await collect({ untaggedSeconds: undefined });

    expect(await statusesOf(place, image)).toEqual(ALL_THERE);
    expect(await statusOf(place, `blobs/${extra}`)).toBe(404);
    await collect();
  });

  it("keeps what a push under way may be about to reference, and what its client was told is there", async () => {
    const place = newPlace();
    const slow = { graceSeconds: DAY, untaggedSeconds: DAY };
    const [asked, waited] = [await pushBlob(place, "asked for"), await pushBlob(newPlace(), "waited for")];
    await collect(slow);
    await age(DAY);
    expect(await statusOf(place, `blobs/${asked}`, "HEAD")).toBe(200);
    const upload = await startUpload({ ...place, repository: `alice/gc-${count}` });
    await app.database.query("", "update upload_sessions set created_at = now() - interval '1 hour'");

    expect((await collect(slow)).items).toEqual([]);

    await app.ask("DELETE", upload, { as: "alice" });
    expect((await collect(slow)).items.map((line) => line.split(" ")[2])).toEqual([waited, waited]);
    await collect();
  });

  it("takes a deleted image at once, and the same push brings it back (D10)", async () => {
    const place = newPlace();
    const image = await pushImage(place, "t");
    expect(await statusOf(place, `manifests/${image.digest}`, "DELETE")).toBe(202);
    await collect();

    const { layer, manifest } = image.image;
    expect(await statusOf(place, `blobs/${layer.digest}`, "HEAD")).toBe(404);
    const refused = await putManifest(place, "t", JSON.stringify(manifest));
    expect([refused.status, refused.code]).toEqual([400, "MANIFEST_BLOB_UNKNOWN"]);
    await pushParts(place, `${place.repository} t`);
    expect((await putManifest(place, "t", JSON.stringify(manifest))).status).toBe(201);
    expect(await statusesOf(place, image)).toEqual(ALL_THERE);
  });

  it("gives bytes without a row their grace too, on the database's clock", async () => {
    const place = newPlace();
    const digest = await pushBlob(place, "orphan");
    await app.database.query("", "delete from repository_blobs where digest = $1", [digest]);
    await app.database.query("", "delete from blobs where digest = $1", [digest]);

    await collect({ graceSeconds: DAY });
    await age(DAY - 60);
    expect((await collect({ graceSeconds: DAY })).items).toEqual([]);
    await age(60);

    expect((await collect({ graceSeconds: DAY })).items).toEqual([`blob  ${digest} 6`]);
    expect(existsSync(fileOf(digest))).toBe(false);
  });

  it("loses nothing of a push that the clock jumps over (G6)", async () => {
    const place = newPlace();
    const image = await pushParts(place, "jump");
    const slow = { graceSeconds: DAY, untaggedSeconds: DAY };
    // The clock of the machine with the files was two days ahead, then behind; the database's did not move.
    for (const days of [2, -2]) {
      const then = new Date(Date.now() + days * DAY * 1000);
      for (const { digest } of [image.config, image.layer]) await utimes(fileOf(digest), then, then);
      expect((await collect(slow)).items).toEqual([]);
    }

    expect((await putManifest(place, "t", JSON.stringify(image.manifest))).status).toBe(201);
    await age(2 * DAY);
    expect((await collect(slow)).items).toEqual([]);
  });

  it("leaves a candidate whose bytes are gone to the next push, which brings them back", async () => {
    const place = newPlace();
    const digest = await pushBlob(place, "half deleted");
    expect(await statusOf(place, `blobs/${digest}`, "DELETE")).toBe(202);
    await collect({ graceSeconds: DAY });
    await (await new FsBlobInventory(app.blobsFolder).withdraw(parseDigest(digest)))?.discard();

    await pushBlob(place, "half deleted");

    expect(await statusOf(place, `blobs/${digest}`)).toBe(200);
    const marks = await app.database.query(
      "",
      "select 1 from blobs where digest = $1 and unreferenced_at is not null",
      [digest],
    );
    expect(marks).toEqual([]);
    await collect();
  });

  it("goes on without the one blob that the store cannot delete, and deletes it in the next run", async () => {
    const place = newPlace();
    const digests = [];
    for (const text of ["stuck", "one", "two"]) digests.push(await pushBlob(place, text));
    const [stuck = ""] = digests;
    class Failing extends FsBlobInventory {
      override async withdraw(digest: Digest) {
        if (digest === stuck) throw new Error("input/output error");
        return super.withdraw(digest);
      }
    }
    events.length = 0;

    const run = await collect({ inventory: new Failing(app.blobsFolder) });

    expect([run.outcome, run.skipped, run.deleted]).toEqual(["done", 1, 5]);
    expect(events.filter(({ kind }) => kind === "error")).toHaveLength(1);
    expect(digests.map((digest) => existsSync(fileOf(digest)))).toEqual([true, false, false]);
    expect((await collect()).items).toEqual([`blob  ${stuck} 5`]);
  });

  it("deletes a chain of indexes in one run, however many manifests it takes at once", async () => {
    const place = newPlace();
    const image = await pushImage(place, "image");
    let last = child(image);
    for (let i = 0; i < 4; i++) {
      const index = { schemaVersion: 2, mediaType: OCI_INDEX, manifests: [last], annotations: { i: String(i) } };
      expect((await putManifest(place, `index-${i}`, index, { contentType: OCI_INDEX })).status).toBe(201);
      last = describeContent(JSON.stringify(index), OCI_INDEX);
    }
    for (const tag of ["image", "index-0", "index-1", "index-2", "index-3"]) await untag(place, tag);

    const run = await collect({ manifestsAtOnce: 1 });

    expect(run.items.filter((item) => item.startsWith("manifest"))).toHaveLength(5);
    expect([run.deleted, run.skipped]).toEqual([9, 0]);
  });

  it("leaves no setting of its own on the connection", async () => {
    await collect();

    const text = "select current_setting('enable_seqscan') as seqscan, current_setting('synchronous_commit') as sync";
    const settings = await Promise.all(Array.from({ length: 10 }, () => app.database.query("", text)));

    expect(new Set(settings.flat().map(({ seqscan, sync }) => `${seqscan} ${sync}`))).toEqual(new Set(["on on"]));
  });

  it("has all that leads to a deletion on disk before it takes the bytes", async () => {
    const place = newPlace();
    await pushBlob(place, "marked, then taken");
    const positions: string[] = [];
    const flushed: boolean[] = [];
    const failpoint = async (name: string) => {
      // Of the link, in the transaction that removes it.
      if (name === "gc.beforeCommit" && positions.length === 0) {
        const [row] = await app.database.query<{ at: string }>("", "select pg_current_wal_insert_lsn()::text as at");
        positions.push(row?.at ?? "");
      }
      if (name !== "gc.afterObject") return;
      const text = "select pg_current_wal_flush_lsn() >= $1::pg_lsn as done";
      const [row] = await app.database.query<{ done: boolean }>("", text, positions);
      flushed.push(row?.done === true);
    };

    await collect({ failpoint });

    expect(flushed).toEqual([true]);
  });

  it("has its count of runs on disk before the blob store has it, or a crash would look like a restored backup", async () => {
    let position = "";
    const flushed: boolean[] = [];
    class Watched extends FsBlobInventory {
      override async readMark(): Promise<number> {
        const [row] = await app.database.query<{ at: string }>("", "select pg_current_wal_insert_lsn()::text as at");
        position = row?.at ?? "";
        return super.readMark();
      }
      override async writeMark(runs: number): Promise<void> {
        const text = "select pg_current_wal_flush_lsn() > $1::pg_lsn as done";
        const [row] = await app.database.query<{ done: boolean }>("", text, [position]);
        flushed.push(row?.done === true);
        return super.writeMark(runs);
      }
    }

    await collect({ inventory: new Watched(app.blobsFolder) });

    expect(flushed).toEqual([true]);
  });

  it("is one at a time over all processes", async () => {
    let second: number | undefined = -1;
    const failpoint = async (name: string) => {
      if (name === "gc.afterMark") second = await (await open()).run({ dryRun: false });
    };

    await collect({ failpoint });

    expect(second).toBeUndefined();
  });

  it("changes nothing once its connection is lost", async () => {
    const place = newPlace();
    const digest = await pushBlob(place, "not to be lost");
    expect(await statusOf(place, `blobs/${digest}`, "DELETE")).toBe(202);
    let hit = 0;
    const failpoint = async (name: string) => {
      if (name !== "gc.afterObject") return;
      hit++;
      expect(existsSync(fileOf(digest))).toBe(false);
      await app.database.query(
        "",
        `select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory' and pid <> pg_backend_pid()
         and database = (select oid from pg_database where datname = current_database())`,
      );
    };

    await expect((await open({ failpoint })).run({ dryRun: false })).rejects.toMatchObject({ code: "UNAVAILABLE" });

    expect(hit).toBe(1);
    expect(existsSync(fileOf(digest))).toBe(true);
    const next = await collect();
    expect(next.items).toEqual([`blob  ${digest} 14`]);
    const died = (await runs.list(2))[1];
    expect([died?.outcome, died?.reason]).toEqual(["failed", "the process that collected went away"]);
  });

  it("does nothing on yesterday's database until an operator says so (G8)", async () => {
    const place = newPlace();
    const digest = await pushBlob(place, "pushed since the backup");
    await collect({ graceSeconds: DAY });
    await app.database.query("", "update gc_mark set runs = runs - 1");
    await app.database.query("", "delete from repository_blobs where digest = $1", [digest]);
    await app.database.query("", "delete from blobs where digest = $1", [digest]);

    for (const dryRun of [true, false]) {
      const held = await collect({}, { dryRun });
      expect([held.outcome, held.items]).toEqual(["held", []]);
      expect(held.reason).toContain("--after-restore");
    }
    expect(existsSync(fileOf(digest))).toBe(true);

    expect((await collect({}, { afterRestore: true })).items).toEqual([`blob  ${digest} 23`]);
    expect((await collect()).outcome).toBe("done");
  });
});

function child({ digest }: { digest: string }, mediaType = OCI_MANIFEST) {
  return { mediaType, digest, size: sizes.get(digest) ?? 0 };
}
