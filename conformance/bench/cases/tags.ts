import { Client } from "../client.ts";
import { REPOSITORY } from "../lanes.ts";
import type { Case } from "../measure.ts";

/** All tags of a repository, page by page through `Link`, as often as the time allows. */
export const tagCases = (tags: number): Case[] =>
  [100, 1_000].map((pageSize) => ({
    name: `${tags} tags in pages of ${pageSize}`,
    unit: "lists/s",
    better: "higher" as const,
    lanes: ["peer", "token", "shipped"] as const,
    run: async ({ server, authorization }, seconds) => {
      const header = await authorization();
      const client = new Client(server);
      const started = performance.now();
      let lists = 0;
      try {
        do {
          const found = await listAll(client, pageSize, header === undefined ? {} : { authorization: header });
          if (found < tags) throw new Error(`${server.kind} listed ${found} of ${tags} tags`);
          lists++;
        } while (performance.now() - started < seconds * 1000);
      } finally {
        client.close();
      }
      const took = (performance.now() - started) / 1000;
      return { value: lists / took, operations: lists };
    },
  }));

async function listAll(client: Client, pageSize: number, headers: Readonly<Record<string, string>>): Promise<number> {
  let path: string | undefined = `/v2/${REPOSITORY}/tags/list?n=${pageSize}`;
  let found = 0;
  while (path !== undefined) {
    const { body, headers: answer }: Awaited<ReturnType<Client["ask"]>> = await client.ask(path, {
      headers,
      expect: 200,
    });
    const { tags }: { tags: string[] } = JSON.parse(body.toString());
    found += tags.length;
    path = /<([^>]+)>/.exec(String(answer.link ?? ""))?.[1];
  }
  return found;
}
