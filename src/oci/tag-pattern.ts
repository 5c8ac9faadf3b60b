/** A few `*`, so that matching takes time in proportion to the tag. */
const PATTERN = /^(?:[a-zA-Z0-9_.-]+|\*(?!\*)){1,9}$/;

/** `v*`, `1.*-rc`, `latest`: `*` is any characters, or none. Everything else means itself. */
export function isTagPattern(text: string): boolean {
  return text.length <= 128 && text.split("*").length <= 5 && PATTERN.test(text);
}

/** The same for SQL's LIKE, in which `_` is any character. */
export function toLike(pattern: string): string {
  return pattern.replaceAll("_", "\\_").replaceAll("*", "%");
}
