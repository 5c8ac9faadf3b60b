import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openTestDatabase, type TestDatabase } from "./test-database.ts";

let test: TestDatabase;
beforeAll(async () => {
  test = await openTestDatabase();
});
afterAll(() => test.close());

const ECHO = {
  name: "echo",
  text: "select k.word, k.count + 1 from unnest($1::text[], $2::bigint[]) with ordinality as k (word, count, at) order by at",
};

describe("Database.lookUp", () => {
  it("answers the texts of each row, whatever is in a key", async () => {
    const words = ["plain", "", "NULL", '"quoted"', "back\\slash", "{brace,comma}", " space ", "ünï ☃", null];

    const rows = await test.database.lookUp({ ...ECHO, keys: [words, words.map((_, index) => index || null)] });

    expect(rows).toEqual(words.map((word, index) => [word, index === 0 ? null : String(index + 1)]));
  });

  it("answers no rows where there are none, again and again", async () => {
    for (let time = 0; time < 3; time++) expect(await test.database.lookUp({ ...ECHO, keys: [[], []] })).toEqual([]);
  });

  it("fails for a statement that cannot be prepared, and takes the next", async () => {
    const bad = { name: "bad", text: "select nothing from nowhere where a = any($1)", keys: [["a"]] };

    await expect(test.database.lookUp(bad)).rejects.toMatchObject({ code: "42P01" });
    await expect(test.database.lookUp(bad)).rejects.toMatchObject({ code: "42P01" });
    expect(await test.database.lookUp({ ...ECHO, keys: [["a"], [1]] })).toEqual([["a", "2"]]);
  });

  it("is UNAVAILABLE while the connection is cut, and back with the next", async () => {
    const asleep = test.database.lookUp({
      name: "sleep",
      text: "select pg_sleep(60) from unnest($1::text[])",
      keys: [["a"]],
    });
    const refused = expect(asleep).rejects.toMatchObject({ code: "UNAVAILABLE" });
    const end =
      "select pg_terminate_backend(pid) as done from pg_stat_activity where query like 'select pg_sleep(60)%'";
    await expect.poll(async () => (await test.database.query("end", end)).length).toBe(1);

    await refused;
    expect(await test.database.lookUp({ ...ECHO, keys: [["a"], [1]] })).toEqual([["a", "2"]]);
  });
});
