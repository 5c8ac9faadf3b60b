import { existsSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { pushBlob } from "../../testing/images.ts";
import { FsBlobInspector } from "../fs-blob-inspector.ts";
import { FsBlobInventory } from "../fs-blob-inventory.ts";
import { FsBlobStore } from "../fs-blob-store.ts";
import { Collector } from "../gc/collector.ts";
import { GcRuns } from "../gc/runs.ts";
import { ALL, DRY, SIZES, useFsck } from "./test-fsck.ts";

const { app, place, fsck, fileOf } = useFsck();

const inAnHour = () => new Date(Date.now() + 3_700_000);

describe("goldseal fsck of what has no row", () => {
  const withoutRow = async (content: string): Promise<string> => {
    const digest = await pushBlob(place(), content);
    await app().database.query("", "delete from repository_blobs where digest = $1", [digest]);
    await app().database.query("", "delete from blobs where digest = $1", [digest]);
    return digest;
  };

  it("lets a push write its row within the hour, and holds the collector of a database that may be an old one (G8)", async () => {
    const digest = await withoutRow("pushed after the backup");
    expect((await fsck(ALL)).lines).toEqual([]);
    const inspector = new FsBlobInspector(app().blobsFolder, inAnHour);
    expect(await fsck(DRY, { inspector })).toMatchObject({ lines: [`blob ${digest} surplus none`], reason: undefined });
    expect((await collect({})).outcome).toBe("done");
    // The collector has given it a row meanwhile.
    expect((await fsck(DRY)).lines).toEqual([`blob ${digest} surplus none`]);

    expect(await fsck(SIZES)).toMatchObject({
      lines: [`blob ${digest} surplus none`],
      reason: expect.stringContaining("goldseal gc --after-restore"),
    });

    await app().database.query("", "update blobs set unreferenced_at = now() - interval '9 days' where digest = $1", [
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

    await pushBlob(place(), "pushed once more");

    expect((await fsck(ALL)).lines).toEqual([]);
  });

  async function collect(options: { afterRestore?: boolean }) {
    const store = await FsBlobStore.open(app().blobsFolder);
    const collector = new Collector({
      database: app().database,
      inventory: new FsBlobInventory(app().blobsFolder),
      seeBytes: async (digest, size) => (await store.findSize(digest)) === size,
      ...{ graceSeconds: 86_400, untaggedSeconds: undefined },
    });
    const id = await collector.run({ dryRun: false, ...options });
    return (await new GcRuns(app().database).find(id ?? 0)) ?? { outcome: undefined, deleted: -1 };
  }
});
