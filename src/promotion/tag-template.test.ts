import { execFileSync } from "node:child_process";
import { describe, expect, it } from "vitest";
import type { Tag } from "../oci/reference.ts";
import { fillTagTemplate, isTagTemplate } from "./tag-template.ts";
import { matchesRules } from "./terms.ts";

const CODES = [..."YymdHIMSpjuwUWVGaAbBs"];
const MOMENTS = [
  ...["2026-01-01T00:00:00Z", "2027-01-03T12:59:59Z", "2024-12-30T23:00:00Z", "2024-02-29T01:02:03Z"],
  ...["2028-12-31T11:00:00Z", "2021-01-01T13:00:00Z", "2023-07-09T00:30:00Z"],
];

describe("a tag template", () => {
  it.each(MOMENTS)("says the time as date(1) does, at %s", (moment) => {
    const template = CODES.map((code) => `%${code}`).join("_");
    const env = { LC_ALL: "C", TZ: "UTC", PATH: "/usr/bin:/bin" };

    const expected = execFileSync("date", ["-d", moment, `+${template}`], { env, encoding: "utf8" }).trim();

    expect(fillTagTemplate(template, "n" as Tag, new Date(moment))).toBe(expected);
  });

  it.each([
    ["%n", "1.4"],
    ["%n-gold", "1.4-gold"],
    ["gold", "gold"],
    ["v%n%n", "v1.41.4"],
  ])("%s is %s", (template, tag) => {
    expect(fillTagTemplate(template, "1.4" as Tag, new Date(0))).toBe(tag);
  });

  it.each(["", "%", "%q", "%toString", "-%n", "%n/x", "a b", "%%"])("%j is none", (template) => {
    expect(isTagTemplate(template)).toBe(false);
  });

  it("makes nothing of what gets too long", () => {
    expect(fillTagTemplate("%n-x", "t".repeat(127) as Tag, new Date(0))).toBeUndefined();
  });
});

describe("the rules of a policy", () => {
  it.each([
    ["equals", ["1.4"], true],
    ["equals", ["1.40"], false],
    ["starts", ["2.", "1."], true],
    ["starts", [".4"], false],
    ["ends", [".4"], true],
    ["ends", ["1."], false],
    ["contains", ["."], true],
    ["contains", ["x"], false],
    ["one-of", ["1.3", "1.4"], true],
    ["one-of", ["1.3"], false],
    ["not-one-of", ["1.3"], true],
    ["not-one-of", ["1.3", "1.4"], false],
  ] as const)("%s %j of 1.4: %s", (operator, values, expected) => {
    expect(matchesRules([{ field: "tag", operator, values: [...values] }], "1.4" as Tag)).toBe(expected);
  });

  it("must all match, and none is for every tag but signatures", () => {
    const starts = { field: "tag", operator: "starts", values: ["1"] } as const;
    const ends = { field: "tag", operator: "ends", values: ["x"] } as const;
    const rules = [starts, ends].map((rule) => ({ ...rule, values: [...rule.values] }));

    expect(matchesRules(rules, "1.4" as Tag)).toBe(false);
    expect(matchesRules(rules, "1x" as Tag)).toBe(true);
    expect(matchesRules([], "latest" as Tag)).toBe(true);
    expect(matchesRules([], `sha256-${"a".repeat(64)}.sig` as Tag)).toBe(false);
  });
});
