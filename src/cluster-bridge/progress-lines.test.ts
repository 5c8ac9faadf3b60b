import { describe, expect, it } from "vitest";
import { ProgressLines } from "./progress-lines.ts";

async function read(lines: ProgressLines): Promise<string[]> {
  const pieces: string[] = [];
  for await (const piece of lines.stream(Promise.resolve()).chunks()) pieces.push(Buffer.from(piece).toString());
  return pieces;
}

describe("ProgressLines", () => {
  it("tells what comes, before and after somebody listens, up to the end", async () => {
    const lines = new ProgressLines();
    lines.add({ progress: 1 });
    const reading = read(lines);
    lines.add({ progress: 2 });
    lines.end({ outcome: 3 });

    expect(await reading).toEqual(['{"progress":1}\n', '{"progress":2}\n', '{"outcome":3}\n']);
  });

  it("says that it goes on while there is no news, and begins by that", async () => {
    const lines = new ProgressLines(1);
    await lines.begun;
    lines.end({ outcome: 1 });

    const told = await read(lines);

    expect(told[0]).toBe('{"waiting":true}\n');
    expect(told.at(-1)).toBe('{"outcome":1}\n');
  });

  it("breaks off with what broke it", async () => {
    const lines = new ProgressLines();
    lines.add({ progress: 1 });
    lines.fail(new Error("the disk is full"));

    await expect(read(lines)).rejects.toThrow("the disk is full");
  });
});
