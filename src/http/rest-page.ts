import { z } from "zod";
import { json, type Reply } from "./reply.ts";
import type { Request } from "./request.ts";
import { readQuery } from "./rest-operation.ts";

const defaultLimit = 100;
const maxLimit = 1000;

/** `?after=&limit=` of every list: entries are in ASCII order of their key. */
export const pageQuery = z.object({
  after: z
    .string()
    .max(255)
    .regex(/^[^\0]*$/, "no NUL")
    .default("")
    .describe("the last key of the page before"),
  limit: z.coerce.number().int().min(1).max(maxLimit).default(defaultLimit),
});

export interface Page {
  readonly after: string;
  /** One more than is shown: whether there is another page. */
  readonly limit: number;
}

/** What a list answers: its entries, and where to read on. */
export function pageSchema(name: string, entry: z.ZodType): z.ZodType {
  return z.strictObject({ [name]: z.array(entry), next: z.string().optional() });
}

interface Listing<T> {
  /** Of the field that holds the entries. */
  readonly name: string;
  readonly keyOf: (entry: T) => string;
  readonly toWire: (entry: T) => unknown;
  read(page: Page): Promise<readonly T[]>;
}

/** Reads one page and links to the next, by `next` and by `Link`. */
export async function replyPage<T>(request: Request, listing: Listing<T>): Promise<Reply> {
  const { after, limit } = readQuery(request, pageQuery);
  const entries = await listing.read({ after, limit: limit + 1 });
  const shown = entries.slice(0, limit);
  const last = shown.at(-1);
  const wire = { [listing.name]: shown.map(listing.toWire) };
  if (last === undefined || entries.length <= limit) return json(200, wire);
  const next = `${request.path}?${new URLSearchParams({ after: listing.keyOf(last), limit: String(limit) })}`;
  return json(200, { ...wire, next }, { Link: `<${next}>; rel="next"` });
}

/** `read`, without what is not to be seen: that counts for no page, and no page says that there is more of it. */
export function withoutHidden<T>(
  read: (page: Page) => Promise<readonly T[]>,
  { keyOf, isVisible }: Pick<Listing<T>, "keyOf"> & { readonly isVisible: (entry: T) => Promise<boolean> },
): (page: Page) => Promise<readonly T[]> {
  return async ({ after, limit }) => {
    const shown: T[] = [];
    for (let from = after; shown.length < limit; ) {
      const entries = await read({ after: from, limit });
      const visible = await Promise.all(entries.map(isVisible));
      shown.push(...entries.filter((_, index) => visible[index]));
      const last = entries.at(-1);
      if (last === undefined || entries.length < limit) break;
      from = keyOf(last);
    }
    return shown.slice(0, limit);
  };
}
