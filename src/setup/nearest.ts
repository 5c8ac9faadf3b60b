/** The known name that `name` was probably meant to be: at most two typing mistakes away. */
export function nearest(name: string, known: Iterable<string>): string | undefined {
  return [...known].find((candidate) => distance(candidate, name) <= 2);
}

/** Levenshtein distance, for the hint at a misspelt name. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const change = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(change, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
