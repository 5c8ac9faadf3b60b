import { join } from "node:path";
import { type Comparison, type Course, comparisonText, newTally, share, timeRound, toComparison } from "../courses.ts";
import type { Pace } from "../measure.ts";
import { type Server, startGoldseal } from "../servers.ts";
import { makePeople, type Person, pullTargets } from "./people.ts";
import { copyUnjudged, openSwitch } from "./unjudged.ts";

/** Of a manifest GET by digest: how much judging it may cost. */
export const maxShare = 0.05;
const CONNECTIONS = [1, 32];
const switchMs = 5_000;

export interface JudgingResult extends Comparison {
  readonly connections: number;
}

export interface JudgingOptions {
  /** Rounds, each with new processes; `seconds` of each side in a round. */
  readonly pace: Pace;
  readonly folder: string;
  /** Judges in every turn: what is found then is the bench's own fault. */
  readonly control: boolean;
}

/**
 * What judging costs: a copy of the product that judges by turns, and by turns does not. The share is of CPU time, which
 * others on this machine disturb least.
 */
export async function measureJudging({ pace, folder, control }: JudgingOptions): Promise<JudgingResult[]> {
  const root = copyUnjudged(join(folder, control ? "control" : "copy"));
  const found = new Map(CONNECTIONS.map((connections) => [connections, newTally(share)]));
  let people: readonly Person[] | undefined;
  for (let round = 0; round < pace.rounds; round++) {
    const server = await startGoldseal(join(folder, control ? "control-data" : "judged"), { tls: false, root });
    try {
      people ??= await makePeople(server);
      const setJudging = openSwitch(server);
      await checkSwitch(server, people, setJudging);
      for (const [connections, tally] of found) {
        const targets = await pullTargets(server, people);
        const course = (judges: boolean): Course => ({ targets, begin: () => setJudging(judges || control) });
        const round = { server, connections, seconds: pace.seconds };
        await timeRound(round, [course(true), course(false)], tally);
      }
    } finally {
      await server.stop();
    }
  }
  return [...found].map(([connections, tally]) => ({ connections, ...toComparison(tally) }));
}

/** Else it would be found that judging costs nothing: whoever is not judged gets what is another's. */
async function checkSwitch(
  server: Server,
  people: readonly Person[],
  setJudging: (judges: boolean) => void,
): Promise<void> {
  const [own, another] = await pullTargets(server, people.slice(0, 2));
  if (own === undefined || another === undefined) throw new Error("two people are needed");
  for (const [judges, status] of [
    [false, 200],
    [true, 401],
  ] as const) {
    setJudging(judges);
    for (const until = Date.now() + switchMs; (await statusOf(server, another.path, own.authorization)) !== status; )
      if (Date.now() > until) throw new Error(`the copy does not ${judges ? "judge" : "leave judging out"}`);
  }
}

async function statusOf(server: Server, path: string, authorization: string): Promise<number> {
  const { status } = await fetch(new URL(path, server.url), { headers: { authorization } });
  return status;
}

export function judgingLine({ connections, ...comparison }: JudgingResult): string {
  return `manifest by digest, ${`${connections} conn`.padEnd(9)}${comparisonText(comparison)}`;
}
