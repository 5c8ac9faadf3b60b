import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openTestDatabase, type TestDatabase } from "../storage/test-database.ts";
import { appendChange, type Change, ChangefeedStore } from "./changefeed-store.ts";

let test: TestDatabase;
let feed: ChangefeedStore;
beforeAll(async () => {
  test = await openTestDatabase();
  feed = new ChangefeedStore(test.database);
});
afterAll(() => test.close());

const change = (gun: string, version = 1) =>
  ({ createdAt: new Date(), gun, version, sha256: "ab".repeat(32), category: "update" }) as const;
const append = (gun: string, version?: number) =>
  test.database.transaction((sql) => appendChange(sql, change(gun, version)));
const readOn = (from: Change | undefined, limit = 100) =>
  feed.list({ gun: undefined, from: BigInt(from?.id ?? 0), backwards: false, limit });
const names = (changes: readonly Change[]) => changes.map(({ gun, version }) => `${gun} ${version}`);

describe("the feed of changes", () => {
  it("misses nothing that is committed after what was begun later: whoever reads on from there sees it", async () => {
    const [begun, commit] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const early = test.database.transaction(async (sql) => {
      await appendChange(sql, change("early"));
      begun.resolve();
      await commit.promise;
    });
    await begun.promise;
    await append("late");

    const first = await readOn(undefined);
    commit.resolve();
    await early;
    const second = await readOn(first.at(-1));

    expect([names(first), names(second)]).toEqual([["late 1"], ["early 1"]]);
    expect(names(await readOn(undefined))).toEqual(["late 1", "early 1"]);
  });

  it("gives each change one number however many read at once, and those of a GUN in the order of its versions", async () => {
    const [last] = await feed.list({ gun: undefined, from: undefined, backwards: true, limit: 1 });
    for (let version = 1; version <= 40; version++) await append("busy", version);

    const pages = await Promise.all(Array.from({ length: 8 }, () => readOn(last)));

    const due = Array.from({ length: 40 }, (_, at) => `busy ${at + 1}`);
    expect(pages.map(names)).toEqual(Array(8).fill(due));
    expect(new Set(pages[0]?.map(({ id }) => id)).size).toBe(40);
  });

  it("gives numbers to nobody while another does: of two, the one with lower numbers is committed first", async () => {
    const [locked, release] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    // What an older version, beside this one, holds from its change to its commit.
    const other = test.database.transaction(async (sql) => {
      await sql.query("", "select pg_advisory_xact_lock(1414678100)");
      locked.resolve();
      await release.promise;
    });
    await locked.promise;
    await append("waits");

    const reading = feed.list({ gun: "waits", from: 0n, backwards: false, limit: 10 });
    const waiting = "select count(*)::int as count from pg_locks where not granted";
    while ((await test.database.query<{ count: number }>("", waiting))[0]?.count !== 1);
    release.resolve();

    expect(names(await reading)).toEqual(["waits 1"]);
    await other;
  });

  it("shows a change at once to who reads the end backwards, of all GUNs or of one", async () => {
    await append("newest", 7);

    const [newest] = await feed.list({ gun: undefined, from: undefined, backwards: true, limit: 1 });
    await append("newest", 8);
    const ofGun = await feed.list({ gun: "newest", from: undefined, backwards: true, limit: 5 });

    expect([names(newest ? [newest] : []), names(ofGun)]).toEqual([["newest 7"], ["newest 7", "newest 8"]]);
  });
});
