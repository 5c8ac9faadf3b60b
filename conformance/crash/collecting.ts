/** Somebody who has garbage collected again and again. */
import { setTimeout as wait } from "node:timers/promises";
import type { ClientConfig } from "pg";
import { type Client, NoAnswer, NobodyThere, Unavailable } from "./client.ts";
import { query } from "./database.ts";
import { Violation } from "./violation.ts";

const PAUSE_MS = 50;
const PATIENCE_MS = 5000;
/** For a run that nothing disturbs, on a machine that is busy with other things. */
const LONG_PATIENCE_MS = 120_000;
/** The lists of a hundred runs are kept; between two checks there are fewer, however quick the machine. */
const MOST_RUNS = 90;
const RUNS = "/api/v1/gc";

interface Run {
  readonly id: number;
  readonly state: "running" | "done" | "held" | "failed";
  readonly reason?: string;
  readonly deleted: number;
}

export class Collecting {
  runs = 0;
  deleted = 0;

  /** Until the signal, or until nobody listens. A run may end with whoever dies; it is never held. */
  async work(client: Client, signal: AbortSignal): Promise<void> {
    for (let left = MOST_RUNS; left > 0 && !signal.aborted; left--) {
      try {
        const run = await this.#collect(client, {}, PATIENCE_MS, signal);
        if (run?.state === "held") throw new Violation("RECOVERY", `the collector does nothing: ${run.reason}`);
      } catch (error) {
        if (error instanceof NobodyThere) return;
        if (!(error instanceof NoAnswer) && !(error instanceof Unavailable)) throw error;
      }
      await wait(PAUSE_MS);
    }
  }

  /** Nothing dies meanwhile: one run does it all, and the next one would find nothing. @throws Violation */
  async finish(client: Client): Promise<void> {
    const whole = await this.#collect(client, {}, LONG_PATIENCE_MS);
    const left = await this.#collect(client, { dryRun: true }, LONG_PATIENCE_MS);
    if (whole?.state === "done" && left?.state === "done" && left.deleted === 0) return;
    throw new Violation("RECOVERY", `the collector does not come to an end: ${JSON.stringify([whole, left])}`);
  }

  /** Undefined where another run is under way. */
  async #collect(client: Client, body: object, patienceMs: number, signal?: AbortSignal): Promise<Run | undefined> {
    const headers = { "content-type": "application/json" };
    const ask = { headers, body: Buffer.from(JSON.stringify(body)) };
    const begun = await client.expect([202, 409], "POST", RUNS, ask);
    if (begun.status === 409) return undefined;
    let run: Run = JSON.parse(begun.body.toString());
    // A run whose process died is said to be running until the next one begins.
    for (const until = performance.now() + patienceMs; run.state === "running" && performance.now() < until; ) {
      if (signal?.aborted) break;
      await wait(PAUSE_MS / 5);
      run = JSON.parse((await client.expect([200], "GET", `${RUNS}/${run.id}`)).body.toString());
    }
    this.runs++;
    this.deleted += run.deleted;
    return run;
  }
}

/**
 * What collections took away, in the words of the registers. A right of a repository to a blob goes in the transaction that
 * lists it.
 */
export async function readCollected(database: ClientConfig): Promise<string[]> {
  const rows = await query<{ kind: string; repository: string; digest: string }>(
    database,
    `select distinct i.kind, i.repository, i.digest from gc_items i join gc_runs r on r.id = i.run_id
     where i.repository is not null and not r.dry_run`,
  );
  return rows.map(({ kind, repository, digest }) => `${kind === "link" ? "blob" : kind} ${repository} ${digest}`);
}
