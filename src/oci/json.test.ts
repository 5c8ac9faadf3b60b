import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { foldKey, isJsonObject, type Json, JsonError, parseJson } from "./json.ts";

const parse = (text: string, maxDepth?: number): Json =>
  parseJson(Buffer.from(text), maxDepth === undefined ? {} : { maxDepth });

/** The oracle: what JSON.parse makes of it, or undefined where it refuses. */
function oracle(text: string): { readonly value: unknown } | undefined {
  try {
    return { value: JSON.parse(text) };
  } catch {
    return undefined;
  }
}

/** Why a document that JSON.parse takes is refused, read off its tokens; undefined where it is not. */
function refusal(text: string): "number" | "surrogate" | "depth" | "twice" | undefined {
  const strings = /"(?:[^"\\]|\\.)*"/g;
  for (const [token] of text.matchAll(strings)) if (!(JSON.parse(token) as string).isWellFormed()) return "surrogate";
  const bare = text.replace(strings, '""');
  for (const [token] of bare.matchAll(/-?\d[\d.eE+-]*/g)) {
    const value = Number(token);
    if (!Number.isFinite(value)) return "number";
    if (Number.isInteger(value) && (String(value) !== token || !Number.isSafeInteger(value))) return "number";
  }
  let depth = 0;
  for (const character of bare) {
    if ("[{".includes(character) && ++depth > 33) return "depth";
    if ("]}".includes(character)) depth--;
  }
  return [...bare.matchAll(/""\s*:/g)].length === countKeys(JSON.parse(text)) ? undefined : "twice";
}

/** JSON.parse keeps one of two equal keys: then there are fewer in the value than in the text. */
function countKeys(value: unknown): number {
  if (typeof value !== "object" || value === null) return 0;
  const own = Array.isArray(value) ? 0 : Object.keys(value).length;
  return Object.values(value).reduce((sum: number, entry) => sum + countKeys(entry), own);
}

/** Plain objects again, so that values can be compared. */
function toPlain(value: Json | undefined): unknown {
  if (Array.isArray(value)) return value.map((entry) => toPlain(entry));
  if (!isJsonObject(value)) return value;
  return Object.fromEntries(Object.keys(value).map((key) => [key, toPlain(value[key])]));
}

const agrees = (text: string): void => {
  const expected = oracle(text);
  const why = expected === undefined ? "syntax" : refusal(text);
  if (why !== undefined) expect(() => parse(text), `${why}: ${text}`).toThrow(JsonError);
  else expect(toPlain(parse(text))).toEqual(toPlain(expected?.value as Json));
};

const FRAGMENTS = [
  ...[
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    '"',
    "\\",
    " ",
    "\t",
    "\n",
    "\r",
    "\f",
    "\u00a0",
    "null",
    "true",
    "false",
    "nul",
    "\0",
  ],
  ...[
    "0",
    "-0",
    "1",
    "01",
    "-1",
    "1.5",
    "1.0",
    "1e3",
    "1E-3",
    ".5",
    "1.",
    "+1",
    "9007199254740991",
    "9007199254740993",
  ],
  ...[
    '"a"',
    '"b"',
    '"a":1',
    '"\\u0061":2',
    '"__proto__":3',
    '"\\ud800"',
    '"\\ud83d\\ude00"',
    '"\\x"',
    '"\u2028"',
    "'a'",
    "//",
  ],
];

