import { describe, expect, it } from "vitest";
import { openTestDatabase } from "./test-database.ts";

describe("openTestDatabase", () => {
  it("gives each caller a migrated database of its own", async () => {
    const [one, other] = await Promise.all([openTestDatabase(), openTestDatabase()]);

    await one.database.query("", "insert into namespaces (name, kind) values ('lab', 'org')");
    const seen = await other.database.query("", "select name from namespaces");
    const kept = await one.database.query("", "select name from namespaces");

    expect(seen).toEqual([]);
    expect(kept).toEqual([{ name: "lab" }]);
    await Promise.all([one.close(), other.close()]);
  });
});
