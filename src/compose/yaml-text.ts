import {
  type Document,
  isAlias,
  isMap,
  isNode,
  isPair,
  isScalar,
  isSeq,
  type ParsedNode,
  parseDocument,
  type ScalarTag,
} from "yaml";
import { ComposeError } from "./error.ts";

/** What aliases may make of a file, in values: each of a few nested ones may stand for all of the one before. */
const MAX_VALUES = 100_000;
const MAX_ALIASES = 1000;

/** `0440` is what a mode is written as, and docker reads it as YAML 1.1 did; all else is YAML 1.2, where `22:22` is text. */
const octal: ScalarTag = {
  ...{ tag: "tag:yaml.org,2002:int", default: true, test: /^0[0-7]+$/ },
  resolve: (text) => Number.parseInt(text, 8),
};

/**
 * One YAML document with aliases and merge keys (`<<`) resolved, as plain values.
 * @throws ComposeError for what is no YAML, has tags of its own, keys that stand there twice, numbers that would come out as
 * others, or aliases that make more of it than anybody needs
 */
export function readYaml(text: string): unknown {
  const document = parseDocument(text, { uniqueKeys: true, merge: true, customTags: (tags) => [octal, ...tags] });
  const broken = [...document.errors, ...document.warnings].map(({ message }) => message.split("\n")[0] ?? "");
  if (broken.length > 0) throw new ComposeError(broken);
  const scale = new Scale(document);
  if (document.contents !== null) scale.valuesOf(document.contents);
  // Counted above, and better: the library does not see what is merged.
  return document.toJS({ maxAliasCount: -1 });
}

/** Counts what a document has when every alias is what it stands for. Each node is looked at once. */
class Scale {
  readonly #document: Document.Parsed;
  /** Undefined: begun, so that whatever leads here leads into itself. */
  readonly #known = new Map<ParsedNode, number | undefined>();
  #aliases = 0;

  constructor(document: Document.Parsed) {
    this.#document = document;
  }

  /** @throws ComposeError */
  valuesOf(node: ParsedNode): number {
    if (this.#known.has(node)) return this.#known.get(node) ?? fail("an alias stands for what it stands in");
    this.#known.set(node, undefined);
    const count = this.#count(node);
    if (count > MAX_VALUES) fail(`aliases make more than ${MAX_VALUES} values of this file`);
    this.#known.set(node, count);
    return count;
  }

  #count(node: ParsedNode): number {
    if (isAlias(node)) {
      if (++this.#aliases > MAX_ALIASES) fail(`more than ${MAX_ALIASES} aliases`);
      const target = node.resolve(this.#document);
      return target === undefined ? fail(`there is no anchor &${node.source}`) : this.valuesOf(target as ParsedNode);
    }
    if (isScalar(node)) return checked(node.value, node.source);
    const inner = isMap(node) || isSeq(node) ? node.items : [];
    const nodes = inner.flatMap((item) => (isPair(item) ? [item.key, item.value] : [item])).filter(isNode);
    return nodes.reduce((sum, one) => sum + this.valuesOf(one as ParsedNode), 1);
  }
}

function checked(value: unknown, source: string | undefined): number {
  if (typeof value === "number" && !(Math.abs(value) <= Number.MAX_SAFE_INTEGER))
    fail(`${source}: too large for a number: put it in quotes`);
  return 1;
}

function fail(why: string): never {
  throw new ComposeError([why]);
}