describe("parseJson", () => {
  it("takes every document that JSON.stringify makes and JSON.parse reads, and means the same", () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 6 }), fc.constantFrom(0, 1, "\t"), (value, space) => {
        agrees(JSON.stringify(value, null, space) ?? "null");
      }),
      { numRuns: 2_000 },
    );
  });

  it("agrees with JSON.parse, minus what it refuses on purpose, on texts made of pieces of JSON", () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...FRAGMENTS), { maxLength: 12 }), (pieces) => agrees(pieces.join(""))),
      { numRuns: 20_000 },
    );
  });

  it("agrees with JSON.parse on good documents with one character changed", () => {
    const changed = fc.tuple(fc.json({ maxDepth: 3 }), fc.nat(), fc.constantFrom(...FRAGMENTS, ""));
    fc.assert(
      fc.property(changed, ([text, at, piece]) => {
        const position = at % (text.length + 1);
        agrees(text.slice(0, position) + piece + text.slice(position + 1));
      }),
      { numRuns: 10_000 },
    );
  });

  it("takes numbers that it rounds only where it is asked to", () => {
    const bytes = Buffer.from("[9007199254740993, 18446744073709551615, -0]");
    expect(parseJson(bytes, { roundNumbers: true })).toEqual([9007199254740992, 18446744073709552000, -0]);
    expect(() => parseJson(bytes)).toThrow(JsonError);
  });

  it("throws nothing but JsonError, whatever the bytes", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
        try {
          parseJson(bytes);
        } catch (error) {
          expect(error).toBeInstanceOf(JsonError);
        }
      }),
      { numRuns: 5_000 },
    );
  });

  it.each(["0", "-1", "1.5", "-1.5e-7", "1e-3", "9007199254740991", "-9007199254740991", "0.1"])("takes %s", (text) => {
    expect(parse(text)).toBe(Number(text));
  });

  it.each([
    ...[
      "-0",
      "1.0",
      "1e2",
      "1E2",
      "1.5e1",
      "9007199254740992",
      "-9007199254740993",
      "1e400",
      "-1e400",
      "1e-400",
      "0.0",
      "0e0",
    ],
    ...["00", "01", "-01", "1.", ".1", "+1", "0x1", "1_0", "NaN", "Infinity", "-", "e1", "1e", "٣"],
  ])("refuses %s", (text) => {
    expect(() => parse(text)).toThrow(JsonError);
  });

  it("keeps __proto__ and its like as keys of objects without a prototype", () => {
    const value = parse('{"__proto__":{"polluted":true},"constructor":1,"toString":2}');

    if (!isJsonObject(value)) throw new Error("an object was expected");
    expect(Object.keys(value)).toEqual(["__proto__", "constructor", "toString"]);
    expect(Object.getPrototypeOf(value)).toBeNull();
    expect(({} as Record<string, unknown>).polluted).toBeUndefined();
  });

  it("counts levels as maxDepth says, and does not run out of stack", () => {
    const nested = (levels: number) => "[".repeat(levels) + "]".repeat(levels);

    expect(parse(nested(33))).toBeInstanceOf(Array);
    expect(() => parse(nested(34))).toThrow(/nested deeper than 32/);
    expect(parse(nested(6), 5)).toBeInstanceOf(Array);
    expect(() => parse(nested(7), 5)).toThrow(JsonError);
    expect(() => parse("[".repeat(5_000_000))).toThrow(JsonError);
    expect(() => parse('{"a":'.repeat(1_000_000))).toThrow(JsonError);
  });

  it("is linear: 4 MiB of strings, escapes or keys take no two seconds of CPU", () => {
    for (const text of [
      `"${"x".repeat(4 << 20)}"`,
      `"${"\\n".repeat(2 << 20)}"`,
      `[${"0,".repeat(2 << 20)}0]`,
      `{${Array.from({ length: 300_000 }, (_, i) => `"k${i}":0`).join(",")}}`,
    ]) {
      const before = process.cpuUsage();

      parse(text);

      const { user, system } = process.cpuUsage(before);
      expect((user + system) / 1e6).toBeLessThan(1.5);
    }
  });

  it.each([
    ["a byte order mark", "\ufeff{}"],
    ["a key twice", '{"a":1,"a":1}'],
    ["a key twice, once escaped", '{"a":1,"\\u0061":1}'],
    ["half a surrogate pair", '"\\ud83d"'],
    ["halves in the wrong order", '"\\ude00\\ud83d"'],
    ["a control character", '"\u0001"'],
    ["nothing", ""],
  ])("refuses %s", (_what, text) => {
    expect(() => parse(text)).toThrow(JsonError);
  });

  it("refuses bytes that are not UTF-8", () => {
    for (const bytes of [
      [0x22, 0xff, 0x22],
      [0x22, 0xed, 0xa0, 0x80, 0x22],
      [0x22, 0xc0, 0xaf, 0x22],
      [0xff, 0xfe, 0x31, 0],
    ])
      expect(() => parseJson(Uint8Array.from(bytes))).toThrow(JsonError);
  });
});

describe("foldKey", () => {
  it("makes one key of those that Go's reader takes for one", () => {
    for (const alias of ["layers", "Layers", "LAYERS", "layer\u017f", "LAYER\u017f"])
      expect(foldKey(alias)).toBe("layers");
    expect(foldKey("\u212aey")).toBe("key");
    expect(foldKey("layers2")).not.toBe("layers");
  });
});
