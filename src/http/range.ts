/** A part of a representation: first and last byte, both inclusive. */
export interface ByteRange {
  readonly first: number;
  readonly last: number;
}

const SINGLE = /^bytes=(?:(\d+)-(\d*)|-(\d+))$/i;

/**
 * The one range that a `Range` header asks for. Undefined, which means the whole, when there is no header, when its
 * syntax is not ours to understand, or when it asks for several; "unsatisfiable" when it lies outside or ends before it
 * begins (the official conformance suite asks for that).
 * @see RFC 9110 section 14.2
 */
export function parseRange(header: string | undefined, size: number): ByteRange | "unsatisfiable" | undefined {
  const match = header === undefined ? null : SINGLE.exec(header.trim());
  if (match === null) return undefined;
  const [, firstText, lastText, suffixText] = match;
  if (suffixText !== undefined) {
    const length = Number(suffixText);
    return length === 0 || size === 0 ? "unsatisfiable" : { first: Math.max(0, size - length), last: size - 1 };
  }
  const first = Number(firstText);
  const last = lastText === "" ? Number.POSITIVE_INFINITY : Number(lastText);
  return last < first || first >= size ? "unsatisfiable" : { first, last: Math.min(last, size - 1) };
}
