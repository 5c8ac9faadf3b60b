/**
 * The one JSON entry point for bytes from outside. JSON.parse keeps the last of two equal keys, rounds integers and
 * makes one text of lone surrogates; every such document is refused here, so that all readers see the same thing.
 */
export type Json = null | boolean | number | string | readonly Json[] | JsonObject;
/** Has no prototype: `__proto__` and `constructor` are keys like any other. */
export type JsonObject = { readonly [key: string]: Json | undefined };

export interface JsonLimits {
  readonly maxDepth?: number;
  /** Numbers that cannot be kept exactly become the nearest ones: for what is only looked at, and must be looked at. */
  readonly roundNumbers?: boolean;
}

/** Thrown with a sentence that says what is wrong and at which byte or character. */
export class JsonError extends Error {}

const UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const NUMBER = /-?(?:0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?/y;
// biome-ignore lint/suspicious/noControlCharactersInRegex: exactly what RFC 8259 section 7 forbids
const PLAIN = /[^"\\\u0000-\u001f]*/y;
const ESCAPES: Readonly<Record<string, string>> = {
  '"': '"',
  "\\": "\\",
  "/": "/",
  b: "\b",
  f: "\f",
  n: "\n",
  r: "\r",
  t: "\t",
};

/** @throws JsonError */
export function parseJson(bytes: Uint8Array, { maxDepth = 32, roundNumbers = false }: JsonLimits = {}): Json {
  return new Parser(decode(bytes), { maxDepth, roundNumbers }).document();
}

/** The object that they are; undefined for what is none. */
export function findObject(bytes: Uint8Array): JsonObject | undefined {
  try {
    const value = parseJson(bytes);
    return isJsonObject(value) ? value : undefined;
  } catch (error) {
    if (error instanceof JsonError) return undefined;
    throw error;
  }
}

export function isJsonObject(value: Json | undefined): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The key as a reader that ignores case sees it: Go folds `K` (Kelvin) and `ſ` to `k` and `s` too. */
export function foldKey(key: string): string {
  return key.toUpperCase().toLowerCase();
}

function decode(bytes: Uint8Array): string {
  let text: string;
  try {
    text = UTF8.decode(bytes);
  } catch (cause) {
    throw new JsonError("not UTF-8", { cause });
  }
  if (text.startsWith("\ufeff")) throw new JsonError("begins with a byte order mark");
  return text;
}

class Parser {
  readonly #text: string;
  readonly #limits: Required<JsonLimits>;
  #at = 0;

  constructor(text: string, limits: Required<JsonLimits>) {
    this.#text = text;
    this.#limits = limits;
  }

  document(): Json {
    const value = this.#value(0);
    this.#space();
    if (this.#at < this.#text.length) throw this.#wrong("bytes after the end of the document");
    return value;
  }

  #value(depth: number): Json {
    const { maxDepth } = this.#limits;
    if (depth > maxDepth) throw this.#wrong(`nested deeper than ${maxDepth}`);
    this.#space();
    const character = this.#text[this.#at];
    if (character === "{") return this.#object(depth);
    if (character === "[") return this.#array(depth);
    if (character === '"') return this.#string();
    if (character === "t") return this.#word("true", true);
    if (character === "f") return this.#word("false", false);
    if (character === "n") return this.#word("null", null);
    return this.#number();
  }

  #object(depth: number): JsonObject {
    const object: Record<string, Json> = Object.create(null);
    this.#at++;
    this.#space();
    if (this.#take("}")) return object;
    do {
      this.#space();
      if (this.#text[this.#at] !== '"') throw this.#wrong("a key in quotes was expected");
      const key = this.#string();
      if (key in object) throw this.#wrong(`key ${JSON.stringify(key.slice(0, 64))} stands there twice`);
      this.#space();
      if (!this.#take(":")) throw this.#wrong("a colon was expected");
      object[key] = this.#value(depth + 1);
      this.#space();
    } while (this.#take(","));
    if (!this.#take("}")) throw this.#wrong("a comma or } was expected");
    return object;
  }

  #array(depth: number): Json[] {
    const array: Json[] = [];
    this.#at++;
    this.#space();
    if (this.#take("]")) return array;
    do {
      array.push(this.#value(depth + 1));
      this.#space();
    } while (this.#take(","));
    if (!this.#take("]")) throw this.#wrong("a comma or ] was expected");
    return array;
  }

  #string(): string {
    this.#at++;
    let result = "";
    for (;;) {
      PLAIN.lastIndex = this.#at;
      PLAIN.test(this.#text);
      result += this.#text.slice(this.#at, PLAIN.lastIndex);
      this.#at = PLAIN.lastIndex;
      if (this.#take('"')) break;
      if (!this.#take("\\")) throw this.#wrong("a string is not closed or holds a control character");
      result += this.#escape();
    }
    if (!result.isWellFormed()) throw this.#wrong("a string holds half of a surrogate pair");
    return result;
  }

  #escape(): string {
    const letter = this.#text[this.#at++] ?? "";
    const simple = ESCAPES[letter];
    if (simple !== undefined) return simple;
    const hex = this.#text.slice(this.#at, this.#at + 4);
    if (letter !== "u" || !/^[0-9a-fA-F]{4}$/.test(hex)) throw this.#wrong("an escape that JSON does not have");
    this.#at += 4;
    return String.fromCharCode(Number.parseInt(hex, 16));
  }

  /** Whole numbers must be written plainly and fit in 2^53: `3.0`, `3e0` and `-0` mean different things to readers. */
  #number(): number {
    NUMBER.lastIndex = this.#at;
    const match = NUMBER.exec(this.#text);
    if (match === null) throw this.#wrong("a value was expected");
    this.#at = NUMBER.lastIndex;
    const value = Number(match[0]);
    if (this.#limits.roundNumbers) return value;
    const whole = Number.isInteger(value);
    if (!Number.isFinite(value) || (whole && String(value) !== match[0]) || (whole && !Number.isSafeInteger(value))) {
      throw this.#wrong(`number ${match[0].slice(0, 32)} cannot be kept exactly`);
    }
    return value;
  }

  #word<T>(word: string, value: T): T {
    if (!this.#text.startsWith(word, this.#at)) throw this.#wrong("a value was expected");
    this.#at += word.length;
    return value;
  }

  #space(): void {
    for (;;) {
      const code = this.#text.charCodeAt(this.#at);
      if (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) return;
      this.#at++;
    }
  }

  #take(character: string): boolean {
    if (this.#text[this.#at] !== character) return false;
    this.#at++;
    return true;
  }

  #wrong(what: string): JsonError {
    return new JsonError(`${what} (at character ${this.#at})`);
  }
}
