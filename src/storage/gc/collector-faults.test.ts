import { existsSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { type Digest, parseDigest } from "../../oci/digest.ts";
import { pushBlob } from "../../testing/images.ts";
import { FsBlobInventory } from "../fs-blob-inventory.ts";
import { DAY, useCollector } from "./test-collector.ts";

const { open, collect, newPlace, statusOf, fileOf, events, app, runs } = useCollector();

describe("a collection that something goes wrong with, or goes on beside", () => {
  it("leaves a candidate whose bytes are gone to the next push, which brings them back", async () => {
    const place = newPlace();
    const digest = await pushBlob(place, "half deleted");
    expect(await statusOf(place, `blobs/${digest}`, "DELETE")).toBe(202);
    await collect({ graceSeconds: DAY });
    await (await new FsBlobInventory(app().blobsFolder).withdraw(parseDigest(digest)))?.discard();

    await pushBlob(place, "half deleted");

    expect(await statusOf(place, `blobs/${digest}`)).toBe(200);
    const marks = await app().database.query(
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

    const run = await collect({ inventory: new Failing(app().blobsFolder) });

    expect([run.outcome, run.skipped, run.deleted]).toEqual(["done", 1, 5]);
    expect(events.filter(({ kind }) => kind === "error")).toHaveLength(1);
    expect(digests.map((digest) => existsSync(fileOf(digest)))).toEqual([true, false, false]);
    expect((await collect()).items).toEqual([`blob  ${stuck} 5`]);
  });

  it("leaves no setting of its own on the connection", async () => {
    await collect();

    const text = "select current_setting('enable_seqscan') as seqscan, current_setting('synchronous_commit') as sync";
    const settings = await Promise.all(Array.from({ length: 10 }, () => app().database.query("", text)));

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
        const [row] = await app().database.query<{ at: string }>("", "select pg_current_wal_insert_lsn()::text as at");
        positions.push(row?.at ?? "");
      }
      if (name !== "gc.afterObject") return;
      const text = "select pg_current_wal_flush_lsn() >= $1::pg_lsn as done";
      const [row] = await app().database.query<{ done: boolean }>("", text, positions);
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
        const [row] = await app().database.query<{ at: string }>("", "select pg_current_wal_insert_lsn()::text as at");
        position = row?.at ?? "";
        return super.readMark();
      }
      override async writeMark(count: number): Promise<void> {
        const text = "select pg_current_wal_flush_lsn() > $1::pg_lsn as done";
        const [row] = await app().database.query<{ done: boolean }>("", text, [position]);
        flushed.push(row?.done === true);
        return super.writeMark(count);
      }
    }

    await collect({ inventory: new Watched(app().blobsFolder) });

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
      await app().database.query(
        "",
        `select pg_terminate_backend(pid, 60000) from pg_locks where locktype = 'advisory' and pid <> pg_backend_pid()
         and database = (select oid from pg_database where datname = current_database())`,
      );
    };

    await expect((await open({ failpoint })).run({ dryRun: false })).rejects.toMatchObject({ code: "UNAVAILABLE" });

    expect(hit).toBe(1);
    expect(existsSync(fileOf(digest))).toBe(true);
    const next = await collect();
    expect(next.items).toEqual([`blob  ${digest} 14`]);
    const died = (await runs().list(2))[1];
    expect([died?.outcome, died?.reason]).toEqual(["failed", "the process that collected went away"]);
  });

  it("does nothing on yesterday's database until an operator says so (G8)", async () => {
    const place = newPlace();
    const digest = await pushBlob(place, "pushed since the backup");
    await collect({ graceSeconds: DAY });
    await app().database.query("", "update gc_mark set runs = runs - 1");
    await app().database.query("", "delete from repository_blobs where digest = $1", [digest]);
    await app().database.query("", "delete from blobs where digest = $1", [digest]);

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
