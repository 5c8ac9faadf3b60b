/** What real trust servers answered: one line for each case, `name => answer`, and where Postgres differs `|| pg: answer`. */
import { readFileSync } from "node:fs";
import { join } from "node:path";

export interface FixtureCase {
  readonly name: string;
  /** Of one real set-up or the other. */
  readonly answers: readonly string[];
}

export function readFixture(): FixtureCase[] {
  const text = readFileSync(join(import.meta.dirname, "black-box-cases.txt"), "utf8");
  const lines = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  return lines.map((line) => {
    const at = line.indexOf("  =>  ");
    const answers = line.slice(at + 6).split(/ {3}\|\| pg: /);
    return { name: line.slice(0, at), answers: answers.map(normalize) };
  });
}

/** What differs from run to run. */
export function normalize(text: string): string {
  return text
    .replace(/\s+same=true$/, "")
    .replace(/"public":"[^"]*"/g, '"public":"<PUB>"')
    .replace(/"CreatedAt":"[^"]*"/g, '"CreatedAt":"<TIME>"')
    .replace(/"ID":"\d+"/g, '"ID":"<ID>"')
    .replace(/"GUN":"[^"]*"/g, '"GUN":"<GUN>"')
    .replace(/"SHA256":"\s*"/g, '"SHA256":""')
    .replace(/(?:<hex>|[0-9a-f]{64})+[0-9a-f]*/g, "<hex>")
    .replace(/expired at .*$/, "expired at <DATE>")
    .trim();
}
