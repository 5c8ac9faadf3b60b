import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { missingTools } from "../../harness/tools.ts";
import { makePeople, type Person, pullTargets } from "../access/people.ts";
import { basic, Client } from "../client.ts";
import { type Comparison, comparisonText, newTally, surcharge, timeRound, toComparison } from "../courses.ts";
import type { Pace } from "../measure.ts";
import { type Server, startGoldseal } from "../servers.ts";
import { conclude } from "../targets.ts";
import { enforce } from "./policed.ts";

/** How much more a manifest GET may cost where a policy is enforced. */
const maxSurcharge = 0.05;
const CONNECTIONS = [1, 32];
const PEOPLE = 16;

interface Result extends Comparison {
  readonly connections: number;
  readonly by: "digest" | "tag";
}

export interface TrustOptions {
  readonly pace: Pace;
  readonly jsonFile: string | undefined;
}

/**
 * What a policy in mode `enforce` costs a pull: one server, and by turns repositories whose namespace has such a policy
 * and signed images, and repositories of namespaces that have none.
 */
export async function trustBench(folder: string, { pace, jsonFile }: TrustOptions): Promise<number> {
  if (missingTools(["wrk"]).length > 0) {
    console.error("wrk not found: run conformance/provision --bench");
    return 2;
  }
  const server = await startGoldseal(join(folder, "server"), { tls: false });
  try {
    const [policed, free] = [await makePeople(server, PEOPLE, "policed"), await makePeople(server, PEOPLE, "free")];
    for (const person of policed) await enforce(server, person);
    await checkAnswers(server, { policed, free });
    const results = await measureAll(server, { policed, free }, pace);
    if (jsonFile) writeFileSync(jsonFile, `${JSON.stringify({ pace, results }, null, 2)}\n`);
    const targets = results.map(({ difference, ...result }) => ({ ...result, met: difference.middle < maxSurcharge }));
    for (const { connections, by, met } of targets)
      console.log(
        `${met ? "reached" : "MISSED "} enforce costs < ${maxSurcharge * 100} % more of a manifest GET by ${by}, ${connections} conn`,
      );
    return conclude(targets);
  } finally {
    await server.stop();
  }
}

interface Sides {
  readonly policed: readonly Person[];
  readonly free: readonly Person[];
}

/** Else it would be found how fast nobody asks for anything. */
async function checkAnswers(server: Server, { policed, free }: Sides): Promise<void> {
  const client = new Client(server);
  try {
    for (const [people, cached] of [
      [policed, "private, no-cache"],
      [free, "private, max-age=31536000, immutable"],
    ] as const)
      for (const { repository, digest } of people) {
        const path = `/v2/${repository}/manifests/${digest}`;
        const { headers } = await client.ask(path, { headers: { authorization: basic }, expect: 200 });
        if (headers["cache-control"] === cached && headers.warning === undefined) continue;
        throw new Error(`${path} was answered ${JSON.stringify(headers)}`);
      }
  } finally {
    client.close();
  }
}

async function measureAll(server: Server, { policed, free }: Sides, pace: Pace): Promise<Result[]> {
  const results: Result[] = [];
  for (const by of ["digest", "tag"] as const)
    for (const connections of CONNECTIONS) {
      const tally = newTally(surcharge);
      for (let round = 0; round < pace.rounds; round++) {
        const one = { targets: await pullTargets(server, policed, by) };
        const other = { targets: await pullTargets(server, free, by) };
        await timeRound({ server, connections, seconds: pace.seconds }, [one, other], tally);
      }
      const result = { connections, by, ...toComparison(tally) };
      console.log(`manifest by ${by}, ${`${connections} conn`.padEnd(9)}enforced ${comparisonText(result)}`);
      results.push(result);
    }
  return results;
}
