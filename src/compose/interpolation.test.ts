import { describe, expect, it } from "vitest";
import { ComposeError } from "./error.ts";
import { interpolate } from "./interpolation.ts";

const SET: Readonly<Record<string, string>> = { A: "x", EMPTY: "", N: "a$b" };
const of = (text: string) => interpolate(text, (name) => SET[name]);

describe("interpolate", () => {
  it.each([
    ["$A-${A}", "x-x"],
    ["$$A $${A}", "$A ${A}"],
    ["${N}", "a$b"],
    ["${A:-y}${EMPTY:-y}${EMPTY-y}${NO-y}${NO:-y}", "xyyy"],
    ["${A:+y}${EMPTY:+y}${EMPTY+y}${NO+y}", "yy"],
    ["${A:?no}${EMPTY?no}", "x"],
    ["${NO:-${EMPTY:-${A}}}", "x"],
    ["${A:-${NO}}", "x"],
    ["${NO:-a b:c/d}", "a b:c/d"],
  ])("makes of %s what it stands for", (text, expected) => {
    expect(of(text)).toBe(expected);
  });

  it("looks at all text, and at no key", () => {
    expect(interpolate({ $A: ["$A", { b: "${A}" }, 1, null, true] }, (name) => SET[name])).toEqual({
      $A: ["x", { b: "x" }, 1, null, true],
    });
  });

  it("names every variable that is missing, and where", () => {
    const act = () => interpolate({ a: ["$NO", "${EMPTY:?say it}", "${NO?}"], b: { c: "${NO}" } }, (name) => SET[name]);

    expect(act).toThrow(
      new ComposeError([
        "a.0: NO is not set, and there is no ${NO:-…}",
        "a.1: EMPTY: say it",
        "a.2: NO must be set",
        "b.c: NO is not set, and there is no ${NO:-…}",
      ]),
    );
  });

  it.each(["$", "a$ b", "${", "${}", "${A", "${A!}", "${1}", "${A:-", `${"${A:-".repeat(40)}x${"}".repeat(40)}`])(
    "refuses %s",
    (text) => {
      expect(() => of(text)).toThrow(ComposeError);
    },
  );
});
