/** The cells of actors, repositories and operations, many at once. */
import type { Report } from "../harness/report.ts";
import type { RunningServer } from "../harness/server.ts";
import { type Cell, runPlain, type Stage } from "./cells.ts";
import { Credentials, MODES } from "./credentials.ts";
import { inLanes, lanes } from "./lanes.ts";
import { PLAIN, type PlainName } from "./operations.ts";
import { ACTORS, OPERATIONS, type OperationName, REPOSITORIES } from "./oracle.ts";
import { keeperOf } from "./rest-operations.ts";
import { runSpecial, type SPECIAL } from "./special-cells.ts";
import { NAMES, World } from "./world.ts";

export async function openStage({ url, admin }: RunningServer): Promise<Stage> {
  const world = new World(url, admin.password);
  await world.prepare();
  const credentials = new Credentials(world);
  await credentials.prepare();
  await world.removeFromTeam();
  await world.replaceR5();
  const uploads = new Map<string, string>();
  for (const name of [NAMES.R1, NAMES.R2, NAMES.R3, NAMES.R5]) {
    await world.putRobot(`${name.split("/")[0]}+${keeperOf(name)}`, [name], ["pull"]);
    uploads.set(name, await world.beginUpload(name));
  }
  let marks = 0;
  return { world, credentials, uploads, newMark: () => `m${++marks}` };
}

export async function runCells(report: Report, stage: Stage): Promise<void> {
  const before = await snapshot(stage);
  const started = performance.now();
  await inLanes(cells(), lanes, async ([name, actor, repository]) => {
    await report.quietly(`${actor} ${repository} ${name}`, async () => {
      const problems: string[] = [];
      for (const mode of MODES) {
        await runOne(stage, { actor, repository, mode }, name).catch((error: unknown) => {
          problems.push(`${mode}: ${error instanceof Error ? error.message : String(error)}`);
        });
      }
      if (problems.length > 0) throw new Error(problems.join("\n"));
    });
  });
  const after = await snapshot(stage);
  await report.check("nothing that was refused left anything behind", () => {
    if (after !== before) throw new Error(`${before}\nbecame\n${after}`);
  });
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  const shape = [ACTORS, REPOSITORIES, Object.keys(OPERATIONS)].map(({ length }) => length).join(" × ");
  console.log(`${shape} cells: ${stage.world.wire.count} requests, ${seconds} s`);
}

function cells(): [OperationName, Cell["actor"], Cell["repository"]][] {
  const names = Object.keys(OPERATIONS) as OperationName[];
  const all = REPOSITORIES.flatMap((repository) =>
    ACTORS.flatMap((actor) =>
      names.map((name): [OperationName, Cell["actor"], Cell["repository"]] => [name, actor, repository]),
    ),
  );
  return all.sort((a, b) => turnOf(a) - turnOf(b));
}

/** Tokens of before live five minutes: they are used first. */
function turnOf([, actor, repository]: [OperationName, Cell["actor"], Cell["repository"]]): number {
  if (actor === "A12" || actor === "A13") return 0;
  return repository === "R5" ? 1 : 2;
}

function runOne(stage: Stage, cell: Cell, name: OperationName): Promise<void> {
  if (name in PLAIN) return runPlain(stage, cell, name as PlainName);
  return runSpecial(stage, cell, name as keyof typeof SPECIAL);
}

/** Everything about the shared repositories that a request of the matrix could change. */
async function snapshot({ world, uploads }: Stage): Promise<string> {
  const lines: string[] = [];
  for (const name of [NAMES.R1, NAMES.R2, NAMES.R3, NAMES.R5]) {
    const [org, short] = name.split("/");
    const api = `/api/v1/orgs/${org}`;
    const paths = [`/v2/${name}/tags/list`, `/v2/${name}/manifests/v1`, `${api}/repositories/${short}`];
    paths.push(`${api}/repositories/${short}/grants`, `${api}/robots/${keeperOf(name)}`);
    for (const path of paths) {
      const answer = await world.must(200, "GET", path);
      lines.push(`${path} ${answer.headers.etag ?? ""} ${answer.body}`);
    }
    await world.must(204, "GET", uploads.get(name) ?? "");
    lines.push(await world.trust.describe(name));
  }
  return lines.join("\n");
}
