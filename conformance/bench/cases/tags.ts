import { Client } from "../client.ts";
import { REPOSITORY } from "../lanes.ts";
import type { Case, Sample } from "../measure.ts";
import { pageRepository, TAG_PAGES } from "../seed.ts";
import type { Server } from "../servers.ts";

const lanes = ["peer", "token", "shipped"] as const;

/** One page in the middle of many tags, and all of them, page by page through `Link`; as often as the time allows. */
export const tagCases = (tags: number): Case[] => [
  ...TAG_PAGES.map((size) => ({
    name: `a page of ${size} of ${tags} tags`,
    unit: "pages/s",
    better: "higher" as const,
    lanes,
    run: (lane: Parameters<Case["run"]>[0], seconds: number) =>
      again(lane, seconds, async (ask) => void (await ask(pageOf(lane.server, size, tags), size))),
  })),
  {
    name: `all of ${tags} tags`,
    unit: "lists/s",
    better: "higher" as const,
    lanes,
    run: (lane, seconds) =>
      again(lane, seconds, async (ask) => {
        let found = 0;
        for (let path: string | undefined = `/v2/${REPOSITORY}/tags/list?n=${tags}`; path !== undefined; ) {
          const page: Page = await ask(path, 1);
          found += page.tags;
          path = page.next;
        }
        if (found < tags) throw new Error(`${lane.server.kind} listed ${found} of ${tags} tags`);
      }),
  },
];

interface Page {
  readonly tags: number;
  readonly next: string | undefined;
}

type AskPage = (path: string, least: number) => Promise<Page>;

/** The peer lists all there is, whatever it is asked for. */
function pageOf({ kind }: Server, size: number, tags: number): string {
  if (kind === "peer") return `/v2/${pageRepository(size)}/tags/list`;
  const before = Math.floor((tags - size) / 2) - 1;
  const last = before < 0 ? "" : `&last=v${String(before).padStart(6, "0")}`;
  return `/v2/${REPOSITORY}/tags/list?n=${size}${last}`;
}

async function again(
  { server, authorization }: Parameters<Case["run"]>[0],
  seconds: number,
  once: (ask: AskPage) => Promise<void>,
): Promise<Sample> {
  const header = await authorization();
  const headers = header === undefined ? {} : { authorization: header };
  const client = new Client(server);
  const ask: AskPage = async (path, least) => {
    const { body, headers: answer } = await client.ask(path, { headers, expect: 200 });
    const { tags }: { tags: string[] } = JSON.parse(body.toString());
    if (tags.length < least) throw new Error(`${server.kind} listed ${tags.length} tags, not ${least}: ${path}`);
    return { tags: tags.length, next: /<([^>]+)>/.exec(String(answer.link ?? ""))?.[1] };
  };
  const started = performance.now();
  let done = 0;
  try {
    do {
      await once(ask);
      done++;
    } while (performance.now() - started < seconds * 1000);
  } finally {
    client.close();
  }
  return { value: (done * 1000) / (performance.now() - started), operations: done };
}
