import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Json, parseJson } from "../../oci/json.ts";
import { toCanonical, toWireText } from "./canonical-json.ts";
import { VerificationError } from "./error.ts";

const canonical = (text: string): string => toCanonical(parseJson(Buffer.from(text))).toString();

describe("toCanonical", () => {
  it.each([
    ["blanks", ' { "b" : [ 1 , 2 ] , "a" : { } } ', '{"a":{},"b":[1,2]}'],
    ["literals", "[true,false,null,0,-1]", "[true,false,null,0,-1]"],
    ["the greatest number", "9007199254740991", "9007199254740991"],
    ["numbers as names, which JavaScript moves to the front", '{"b":1,"10":2,"9":3}', '{"10":2,"9":3,"b":1}'],
    ["names in byte order, not in UTF-16 order", '{"\\ud800\\udc00":1,"\\uff61":2}', '{"\uff61":2,"\u{10000}":1}'],
    ["a name that is the beginning of another", '{"ab":1,"a":2,"":3}', '{"":3,"a":2,"ab":1}'],
    ["capitals first", '{"a":1,"B":2,"_":3}', '{"B":2,"_":3,"a":1}'],
    ["__proto__", '{"z":1,"__proto__":{"a":2}}', '{"__proto__":{"a":2},"z":1}'],
    ["only quote and backslash escaped", '"\\"\\\\\\/<>&\\u2028\\u007f\\u00e9"', '"\\"\\\\/<>&\u2028\u007f\u00e9"'],
    ["escapes of plain letters", '{"\\u0061":"\\u0062"}', '{"a":"b"}'],
  ])("%s", (_what, text, expected) => {
    expect(canonical(text)).toBe(expected);
  });

  it.each([
    ["a fraction", "1.5"],
    ["a small fraction", "[1e-7]"],
    ["NUL", '"\\u0000"'],
    ["a line feed", '{"a\\n":1}'],
    ["U+001F", '"\\u001f"'],
  ])("refuses %s", (_what, text) => {
    expect(() => canonical(text)).toThrow(VerificationError);
  });

  it("is the same for every spelling of one document, and reads back as it", () => {
    const value = fc.jsonValue().filter((json) => !/\\u00[01]|\\[bfnrt]|[.\d]e|\d\.\d|-0/.test(JSON.stringify(json)));
    fc.assert(
      fc.property(value, (json) => {
        const text = JSON.stringify(json);
        const once = parseAnd(text);
        if (once === undefined) return;
        expect(parseAnd(once)).toBe(once);
        expect(parseAnd(JSON.stringify(json, undefined, 3))).toBe(once);
        expect(JSON.parse(once)).toEqual(JSON.parse(text));
      }),
    );
  });

  /** What the reader itself refuses (numbers that cannot be kept) is not this test's matter. */
  function parseAnd(text: string): string | undefined {
    let json: Json;
    try {
      json = parseJson(Buffer.from(text));
    } catch {
      return undefined;
    }
    return toCanonical(json).toString();
  }
});

describe("toWireText", () => {
  it("escapes what Go escapes, and nothing else", () => {
    expect(toWireText(Buffer.from('"<>&\u2028\u2029/\u007f\u00e9"'))).toBe(
      '"\\u003c\\u003e\\u0026\\u2028\\u2029/\u007f\u00e9"',
    );
  });
});
