import { appendFile, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Journal } from "./journal.ts";

const now = () => new Date("2026-11-22T12:00:00Z");
let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "goldseal-journal-"));
});
afterEach(() => rm(folder, { recursive: true }));

describe("Journal", () => {
  it("has on disk what was appended, in order, also of many at once, and after a restart", async () => {
    const journal = await Journal.open(folder, now);
    await Promise.all(Array.from({ length: 20 }, (_, number) => journal.append({ event: "intent", number })));
    const lines = (await readFile(join(folder, "journal"), "utf8")).trimEnd().split("\n");
    expect(lines[7]).toBe('{"at":"2026-11-22T12:00:00.000Z","event":"intent","number":7}');
    await journal.close();

    const again = await Journal.open(folder, now);

    expect(again.records.map(({ number }) => number)).toEqual(Array.from({ length: 20 }, (_, number) => number));
    await again.close();
  });

  it("drops the half line of a process that was killed, and goes on after the whole ones", async () => {
    const journal = await Journal.open(folder, now);
    await journal.append({ event: "intent" });
    await journal.close();
    await appendFile(join(folder, "journal"), '{"event":"do');

    const again = await Journal.open(folder, now);
    await again.append({ event: "done" });
    await again.close();

    const last = await Journal.open(folder, now);
    expect(last.records.map(({ event }) => event)).toEqual(["intent", "done"]);
    await last.close();
  });

  it("reads what is no ASCII, and is not opened where it is no UTF-8", async () => {
    await writeFile(join(folder, "journal"), '{"event":"é\u2028"}\n');
    const journal = await Journal.open(folder, now);
    expect(journal.records).toEqual([{ event: "é\u2028" }]);
    await journal.close();
    await appendFile(join(folder, "journal"), Buffer.from('{"event":"\xff"}\n', "latin1"));

    await expect(Journal.open(folder, now)).rejects.toMatchObject({
      code: "STORE",
      message: expect.stringContaining("line 2 cannot be read"),
    });
  });

  it("is not opened where a line in it is damaged", async () => {
    await writeFile(join(folder, "journal"), '{"event":"intent"}\n{"event":\n{"event":"done"}\n');

    await expect(Journal.open(folder, now)).rejects.toMatchObject({
      code: "STORE",
      message: expect.stringContaining("line 2 cannot be read"),
    });
  });
});
