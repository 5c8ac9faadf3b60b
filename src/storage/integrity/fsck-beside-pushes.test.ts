import { readFileSync } from "node:fs";
import { rename, rm, unlink } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { pushBlob } from "../../testing/images.ts";
import { FsBlobInspector } from "../fs-blob-inspector.ts";
import { FsBlobStore } from "../fs-blob-store.ts";
import { FsckRuns } from "./fsck-runs.ts";
import { listQuarantined } from "./quarantine.ts";
import { ALL, SIZES, useFsck } from "./test-fsck.ts";

const { app, place, events, open, fsck, fileOf, flip, get, asideOf } = useFsck();

describe("goldseal fsck beside pushes, deletions and the collector", () => {
  it("takes nothing for damage that the collector may have deleted, or has", async () => {
    const [candidate, deleted] = [await pushBlob(place(), "candidate"), await pushBlob(place(), "deleted")];
    for (const digest of [candidate, deleted]) await unlink(fileOf(digest));
    await app().database.query("", "update blobs set unreferenced_at = now() where digest = $1", [candidate]);
    const inspector = new FsBlobInspector(app().blobsFolder);
    const inspect = inspector.inspect.bind(inspector);
    let looks = 0;
    inspector.inspect = async (digest) => {
      const found = await inspect(digest);
      // Between the look and the lock.
      if (digest === deleted && looks++ === 0) {
        await app().database.query("", "delete from repository_blobs where digest = $1", [deleted]);
        await app().database.query("", "delete from blobs where digest = $1", [deleted]);
      }
      return found;
    };

    expect((await fsck(SIZES, { inspector })).lines).toEqual([]);

    expect(looks).toBe(1);
    await pushBlob(place(), "candidate");
    expect((await fsck(ALL)).lines).toEqual([]);
  });

  it("leaves alone what was pushed again between its look and its lock", async () => {
    const digest = await pushBlob(place(), "pushed again");
    await unlink(fileOf(digest));
    const inspector = new FsBlobInspector(app().blobsFolder);
    const inspect = inspector.inspect.bind(inspector);
    let looks = 0;
    inspector.inspect = async (asked) => {
      const found = await inspect(asked);
      if (asked === digest && looks++ === 0) await pushBlob(place(), "pushed again");
      return found;
    };

    expect((await fsck(SIZES, { inspector })).lines).toEqual([]);

    expect(await get(`blobs/${digest}`)).toMatchObject({ status: 200, body: "pushed again" });
  });

  it("keeps what a push puts there between the mark and the setting aside, and keeps the damaged bytes too", async () => {
    const digest = await pushBlob(place(), "in between");
    await flip(digest);
    const failpoint = async (name: string) => {
      if (name === "fsck.afterMark") await pushBlob(place(), "in between");
    };

    await fsck(ALL, { failpoint });

    expect(await get(`blobs/${digest}`)).toMatchObject({ status: 200, body: "in between" });
    expect(asideOf(digest).map((file) => readFileSync(file, "utf8"))).toEqual(["hn between"]);
    expect((await fsck(ALL)).lines).toEqual([]);
  });

  it.each(["fsck.afterMark", "fsck.afterAside"])("is absent, and heals, when the process dies at %s", async (where) => {
    const content = `dies at ${where}`;
    const [healed, found] = [await pushBlob(place(), content), await pushBlob(place(), `${content}, found`)];
    for (const digest of [healed, found]) await flip(digest);
    const failpoint = async (name: string) => {
      if (name === where) throw new Error("dies");
    };
    await fsck(ALL, { failpoint });
    for (const digest of [healed, found]) expect((await get(`blobs/${digest}`)).code).toBe("BLOB_UNKNOWN");

    await pushBlob(place(), content);
    expect(await get(`blobs/${healed}`)).toMatchObject({ status: 200, body: content });

    expect((await fsck(ALL)).lines).toEqual([`blob ${found} quarantined none`]);
    expect(asideOf(found)).toHaveLength(1);
    await pushBlob(place(), `${content}, found`);
    expect((await fsck(ALL)).lines).toEqual([]);
  });

  it("goes on where a process left it, in another one, and finds everything once", async () => {
    const digests: string[] = [];
    for (let one = 0; one < 70; one++) digests.push(await pushBlob(place(), `resumed ${one}`));
    digests.sort();
    const [first = "", last = ""] = [digests[0], digests.at(-1)];
    for (const digest of [first, last]) await flip(digest);
    await app().database.query("", "update blobs set checked_at = '2020-01-01'");
    const stopping = new AbortController();
    const failpoint = async (name: string) => {
      const [row] = await app().database.query<{ stage: string }>(
        "",
        "select stage from fsck_runs where ended_at is null",
      );
      if (name === "fsck.afterBatch" && row?.stage === "hashing") stopping.abort(new Error("the process stopped"));
    };
    const stopped = (await open({ failpoint, signal: stopping.signal })).run(ALL);
    await expect(stopped).rejects.toThrow("the process stopped");
    const [half] = await app().database.query<{ id: string; place: string; n: number }>(
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
    for (let one = 0; one < 70; one++) await pushBlob(place(), `resumed ${one}`);
    expect((await fsck(ALL)).lines).toEqual([]);
  });

  it("is one at a time over all processes, and another request ends the one that waits", async () => {
    let second: number | undefined = -1;
    const failpoint = async (name: string) => {
      if (name === "fsck.afterBatch") second = await (await open()).run(SIZES);
    };
    await fsck(SIZES, { failpoint });
    expect(second).toBeUndefined();

    await app().database.query(
      "",
      "insert into fsck_runs (mode, repair, accept_loss, stage) values ('all', false, false, 'sizes')",
    );
    expect(await (await open()).run(undefined)).toBeTypeOf("number");
    await app().database.query(
      "",
      "insert into fsck_runs (mode, repair, accept_loss, stage) values ('all', false, false, 'sizes')",
    );
    const next = await fsck(SIZES);
    const runs = await new FsckRuns(app().database).list(2);
    expect(runs.map(({ id, outcome, reason }) => [id, outcome, reason])).toEqual([
      [next.id, "done", undefined],
      [next.id - 1, "failed", "given up for another one"],
    ]);
    expect(await (await open()).run(undefined)).toBeUndefined();
  });

  it("believes no store that seems to have lost everything, unless it is told so", async () => {
    for (let one = 0; one < 120; one++) await pushBlob(place(), `lost ${one}`);
    const folder = join(app().blobsFolder, "blobs", "sha256");
    const opened = await open();
    await rename(folder, `${folder}-elsewhere`);
    await expect(opened.run(SIZES)).rejects.toThrow("100 blobs in a row could not be read");
    events.length = 0;

    // A start makes the folders that it misses.
    await FsBlobStore.open(app().blobsFolder);

    await expect(fsck(SIZES)).rejects.toThrow(/100 blobs in a row are missing.*mounted/);
    const marked = await listQuarantined(app().database, "", 1_000);
    expect(marked.length).toBeLessThan(100);
    await fsck({ ...SIZES, acceptLoss: true });
    expect((await listQuarantined(app().database, "", 1_000)).length).toBeGreaterThanOrEqual(120);

    await rm(folder, { recursive: true });
    await rename(`${folder}-elsewhere`, folder);
    expect(await fsck(SIZES)).toMatchObject({ findings: 0 });
    expect(await listQuarantined(app().database, "", 1_000)).toEqual([]);
  });
});
