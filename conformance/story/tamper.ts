/** One image after the other, signed by real clients and tampered with: what a policy makes of it, at the pull itself. */
import { embeddedDatabase, query } from "../crash/database.ts";
import type { Json, Machine } from "./machines.ts";
import { until, type World } from "./world.ts";

export interface Stage {
  readonly world: World;
  /** A repository of its own, such as `qa/t-7`. */
  readonly repository: string;
  /** `HOST/REPOSITORY`. */
  readonly image: string;
  readonly quinn: Machine;
}

export interface Case {
  readonly name: string;
  run(stage: Stage): Promise<void>;
}

let count = 0;

export async function runCases(world: World, title: string, cases: readonly Case[]): Promise<void> {
  for (const { name, run } of cases) {
    const repository = `qa/t-${++count}`;
    const stage = { world, repository, image: `${world.server.host}/${repository}`, quinn: world.people.quinn };
    await world.report.check(`${title}: ${name}`, async () => {
      await makeRepository(stage);
      await run(stage);
    });
  }
}

export async function makeRepository({ world, repository }: Stage): Promise<void> {
  await world.people.admin.put(`orgs/qa/repositories/${repository.slice("qa/".length)}`, { visibility: "private" });
}

/** oz, who may read and not sign, gets it. */
export async function mustServe({ world, repository }: Stage, reference: string): Promise<void> {
  const { status, body } = await world.people.oz.direct.manifest(repository, reference);
  if (status !== 200) throw new Error(`${reference} was answered ${status}: ${body}`);
}

/** Nobody but the server sees that it keeps this verdict on tag `1`; one that nobody kept cannot turn. */
export async function mustBeKept({ world, repository }: Stage): Promise<void> {
  const text = `select from verdicts v join repositories r on r.id = v.repository_id
    where r.name = '${repository}' and v.tag = '1' and v.allowed`;
  await until(`a verdict on ${repository} is kept`, 60, async () => {
    const rows = await query(embeddedDatabase(world.server.data), text);
    return rows.length > 0 ? true : undefined;
  });
}

/** oz does not, and is told why. */
export async function mustRefuse({ world, repository }: Stage, reference: string, why: RegExp): Promise<void> {
  const { status, body } = await world.people.oz.direct.manifest(repository, reference);
  const text = body.toString();
  if (status !== 403 || !text.includes('"DENIED"') || !why.test(text))
    throw new Error(`${reference} was answered ${status}, which is not 403 with ${why}: ${text}`);
}

/** What the policy for all of `qa` asks for from now on. */
export async function askFor(world: World, require: readonly object[]): Promise<void> {
  await world.people.admin.put("orgs/qa/policies/tested", { repositories: ["**"], mode: "enforce", require });
}

export const ONE_TESTER = [{ team: "testers", k: 1 }];
export const TWO_TESTERS = [{ team: "testers", k: 2 }];

/** The turn is on record, 5 s later if nothing else is said, whether or not anybody asked for the image. */
export async function mustBeRecorded(
  { world, repository }: Stage,
  kind: "refused" | "allowed",
  seconds = 5,
): Promise<void> {
  const [org = "", repo = ""] = repository.split("/");
  await until(`${kind} in the history of ${repository}`, seconds, async () => {
    const { signatures } = await world.people.admin.rest("GET", `orgs/${org}/repositories/${repo}/trust/history`);
    // Newest first.
    const turns = signatures.filter((entry: Json) => entry.kind === "refused" || entry.kind === "allowed");
    return turns[0]?.kind === kind ? true : undefined;
  });
}
