import { describe, expect, it } from "vitest";
import { ComposeError } from "./error.ts";
import { readYaml } from "./yaml-text.ts";

const refused = (fault: RegExp) =>
  expect.objectContaining({ constructor: ComposeError, faults: [expect.stringMatching(fault)] });

describe("readYaml", () => {
  it("reads modes as docker does, and everything else as it looks", () => {
    expect(readYaml("a: 0440\nb: 22:22\nc: yes\nd: 1.5\ne: 2026-01-01\nf: ~")).toEqual({
      ...{ a: 0o440, b: "22:22", c: "yes", d: 1.5, e: "2026-01-01", f: null },
    });
  });

  it("resolves aliases and merges", () => {
    expect(readYaml("a: &a {x: 1, y: 1}\nb: {<<: *a, y: 2}\nc: [*a]")).toEqual({
      ...{ a: { x: 1, y: 1 }, b: { x: 1, y: 2 }, c: [{ x: 1, y: 1 }] },
    });
  });

  it.each([
    ["what is no YAML", "a: [", /Flow sequence/],
    ["a key that stands there twice", "a: 1\na: 2", /unique/],
    ["a second document", "a: 1\n---\nb: 2", /multiple documents/],
    ["a tag of its own", "a: !env X", /tag/],
    ["a number that would come out as another", "a: 12345678901234567890", /too large for a number/],
    ["an alias that leads nowhere", "a: *x", /x/],
    ["an alias of what it stands in", "a: &a [*a]", /stands for what it stands in/],
  ])("refuses %s", (_what, text, fault) => {
    expect(() => readYaml(text)).toThrow(refused(fault));
  });

  const nested = (line: (index: number) => string) =>
    ["a0: &a0 {x: 1}", ...Array.from({ length: 30 }, (_, index) => line(index + 1))].join("\n");

  it.each([
    [
      "lists of it",
      (index: number) =>
        `a${index}: &a${index} [${Array(9)
          .fill(`*a${index - 1}`)
          .join(",")}]`,
    ],
    [
      "merges of it",
      (index: number) =>
        `a${index}: &a${index} {<<: [${Array(9)
          .fill(`*a${index - 1}`)
          .join(",")}]}`,
    ],
  ])("refuses a small file that is a huge one, by %s, at once", (_what, line) => {
    const before = process.cpuUsage();

    expect(() => readYaml(nested(line))).toThrow(refused(/aliases make more than 100000 values/));

    const { user, system } = process.cpuUsage(before);
    expect((user + system) / 1e6).toBeLessThan(2);
  });
});
