import type { Worker } from "node:cluster";
import type { Figures, FiguresToPrimary, FiguresToWorker } from "./messages.ts";

/**
 * A worker that is busy for longer is left out of this answer: its counters seem to have begun anew then, so it is waited for half
 * as long as Prometheus waits by default.
 */
const PATIENCE_MS = 5_000;

interface Round {
  readonly expected: number;
  readonly figures: Figures[];
  readonly finish: () => void;
}

/** The primary's side of `/metrics`, see messages.ts: what each worker's messages are given to. */
export function openGathering(crew: ReadonlySet<Worker>): (from: Worker, message: FiguresToPrimary) => void {
  const rounds = new Map<number, Round>();
  let lastRound = 0;

  function begin(asker: Worker, id: number): void {
    const round = ++lastRound;
    const asked = [...crew].filter((worker) => worker.isConnected());
    const figures: Figures[] = [];
    const timer = setTimeout(() => finish(), PATIENCE_MS);
    const finish = (): void => {
      clearTimeout(timer);
      rounds.delete(round);
      tell(asker, { type: "gathered", id, all: figures });
    };
    rounds.set(round, { expected: asked.length, figures, finish });
    for (const worker of asked) tell(worker, { type: "report", id: round });
  }

  return (from, message) => {
    if (message.type === "gather") return begin(from, message.id);
    const round = rounds.get(message.id);
    round?.figures.push(message.figures);
    if (round?.figures.length === round?.expected) round?.finish();
  };
}

function tell(worker: Worker, message: FiguresToWorker): void {
  if (worker.isConnected()) worker.send(message);
}
