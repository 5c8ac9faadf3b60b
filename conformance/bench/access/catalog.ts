import { basic, Client } from "../client.ts";
import { median } from "../measure.ts";
import type { Server } from "../servers.ts";
import { findViewer, type Viewer } from "./seed.ts";

export interface PageResult {
  readonly viewer: string;
  readonly teams: number;
  readonly visible: number;
  readonly page: "first" | "middle" | "last";
  /** Milliseconds of one request after the other. */
  readonly p50: number;
  readonly p99: number;
}

const PAGE = 100;
export const maxPageMs = 20;
const asks = 200;

/** Catalog pages of a user in very many teams and of one in few; each page is held against the rule first. */
export async function catalogPages(server: Server): Promise<PageResult[]> {
  const results: PageResult[] = [];
  const client = new Client(server);
  try {
    for (const name of ["user000000", "user004711"]) {
      const viewer = await findViewer(server, name);
      const headers = { authorization: await signIn(client, name) };
      const { length } = viewer.visible;
      const places = { first: 0, middle: Math.floor(length / 2), last: length - PAGE } as const;
      for (const page of ["first", "middle", "last"] as const) {
        const times = await timePage(client, headers, viewer, places[page]);
        results.push({ viewer: name, teams: viewer.teams, visible: length, page, ...times });
      }
    }
  } finally {
    client.close();
  }
  return results;
}

/** Gives the user a password, and answers `Basic …` by a personal token. */
export async function signIn(client: Client, name: string): Promise<string> {
  const password = "a password to measure by";
  const body = Buffer.from(JSON.stringify({ password }));
  await client.ask(`/api/v1/users/${name}`, { method: "PUT", headers: { authorization: basic }, body, expect: 200 });
  return personalToken(client, name, `Basic ${Buffer.from(`${name}:${password}`).toString("base64")}`);
}

export async function personalToken(client: Client, name: string, authorization: string): Promise<string> {
  const token = Buffer.from(JSON.stringify({ name: "bench" }));
  const made = await client.ask("/api/v1/tokens", {
    ...{ method: "POST", headers: { authorization }, body: token, expect: 201 },
  });
  const { secret }: { secret: string } = JSON.parse(made.body.toString());
  return `Basic ${Buffer.from(`${name}:${secret}`).toString("base64")}`;
}

async function timePage(
  client: Client,
  headers: Readonly<Record<string, string>>,
  { name, visible }: Viewer,
  from: number,
): Promise<{ p50: number; p99: number }> {
  const last = from === 0 ? "" : `&last=${encodeURIComponent(visible[from - 1] ?? "")}`;
  const times: number[] = [];
  for (let ask = 0; ask < asks; ask++) {
    const started = performance.now();
    const { body } = await client.ask(`/v2/_catalog?n=${PAGE}${last}`, { headers, expect: 200 });
    times.push(performance.now() - started);
    if (ask > 0) continue;
    const { repositories }: { repositories: string[] } = JSON.parse(body.toString());
    const due = visible.slice(from, from + PAGE);
    if (JSON.stringify(repositories) !== JSON.stringify(due))
      throw new Error(`${name} is shown a wrong page from ${from}`);
  }
  const sorted = times.sort((a, b) => a - b);
  return { p50: median(sorted) ?? 0, p99: sorted[Math.floor(sorted.length * 0.99)] ?? 0 };
}
