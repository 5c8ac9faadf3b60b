import { describe, expect, it } from "vitest";
import { put } from "../notary/tuf/testing/loose.ts";
import { parseBreakGlassStatement } from "./break-glass-statement.ts";

const GOOD = {
  environment: "prod",
  image: `registry.test/ops/app@sha256:${"a".repeat(64)}`,
  reason: "0123456789",
  issued: "2026-11-23T10:00:00Z",
  expires: "2026-11-23T12:00:00+01:00",
};
const read = (name: string, value: unknown) => {
  const statement = structuredClone(GOOD);
  put([name], value as never)(statement);
  return parseBreakGlassStatement(Buffer.from(JSON.stringify(statement)));
};

describe("parseBreakGlassStatement", () => {
  it("reads what was written", () => {
    expect(parseBreakGlassStatement(Buffer.from(JSON.stringify(GOOD)))).toEqual(GOOD);
    expect(read("reason", "x".repeat(2000)).reason).toHaveLength(2000);
    expect(read("image", "x".repeat(1024)).image).toHaveLength(1024);
  });

  it.each<[string, string, unknown]>([
    ["a reason that says nothing", "reason", "012345678"],
    ["a reason without end", "reason", "x".repeat(2001)],
    ["an image without end", "image", "x".repeat(1025)],
    ["an environment by a bad name", "environment", "Prod"],
    ["no environment", "environment", undefined],
    ["a time without its zone", "issued", "2026-11-23T10:00:00"],
    ["no time", "expires", null],
    ["an end that is no time", "expires", "tomorrow"],
    ["what it has no word for", "images", ["*"]],
  ])("refuses %s", (_what, name, value) => {
    expect(() => read(name, value)).toThrow(
      expect.objectContaining({ code: "MALFORMED", message: expect.stringContaining(name) }),
    );
  });
});
