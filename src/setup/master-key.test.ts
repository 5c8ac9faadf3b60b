import { stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { checkMasterKeys, openMasterKeys } from "./master-key.ts";
import { newFolder, removeFolder } from "./testing/server-process.ts";

const KEY = Buffer.from(Array.from({ length: 32 }, (_, at) => at)).toString("base64");

describe("openMasterKeys", () => {
  let folder: string;
  beforeEach(async () => {
    folder = await newFolder();
  });
  afterEach(() => removeFolder(folder));

  it("makes one key of 32 bytes that only this user reads, and keeps it", async () => {
    const file = join(folder, "master.key");

    const made = await openMasterKeys(file, { mayCreate: true });

    expect(Buffer.from(made.trim().split(" ")[1] ?? "", "base64")).toHaveLength(32);
    expect(((await stat(file)).mode & 0o777).toString(8)).toBe("600");
    expect(await openMasterKeys(file, { mayCreate: false })).toBe(made);
  });

  it("makes none where one was promised", async () => {
    await expect(openMasterKeys(join(folder, "named.key"), { mayCreate: false })).rejects.toThrow(/is missing/);
  });

  it("refuses a file it cannot use", async () => {
    const file = join(folder, "master.key");
    await writeFile(file, "not a key\n");

    await expect(openMasterKeys(file, { mayCreate: true })).rejects.toThrow(/line 1: a line is <id>/);
  });
});

describe("checkMasterKeys", () => {
  it.each(["", "\n", KEY, `a ${KEY.slice(4)}`, `a b ${KEY}`, `a ${KEY}\na ${KEY}`, `a ${KEY}\nb`])(
    "refuses %j",
    (text) => {
      expect(() => checkMasterKeys(text, "file")).toThrow(/^file/);
    },
  );

  it("takes several keys, blank lines and comments, as whatever opens with them does", () => {
    expect(checkMasterKeys(`# since May\nnew ${KEY}\n\nold ${KEY}\n`, "file")).toContain("old");
  });
});
