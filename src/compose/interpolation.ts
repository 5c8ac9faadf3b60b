import { ComposeError } from "./error.ts";

/** A variable of whoever runs this; undefined: it is not set. */
export type Variables = (name: string) => string | undefined;

const [NAME, BARE] = [/[A-Za-z_][A-Za-z0-9_]*/y, /\$([A-Za-z_][A-Za-z0-9_]*)?/y];
const MAX_DEPTH = 16;

/**
 * `$VAR` and `${VAR}` in all text of `value`, not in keys, with `:-` and `-` (what it is where it is empty, or not set), `:?` and `?` (the
 * message then), `:+` and `+` (what it is where it is set). `$$` is a dollar. A variable that is not set and has no such
 * alternative is a fault: what was meant is not known.
 * @throws ComposeError with every fault and its path
 * @see compose-spec, "Interpolation"
 */
export function interpolate(value: unknown, variables: Variables): unknown {
  const faults: string[] = [];
  const result = walk(value, [], (text, path) => {
    try {
      return new Template(text, variables).whole();
    } catch (error) {
      if (!(error instanceof TemplateError)) throw error;
      faults.push(`${path.join(".")}: ${error.message}`);
      return text;
    }
  });
  if (faults.length > 0) throw new ComposeError(faults);
  return result;
}

type OnText = (text: string, path: readonly string[]) => string;

function walk(value: unknown, path: readonly string[], onText: OnText): unknown {
  if (typeof value === "string") return value.includes("$") ? onText(value, path) : value;
  if (Array.isArray(value)) return value.map((entry, index) => walk(entry, [...path, String(index)], onText));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, entry]) => [key, walk(entry, [...path, key], onText)]));
}

class TemplateError extends Error {}

/** Reads from left to right; what stands after `:-` may have variables again. */
class Template {
  readonly #text: string;
  readonly #variables: Variables;
  #at = 0;

  constructor(text: string, variables: Variables) {
    [this.#text, this.#variables] = [text, variables];
  }

  whole(): string {
    return this.#until("", 0);
  }

  /** Up to `end` (not taken), or the end of the text. */
  #until(end: string, depth: number): string {
    if (depth > MAX_DEPTH) throw new TemplateError("variables are nested too deep");
    let result = "";
    while (this.#at < this.#text.length && this.#text[this.#at] !== end) {
      result += this.#text[this.#at] === "$" ? this.#variable(depth) : this.#text[this.#at++];
    }
    return result;
  }

  #variable(depth: number): string {
    if (this.#text.startsWith("$$", this.#at)) {
      this.#at += 2;
      return "$";
    }
    if (this.#text.startsWith("${", this.#at)) return this.#braced(depth);
    const name = this.#match(BARE)?.[1];
    if (name === undefined) throw new TemplateError("a $ that begins no variable is written $$");
    return this.#variables(name) ?? unset(name);
  }

  #braced(depth: number): string {
    this.#at += 2;
    const name = this.#match(NAME)?.[0];
    if (name === undefined) throw new TemplateError("${ is followed by the name of a variable");
    const operator = this.#match(/:?[-?+]/y)?.[0] ?? "";
    const isUsed = this.#isUsed(name, operator);
    const word = operator === "" ? "" : this.#word(isUsed, depth);
    if (this.#text[this.#at++] !== "}") throw new TemplateError(`\${${name} has no end, or something odd in it`);
    const value = this.#variables(name);
    if (operator.endsWith("+")) return isUsed ? word : "";
    if (!isUsed) return value ?? unset(name);
    if (operator.endsWith("-")) return word;
    throw new TemplateError(word === "" ? `${name} must be set` : `${name}: ${word}`);
  }

  /** Whether what follows the operator counts. */
  #isUsed(name: string, operator: string): boolean {
    const value = this.#variables(name);
    const isThere = operator.startsWith(":") ? value !== undefined && value !== "" : value !== undefined;
    return operator.endsWith("+") ? isThere : operator !== "" && !isThere;
  }

  /** What does not count need not make sense. */
  #word(isUsed: boolean, depth: number): string {
    if (isUsed) return this.#until("}", depth + 1);
    const silent = new Template(this.#text, () => "");
    silent.#at = this.#at;
    silent.#until("}", depth + 1);
    this.#at = silent.#at;
    return "";
  }

  #match(pattern: RegExp): RegExpExecArray | null {
    pattern.lastIndex = this.#at;
    const match = pattern.exec(this.#text);
    if (match !== null) this.#at = pattern.lastIndex;
    return match;
  }
}

function unset(name: string): never {
  throw new TemplateError(`${name} is not set, and there is no \${${name}:-…}`);
}
