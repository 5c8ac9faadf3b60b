/** Every check of a file inverted or taken out, one at a time. It works on the text: what the formatter writes has one form. */
import type { Edit } from "../harness/mutate.ts";

export interface Mutation {
  /** Of the changed line, from 1. */
  readonly line: number;
  /** `=== → !==`. */
  readonly what: string;
  /** The whole file, changed. */
  readonly text: string;
}

type Change = readonly [find: RegExp, what: string, replace: string];

const CHANGES: readonly Change[] = [
  [/ === /g, "=== → !==", " !== "],
  [/ !== /g, "!== → ===", " === "],
  [/ < /g, "< → >=", " >= "],
  [/ < /g, "< → <=", " <= "],
  [/ > /g, "> → <=", " <= "],
  [/ > /g, "> → >=", " >= "],
  [/ <= /g, "<= → >", " > "],
  [/ <= /g, "<= → <", " < "],
  [/ >= /g, ">= → <", " < "],
  [/ >= /g, ">= → >", " > "],
  [/ && /g, "&& → ||", " || "],
  [/ \|\| /g, "|| → &&", " && "],
  [/\.every\(/g, "every → some", ".some("],
  [/\.some\(/g, "some → every", ".every("],
  [/(?<=[ (])!(?=[\w(])/g, "! removed", ""],
  [/\breturn false\b/g, "return false → true", "return true"],
  [/\breturn true\b/g, "return true → false", "return false"],
  // A guard that lets everything pass; a check that is not called.
  [/(?<=\n) +if \(.*\) (?:return|continue)\b[^{\n]*;(?=\n)/g, "guard removed", ""],
  [/(?<=\n) +(?:check|verify|refuse|getPublished)\w*\(.*\);(?=\n)/g, "check removed", ""],
  [/(?<=\n) +for \(.*\) (?:check|verify|refuse)\w*\(.*\);(?=\n)/g, "check removed", ""],
];

/** In the order of the file. */
export function mutationsOf(text: string): Mutation[] {
  const found = CHANGES.flatMap(([find, what, replace]) =>
    [...text.matchAll(find)].map(({ 0: old, index }) => ({ index, what, old, replace })),
  );
  const all = [...found, ...throwsOf(text)].filter(({ index }) => isCode(text, index));
  return all
    .sort((a, b) => a.index - b.index)
    .map(({ index, what, old, replace }) => ({
      line: text.slice(0, index + 1).split("\n").length,
      what,
      text: text.slice(0, index) + replace + text.slice(index + old.length),
    }));
}

/** `throw …;` to the semicolon that ends it, over several lines where it has them. */
function throwsOf(text: string) {
  return [...text.matchAll(/\bthrow [^;]*;/g)].map(({ 0: old, index }) => ({
    index,
    what: "throw removed",
    old,
    replace: "void 0;",
  }));
}

/** Not in a comment, nor in a type or an import, where nothing is checked. */
function isCode(text: string, index: number): boolean {
  const start = text.lastIndexOf("\n", index) + 1;
  const end = text.indexOf("\n", Math.max(index + 1, start));
  const line = text.slice(start, end).trim();
  return !/^(?:\*|\/\*|\/\/|import |export type )/.test(line);
}

/** How a survivor that was looked at is known again: by its line as it stands in the file. */
export interface Explained extends Pick<Edit, "file"> {
  readonly line: string;
  readonly what: string;
  readonly why: string;
}
