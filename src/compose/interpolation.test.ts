import { describe, expect, it } from "vitest";
import { ComposeError } from "./error.ts";
import { interpolate } from "./interpolation.ts";

const SET: Readonly<Record<string, string>> = { A: "x", EMPTY: "", N: "a$b" };
/** `%` stands for the dollar: these are no templates of this language. */
const dollars = (text: string): string => text.replaceAll("%", "$");
const fill = (value: unknown): unknown => interpolate(value, (name) => SET[name]);

describe("interpolate", () => {
  it.each([
    ["%A-%{A}", "x-x"],
    ["%%A %%{A}", "%A %{A}"],
    ["%{N}", "a%b"],
    ["%{A:-y}%{EMPTY:-y}%{EMPTY-y}%{NO-y}%{NO:-y}", "xyyy"],
    ["%{A:+y}%{EMPTY:+y}%{EMPTY+y}%{NO+y}", "yy"],
    ["%{A:?no}%{EMPTY?no}", "x"],
    ["%{NO:-%{EMPTY:-%{A}}}", "x"],
    ["%{A:-%{NO}}", "x"],
    ["%{NO:-a b:c/d}", "a b:c/d"],
  ])("makes of %s what it stands for", (text, expected) => {
    expect(fill(dollars(text))).toBe(dollars(expected));
  });

  it("looks at all text, and at no key", () => {
    expect(fill({ $A: ["$A", { b: dollars("%{A}") }, 1, null, true] })).toEqual({
      $A: ["x", { b: "x" }, 1, null, true],
    });
  });

  it("names every variable that is missing, and where", () => {
    const texts = ["%NO", "%{EMPTY:?say it}", "%{NO?}", "%{NO}"].map(dollars);

    expect(() => fill({ a: texts.slice(0, 3), b: { c: texts[3] } })).toThrow(
      new ComposeError([
        dollars("a.0: NO is not set, and there is no %{NO:-…}"),
        "a.1: EMPTY: say it",
        "a.2: NO must be set",
        dollars("b.c: NO is not set, and there is no %{NO:-…}"),
      ]),
    );
  });

  it.each(["%", "a% b", "%{", "%{}", "%{A", "%{A!}", "%{1}", "%{A:-", `${"%{A:-".repeat(40)}x${"}".repeat(40)}`])(
    "refuses %j",
    (text) => {
      expect(() => fill(dollars(text))).toThrow(ComposeError);
    },
  );
});
