const MILLISECONDS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };
const BYTES: Readonly<Record<string, number>> = { "": 1, b: 1, k: 2 ** 10, m: 2 ** 20, g: 2 ** 30, t: 2 ** 40 };

/** `1m30s`, `500ms`, as Go writes times → `90s`, `500ms`, as the bridge takes them; undefined: no such time. */
export function findSpan(text: string): string | undefined {
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h)/g)];
  if (parts.length === 0 || parts.map(([part]) => part).join("") !== text) return text === "0" ? "0s" : undefined;
  const total = parts.reduce((sum, [, count, unit = ""]) => sum + Number(count) * (MILLISECONDS[unit] ?? 0), 0);
  if (!Number.isSafeInteger(total)) return undefined;
  return total % 1000 === 0 ? `${total / 1000}s` : `${total}ms`;
}

/** `50M`, `1.5gb`, `512`: a thousand of them is 1024 (docker's). Undefined: no such size. */
export function findBytes(text: string): number | undefined {
  const [, count, unit = ""] = /^(\d+(?:\.\d+)?) ?([bkmgt]?)(?:i?b)?$/.exec(text.toLowerCase()) ?? [];
  const bytes = Number(count) * (BYTES[unit] ?? 1);
  return count === undefined || !Number.isSafeInteger(Math.floor(bytes)) ? undefined : Math.floor(bytes);
}

/** As a shell splits a line: blanks between, `'…'` as it is, `"…"` with `\`. Undefined: a quote has no end. */
export function findWords(line: string): string[] | undefined {
  const word = /\s*((?:'[^']*'|"(?:[^"\\]|\\.)*"|\\.|[^\s'"\\])+)\s*/sy;
  const words: string[] = [];
  while (word.lastIndex < line.length) {
    const at = word.lastIndex;
    const match = word.exec(line);
    if (match === null) return line.slice(at).trim() === "" ? words : undefined;
    words.push((match[1] ?? "").replace(/'([^']*)'|"((?:[^"\\]|\\.)*)"|\\(.)/gs, unquote));
  }
  return words;
}

function unquote(_all: string, plain?: string, quoted?: string, escaped?: string): string {
  return plain ?? quoted?.replace(/\\(["\\$`])/g, "$1") ?? escaped ?? "";
}
