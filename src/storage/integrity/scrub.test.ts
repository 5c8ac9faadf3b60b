import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { digestOf, type Place, pushBlob, pushParts, putManifest } from "../../testing/images.ts";
import { openTestApp, type TestApp } from "../../testing/open-test-app.ts";
import { FsBlobInspector } from "../fs-blob-inspector.ts";
import { FsBlobStore } from "../fs-blob-store.ts";
import { unconfirmed } from "../test-database.ts";
import type { IntegrityEvent } from "./integrity-event.ts";
import { Scrub, type ScrubOptions } from "./scrub.ts";
import { ScrubStore } from "./scrub-store.ts";

let app: TestApp;
let place: Place;
const events: IntegrityEvent[] = [];
beforeAll(async () => {
  app = await openTestApp({ GOLDSEAL_GC_EVERY_MINUTES: "off" });
  place = { app, as: "alice", repository: "alice/scrub" };
});
beforeEach(async () => {
  events.length = 0;
  await set(1_000_000_000, 7);
});
afterAll(async () => {
  expect(app.errors()).toEqual([]);
  await app[Symbol.asyncDispose]();
});

async function open(options: Partial<ScrubOptions> = {}): Promise<Scrub> {
  return new Scrub({
    database: app.database,
    blobs: await FsBlobStore.open(app.blobsFolder),
    inspector: new FsBlobInspector(app.blobsFolder),
    observe: (event) => events.push(event),
    ...options,
  });
}
const scrub = async (options: Partial<ScrubOptions> = {}) => (await open(options)).run();
const set = (bytesPerSecond: number, everyDays: number) =>
  new ScrubStore(app.database).put({ bytesPerSecond, everyDays }, { check: () => undefined, confirm: unconfirmed });
const age = (table: string, days: number, digest: string) =>
  app.database.query("", `update ${table} set checked_at = now() - make_interval(days => $1) where digest = $2`, [
    days,
    digest,
  ]);
const fileOf = (digest: string): string =>
  join(app.blobsFolder, "blobs", "sha256", digest.slice(7, 9), digest.slice(7));
/** The reader of a store that notes what it reads. */
async function noting(read: string[]): Promise<Pick<FsBlobStore, "open">> {
  const store = await FsBlobStore.open(app.blobsFolder);
  return {
    open: (digest) => {
      read.push(digest);
      return store.open(digest);
    },
  };
}

describe("the scrub", () => {
  it("reads what was not read for longest first, and nothing more often than it is told", async () => {
    const digests: string[] = [];
    for (const days of [8, 20, 6, 9]) {
      const digest = await pushBlob(place, `${days} days`);
      await age("blobs", days, digest);
      digests.push(digest);
    }
    const read: string[] = [];

    await scrub({ blobs: await noting(read) });
    await scrub({ blobs: await noting(read) });

    expect(read).toEqual([digests[1], digests[3], digests[0]]);
    expect(await new ScrubStore(app.database).read()).toMatchObject({ objects: 3, damaged: 0 });
  });

  it("puts into quarantine what is damaged, and takes out what is whole again when it has its turn", async () => {
    const digest = await pushBlob(place, "will rot");
    writeFileSync(fileOf(digest), "has rot!");
    const image = await pushParts(place);
    const body = JSON.stringify(image.manifest);
    await putManifest(place, "t", body);
    await app.database.query("", "update manifests set content = set_byte(content, 0, 65)");
    await age("blobs", 8, digest);
    await age("manifests", 8, digestOf(body));

    await scrub();

    const found = events.filter(({ kind }) => kind === "damaged");
    expect(found).toEqual([
      { kind: "damaged", of: "manifest", digest: digestOf(body), reason: "digest" },
      { kind: "damaged", of: "blob", digest, reason: "digest" },
    ]);
    const statusOf = async (path: string) => (await app.ask("GET", `/v2/alice/scrub/${path}`, { as: "alice" })).status;
    expect([await statusOf(`blobs/${digest}`), await statusOf("manifests/t")]).toEqual([404, 404]);

    writeFileSync(fileOf(digest), "will rot");
    await app.database.query("", "update manifests set content = $1", [Buffer.from(body)]);
    await scrub();
    expect(await statusOf(`blobs/${digest}`)).toBe(404);
    await set(1_000_000_000, 0);
    await scrub();
    expect([await statusOf(`blobs/${digest}`), await statusOf("manifests/t")]).toEqual([200, 200]);
    expect(events.filter(({ kind }) => kind === "lifted")).toHaveLength(2);
  });

  it("goes on in another process where one ended", async () => {
    const digests: string[] = [];
    for (let one = 0; one < 10; one++) {
      const digest = await pushBlob(place, `in turn ${one}`);
      await age("blobs", 30 - one, digest);
      digests.push(digest);
    }
    const read: string[] = [];
    const store = await noting(read);
    const stopping = new AbortController();
    const blobs: ScrubOptions["blobs"] = {
      open: (digest) => {
        if (read.length === 4) stopping.abort(new Error("the process stopped"));
        return store.open(digest);
      },
    };

    await expect(scrub({ blobs, signal: stopping.signal })).rejects.toThrow("the process stopped");
    await scrub({ blobs: store });

    // The one that was in hand is read again.
    expect(read).toEqual([...digests.slice(0, 5), ...digests.slice(4)]);
  });

  it("is one at a time over all processes", async () => {
    const digest = await pushBlob(place, "for one");
    await age("blobs", 9, digest);
    let other: boolean | undefined;
    const store = await FsBlobStore.open(app.blobsFolder);
    const blobs: ScrubOptions["blobs"] = {
      open: async (asked) => {
        other = await scrub();
        return store.open(asked);
      },
    };

    expect(await scrub({ blobs })).toBe(true);

    expect(other).toBe(false);
  });

  it("reads no faster than it may, and not at all when it is off", async () => {
    const digest = await pushBlob(place, Buffer.alloc(1_000_000, 7));
    await age("blobs", 9, digest);
    await set(0, 0);
    await scrub();
    expect(events).toEqual([]);

    // One second's worth is free at the start.
    await set(500_000, 7);
    const started = performance.now();
    await scrub();

    expect(performance.now() - started).toBeGreaterThan(1_000);
    expect(events).toEqual([{ kind: "scrubbed", objects: 1, bytes: 1_000_000 }]);
  });

  it("does not believe that everything is lost", async () => {
    for (let one = 0; one < 105; one++) await age("blobs", 9, await pushBlob(place, `lost ${one}`));
    const folder = join(app.blobsFolder, "blobs", "sha256");
    renameSync(folder, `${folder}-elsewhere`);
    await FsBlobStore.open(app.blobsFolder);

    await expect(scrub()).rejects.toThrow("100 blobs in a row are missing");
    renameSync(folder, `${folder}-empty`);
    renameSync(`${folder}-elsewhere`, folder);

    await set(1_000_000_000, 0);
    await scrub();
    expect(await app.database.query("", "select 1 from blobs where quarantined_at is not null")).toEqual([]);
    expect(readFileSync(fileOf(digestOf("lost 1")), "utf8")).toBe("lost 1");
  });
});
