import { truncate, unlink, writeFile } from "node:fs/promises";
import { describe, expect, it } from "vitest";
import { type Digest, digestOf } from "../../oci/digest.ts";
import { ALL, SIZES, useFsck } from "./test-fsck.ts";

const { app, fsck, fileOf, flip, get } = useFsck();

const OBJECTS = 10_000;

/** Past the registry, which would sync each of them. */
async function storeMany(): Promise<Digest[]> {
  const contents = Array.from({ length: OBJECTS }, (_, index) => `object ${String(index).padStart(6, "0")}`);
  const digests = contents.map((content) => digestOf(content));
  for (let first = 0; first < OBJECTS; first += 500) {
    const some = contents.slice(first, first + 500);
    await Promise.all(some.map((content) => writeFile(fileOf(digestOf(content)), content)));
  }
  await app().database.query("", "insert into blobs (digest, size) select d, 13 from unnest($1::text[]) d", [digests]);
  return digests.sort();
}

describe(`goldseal fsck of ${OBJECTS} blobs`, () => {
  it("finds the three that are damaged, and no other", async () => {
    const digests = await storeMany();
    const [rotten = "", short = "", missing = ""] = [digests[7], digests[5_000], digests.at(-1)];
    await flip(rotten);
    await truncate(fileOf(short), 1);
    await unlink(fileOf(missing));

    const sizes = await fsck({ ...SIZES, repair: false });
    const all = await fsck(ALL);

    expect(sizes.lines).toEqual([`blob ${short} size none`, `blob ${missing} missing none`].sort());
    expect(all.lines).toEqual(
      [
        `blob ${rotten} digest quarantined`,
        `blob ${short} size quarantined`,
        `blob ${missing} missing quarantined`,
      ].sort(),
    );
    expect([all.totalObjects, all.objects, all.skipped]).toEqual([OBJECTS, OBJECTS - 2, 0]);
    const marks = await app().database.query("", "select 1 from blobs where quarantined_at is not null");
    expect(marks).toHaveLength(3);
    expect((await get(`blobs/${rotten}`)).status).toBe(404);
  });
});
