import { readFile } from "node:fs/promises";
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
    const waiting = `select count(*)::int as count from pg_locks join pg_stat_activity using (pid)
    where not granted and datname = current_database()`;
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
    await append("newest", 9);
    const beyond = await feed.list({ gun: undefined, from: 99_999_999n, backwards: true, limit: 1 });

    expect([newest, ...ofGun, ...beyond].map((one) => one?.version)).toEqual([7, 7, 8, 9]);
  });
});

describe("0047_trust_life.sql", () => {
  it("leaves a name that always had one life its changes, and takes from others those of before their last deletion", async () => {
    const query = (text: string) => test.database.query("", text);
    await query(`truncate trust_changes, trust_news; drop function trust_life, life_of_gun cascade;
      alter table trust_changes drop column life; alter table trust_news drop column life;
      create index trust_changes_gun on trust_changes (gun, id)`);
    await query("insert into repository_names (name, epoch) values ('a/twice', 2), ('a/late', 1)");
    const rows = (table: string, changes: string[]) =>
      query(
        `insert into ${table} (created_at, gun, version, sha256, category) values ${changes
          .map((change) => change.split(" "))
          .map(([name, category]) => `(now(), 'host:1/a/${name}', 0, '', '${category}')`)
          .join()}`,
      );
    await rows("trust_changes", ["once update", "once deletion", "twice update", "twice deletion", "late update"]);
    await rows("trust_changes", ["twice update", "once update"]);
    await rows("trust_news", ["late deletion", "twice update", "late update", "once update"]);

    await query(await readFile(new URL("../storage/migrations/0047_trust_life.sql", import.meta.url), "utf8"));
    await rows("trust_news", ["twice deletion"]);

    const all = await feed.list({ gun: undefined, from: 0n, backwards: false, limit: 100 });
    const lives = (name: string) => all.filter(({ gun }) => gun.endsWith(name)).map(({ life }) => life);
    expect({ once: lives("once"), twice: lives("twice"), late: lives("late") }).toEqual({
      ...{ once: [0, 0, 0, 0], twice: [-1, -1, 2, 2, 2], late: [-1, -1, 1] },
    });
  });
});
