import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { BridgeClock } from "./bridge-clock.ts";

const at = (text: string) => new Date(`2026-11-22T${text}Z`);
let [folder, now] = ["", at("12:00:00")];
beforeEach(async () => {
  [folder, now] = [await mkdtemp(join(tmpdir(), "goldseal-clock-")), at("12:00:00")];
});
afterEach(() => rm(folder, { recursive: true }));
const open = () => BridgeClock.open(folder, () => now);

describe("BridgeClock", () => {
  it("never says less than when something was verified last, over a restart too", async () => {
    const clock = await open();
    await Promise.all([clock.saw(at("12:00:00")), clock.saw(at("12:00:05")), clock.saw(at("12:00:03"))]);
    expect((await readFile(join(folder, "clock"))).toString()).toBe("2026-11-22T12:00:05.000Z\n");

    now = at("11:59:30");
    expect(clock.read()).toEqual(at("12:00:05"));
    expect((await open()).read()).toEqual(at("12:00:05"));
    now = at("12:00:06");
    expect((await open()).read()).toEqual(at("12:00:06"));
  });

  it("says nothing when it was turned back, or shows no time", async () => {
    const clock = await open();
    await clock.saw(at("12:00:00"));

    for (const wrong of [at("11:58:59"), new Date(Number.NaN)]) {
      now = wrong;
      expect(() => clock.read()).toThrow(expect.objectContaining({ code: "CLOCK" }));
    }
  });

  it("does not begin anew where its file is damaged", async () => {
    await writeFile(join(folder, "clock"), "yesterday");

    await expect(open()).rejects.toMatchObject({ code: "STORE" });
  });
});
