/** One page of a list that is read in order: at most `limit` entries after `last`. */
export interface PageQuery {
  readonly limit: number;
  readonly last: string | undefined;
}

const WHOLE_NUMBER = /^\d+$/;

/**
 * `n` and `last` of a listing. Undefined when `n` is not one whole number; any number above `maxLimit` means `maxLimit`.
 */
export function parsePage(n: string | undefined, last: string | undefined, maxLimit: number): PageQuery | undefined {
  if (n === undefined) return { limit: maxLimit, last };
  if (!WHOLE_NUMBER.test(n)) return undefined;
  return { limit: Math.min(maxLimit, Number(n)), last };
}

/** `Link` to the next page. @see RFC 8288, distribution-spec "Listing Tags" */
export function nextLink(path: string, parameters: Readonly<Record<string, string>>): Record<string, string> {
  return { Link: `<${path}?${new URLSearchParams(parameters)}>; rel="next"` };
}
