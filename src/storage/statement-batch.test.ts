import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Sql } from "./database.ts";
import { together } from "./statement-batch.ts";
import { openTestDatabase, type TestDatabase } from "./test-database.ts";

let test: TestDatabase;
beforeAll(async () => {
  test = await openTestDatabase();
  await test.database.query("", "create table numbers (n int primary key)");
});
afterAll(() => test.close());

const numbers = async (): Promise<number[]> =>
  (await test.database.query<{ n: number }>("", "select n from numbers order by n")).map(({ n }) => n);
const insert = (sql: Sql, n: unknown) => sql.query("insert-number", "insert into numbers values ($1)", [n]);
const count = async (sql: Sql) =>
  (await sql.query<{ count: number }>("count-numbers", "select count(*)::int as count from numbers"))[0]?.count;

describe("statements of a transaction that are asked for together", () => {
  it("are done in their order, each seeing those before it, and answered each with its own rows", async () => {
    const found = await test.database.transaction((sql) =>
      together(
        count(sql),
        insert(sql, 1),
        count(sql),
        sql.query("", "select 'x' as letter"),
        insert(sql, 2),
        count(sql),
      ),
    );

    expect(found).toEqual([0, [], 1, [{ letter: "x" }], [], 2]);
    expect(await numbers()).toEqual([1, 2]);
  });

  it("see what another transaction committed while one of them waited for a lock", async () => {
    const [locked, release] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const lock = (sql: Sql) => sql.query("", "select pg_advisory_xact_lock(7)");
    const first = test.database.transaction(async (sql) => {
      await lock(sql);
      locked.resolve();
      await release.promise;
      await insert(sql, 3);
    });
    await locked.promise;

    const second = test.database.transaction((sql) => together(count(sql), lock(sql), count(sql)));
    await waiting(1);
    release.resolve();

    expect((await second).filter((one) => typeof one === "number")).toEqual([2, 3]);
    await first;
  });

  it("leave nothing behind where one fails, and that one's error is thrown", async () => {
    const failing = test.database.transaction((sql) =>
      together(insert(sql, 10), sql.query("no-such-table", "select * from nowhere"), insert(sql, 11), count(sql)),
    );

    await expect(failing).rejects.toMatchObject({ code: "42P01" });
    expect(await numbers()).toEqual([1, 2, 3]);
  });

  it("prepare on the next occasion what was behind a failure the first time", async () => {
    const one = { database: test.database };
    for (let time = 0; time < 3; time++) {
      const failing = one.database.transaction((sql) =>
        together(
          sql.query("divide", "select 1 / $1::int as one", [0]),
          sql.query(`behind-${process.pid}`, "select $1::int as two", [2]),
        ),
      );
      await expect(failing).rejects.toMatchObject({ code: "22012" });
    }

    // Every connection of the pool, as any of them may have been the one.
    const all = Array.from({ length: 10 }, () =>
      one.database.transaction((sql) => sql.query(`behind-${process.pid}`, "select $1::int as two", [2])),
    );

    expect(await Promise.all(all)).toEqual(Array(10).fill([{ two: 2 }]));
  });

  it("are not done after one whose values cannot be sent", async () => {
    const odd = {
      toPostgres: () => {
        throw new Error("odd");
      },
    };

    const failing = test.database.transaction((sql) => together(insert(sql, odd), insert(sql, 12)));

    await expect(failing).rejects.toThrow("odd");
    expect(await numbers()).toEqual([1, 2, 3]);
    expect(await test.database.transaction(count)).toBe(3);
  });

  it("are not sent once the transaction is over", async () => {
    const failed = Promise.withResolvers<void>();
    const late: { outcome?: Promise<unknown> } = {};

    const failing = test.database.transaction(async (sql) => {
      late.outcome = failed.promise.then(() => insert(sql, 13));
      await sql.query("", "select * from nowhere");
    });
    await expect(failing).rejects.toMatchObject({ code: "42P01" });
    failed.resolve();

    await expect(late.outcome).rejects.toThrow("a transaction that is over");
    expect(await numbers()).toEqual([1, 2, 3]);
  });

  it("tell of several failures the one that stands first", async () => {
    const failing = together(
      new Promise((_, reject) => setImmediate(() => reject(new Error("first")))),
      Promise.reject(new Error("second")),
    );

    await expect(failing).rejects.toThrow("first");
  });
});

/** Until so many sessions of this database wait for a lock; other files use the same server. */
async function waiting(sessions: number): Promise<void> {
  const text = `select count(*)::int as count from pg_locks join pg_stat_activity using (pid)
    where not granted and datname = current_database()`;
  while ((await test.database.query<{ count: number }>("", text))[0]?.count !== sessions);
}
