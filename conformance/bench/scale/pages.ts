/** Pages of a very long tag list and of a large catalog, each held against the rule first. */
import { personalToken, signIn } from "../access/catalog.ts";
import { withDatabase } from "../access/database.ts";
import { findViewer } from "../access/seed.ts";
import { basic, Client } from "../client.ts";
import { percentile } from "../measure.ts";
import { ADMIN, type Server } from "../servers.ts";
import type { Seeded } from "./seed.ts";

export interface PageTimes {
  readonly list: "tags" | "catalog";
  readonly viewer: string;
  readonly n: number;
  readonly page: "first" | "middle" | "last";
  /** Milliseconds of one request after the other. */
  readonly p50: number;
  readonly p99: number;
}

const ASKS = 300;
const WARM_UP = 50;
const SIZES = [100, 1_000];

/** What a list must show to somebody. */
interface List {
  readonly list: PageTimes["list"];
  readonly path: string;
  readonly names: readonly string[];
}

export async function timePages(server: Server, { manyTags, user }: Seeded): Promise<PageTimes[]> {
  const results: PageTimes[] = [];
  const client = new Client(server);
  const tags: List = { list: "tags", path: `/v2/${manyTags}/tags/list`, names: await findTags(server, manyTags) };
  try {
    for (const viewer of [ADMIN.name, user]) {
      const headers = { authorization: await authorizationOf(client, viewer) };
      const catalog: List = { list: "catalog", path: "/v2/_catalog", names: await findNames(server, viewer) };
      for (const list of [tags, catalog])
        for (const n of SIZES)
          for (const page of ["first", "middle", "last"] as const)
            results.push({ list: list.list, viewer, n, page, ...(await timePage(client, headers, list, { n, page })) });
    }
  } finally {
    client.close();
  }
  return results;
}

const authorizationOf = (client: Client, viewer: string): Promise<string> =>
  viewer === ADMIN.name ? personalToken(client, viewer, basic) : signIn(client, viewer);

async function timePage(
  client: Client,
  headers: Readonly<Record<string, string>>,
  { list, path, names }: List,
  { n, page }: Pick<PageTimes, "n" | "page">,
): Promise<{ p50: number; p99: number }> {
  const from = { first: 0, middle: Math.floor(names.length / 2), last: Math.max(0, names.length - n) }[page];
  const last = from === 0 ? "" : `&last=${encodeURIComponent(names[from - 1] ?? "")}`;
  const times: number[] = [];
  for (let ask = -WARM_UP; ask < ASKS; ask++) {
    const started = performance.now();
    const { body } = await client.ask(`${path}?n=${n}${last}`, { headers, expect: 200 });
    if (ask >= 0) times.push(performance.now() - started);
    if (ask !== 0) continue;
    const { tags, repositories }: { tags?: string[]; repositories?: string[] } = JSON.parse(body.toString());
    if (JSON.stringify(tags ?? repositories) !== JSON.stringify(names.slice(from, from + n)))
      throw new Error(`${list}: a wrong page of ${n} after ${from}`);
  }
  return { p50: percentile(times, 0.5), p99: percentile(times, 0.99) };
}

async function findTags(server: Server, repository: string): Promise<string[]> {
  return withDatabase(server, async (client) => {
    const text = "select t.name from tags t join repositories r on r.id = t.repository_id where r.name = $1";
    const { rows } = await client.query<{ name: string }>(text, [repository]);
    return rows.map(({ name }) => name).sort();
  });
}

/** An administrator sees all; the rule for the others is written in access/seed.ts. */
async function findNames(server: Server, viewer: string): Promise<readonly string[]> {
  if (viewer !== ADMIN.name) return (await findViewer(server, viewer)).visible;
  return withDatabase(server, async (client) => {
    const { rows } = await client.query<{ name: string }>("select name from repositories");
    return rows.map(({ name }) => name).sort();
  });
}
