import { existsSync } from "node:fs";
import { utimes } from "node:fs/promises";
import { describe, expect, it } from "vitest";
import { OCI_INDEX, pushBlob, pushParts, putManifest, startUpload } from "../../testing/images.ts";
import { ALL_GONE, ALL_THERE, DAY, useCollector } from "./test-collector.ts";

const { collect, age, newPlace, pushImage, statusOf, untag, fileOf, statusesOf, child, app } = useCollector();

describe("the grace of a collection", () => {
  it("waits out the grace from when nothing led to it any more, however old it is, and not at all when led to again", async () => {
    const place = newPlace();
    const image = await pushImage(place, "t");
    const tagAgain = () => putManifest(place, "t", JSON.stringify(image.image.manifest));
    await app().database.query("", "update manifests set created_at = now() - interval '1 year'");
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
    await app().database.query("", "update repository_blobs set unreferenced_at = now() - interval '3 days'");
    await app().database.query(
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
    const other = newPlace();
    const [asked, waited] = [await pushBlob(place, "asked for"), await pushBlob(other, "waited for")];
    await collect(slow);
    await age(DAY);
    expect(await statusOf(place, `blobs/${asked}`, "HEAD")).toBe(200);
    const upload = await startUpload(other);
    await app().database.query("", "update upload_sessions set created_at = now() - interval '1 hour'");

    expect((await collect(slow)).items).toEqual([]);

    await app().ask("DELETE", upload, { as: "alice" });
    expect((await collect(slow)).items.map((line) => line.split(" ")[2])).toEqual([waited, waited]);
    await collect();
  });

  it("gives bytes without a row their grace too, on the database's clock", async () => {
    const place = newPlace();
    const digest = await pushBlob(place, "orphan");
    await app().database.query("", "delete from repository_blobs where digest = $1", [digest]);
    await app().database.query("", "delete from blobs where digest = $1", [digest]);

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
});
