import type { Request } from "./request.ts";

/** Throws when the version that a change finds (undefined: nothing is there) is not the one its sender relies on. */
export type Precondition = (version: string | undefined) => void;

export function etagOf(version: string): string {
  return `"${version}"`;
}

/**
 * `If-Match: "<version>"` or `*` (it must be there), `If-None-Match: *` (it must not). Without them a change is made
 * whatever is there: the last one wins.
 * @see RFC 9110 section 13.1
 */
export function preconditionOf(request: Request, failed: (message: string) => Error): Precondition {
  const [match, noneMatch] = [request.header("if-match"), request.header("if-none-match")];
  if (noneMatch !== undefined && noneMatch.trim() !== "*")
    throw request.badRequest("If-None-Match can only be * on a change");
  return (version) => {
    if (noneMatch !== undefined && version !== undefined) throw failed("it is there already (If-None-Match: *)");
    if (match !== undefined && !matches(match, version))
      throw failed("it has changed since it was read (If-Match); read it again");
  };
}

/** Strong comparison: a weak tag never matches. */
function matches(header: string, version: string | undefined): boolean {
  if (version === undefined) return false;
  return header.split(",").some((candidate) => candidate.trim() === "*" || candidate.trim() === etagOf(version));
}
