import { symlink } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { findHolder, lockFolder } from "./lock.ts";
import { newFolder, removeFolder } from "./testing/server-process.ts";

describe("lockFolder", () => {
  let folder: string;
  beforeEach(async () => {
    folder = await newFolder();
  });
  afterEach(() => removeFolder(folder));

  it("goes to one at a time and names the holder, through whatever path", async () => {
    const alias = join(folder, "alias");
    await symlink(folder, alias);
    await using _lock = await lockFolder(folder);

    await expect(lockFolder(alias)).rejects.toThrow(`is in use by process ${process.pid}`);
    expect(await findHolder(alias)).toBe(String(process.pid));
  });

  it("gives exactly one of many who ask at once", async () => {
    const asked = await Promise.allSettled(Array.from({ length: 20 }, () => lockFolder(folder)));

    const got = asked.filter((result) => result.status === "fulfilled");
    expect(got).toHaveLength(1);
    await got[0]?.value[Symbol.asyncDispose]();
  });

  it("is free again when let go", async () => {
    const lock = await lockFolder(folder);
    await lock[Symbol.asyncDispose]();

    expect(await findHolder(folder)).toBeUndefined();
    await using _again = await lockFolder(folder);
  });
});
