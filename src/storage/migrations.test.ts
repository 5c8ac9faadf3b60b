import { readdir, readFile } from "node:fs/promises";
import { describe, expect, it } from "vitest";

const folder = new URL("./migrations/", import.meta.url);
/** The newest migration that was there before replicas were: until then no two versions ran at once. */
const LAST_ALONE = "0012";
/** What takes away, renames or forbids what the version before still uses. */
const BREAKING =
  /\b(drop\s+(table|column|view|function)|rename\s+(to|column)|alter\s+column\s+\w+\s+(type|set\s+not\s+null|drop\s+default)|truncate)\b/i;
/** A new column that old code does not fill. */
const REQUIRED_COLUMN =
  /\badd\s+column\b(?:(?!,|;|\bdefault\b|\bgenerated\b).)*\bnot\s+null\b(?:(?!,|;|\bdefault\b|\bgenerated\b).)*(?=[,;])/is;

const breaks = (sql: string): boolean => {
  const statements = sql.replace(/--.*$/gm, "");
  return BREAKING.test(statements) || REQUIRED_COLUMN.test(statements);
};

describe("migrations let the version before and this one run side by side", () => {
  it("takes nothing away that the version before uses", async () => {
    const names = (await readdir(folder)).filter((name) => name.slice(0, 4) > LAST_ALONE);
    const texts = await Promise.all(names.map((name) => readFile(new URL(name, folder), "utf8")));

    expect(names.filter((_, index) => breaks(texts[index] ?? ""))).toEqual([]);
  });

  it.each([
    "alter table tags drop column name;",
    "alter table tags rename to labels;",
    "alter table tags alter column name type text;",
    "alter table tags alter column name set not null;",
    "alter table tags add column owner text not null, add column b text;",
    "drop table tags;",
  ])("would see %s", (sql) => expect(breaks(sql)).toBe(true));

  it.each([
    "alter table tags add column owner text;",
    "alter table tags add column owner text not null default 'nobody';",
    "create table pins (owner text not null); -- drop table comes later",
    "create index tags_by_owner on tags (owner);",
  ])("lets pass %s", (sql) => expect(breaks(sql)).toBe(false));
});
