import cluster, { type Worker } from "node:cluster";
import { once } from "node:events";
import { SetupError, type SetupLog } from "./errors.ts";
import { openGathering } from "./gather-figures.ts";
import type { Address, Answer, FiguresToPrimary, Order, ServeSettings } from "./messages.ts";

const MAX_PAUSE_MS = 10_000;
/** A worker that lived this long was healthy: its death starts counting anew. */
const HEALTHY_MS = 30_000;

/** The worker processes, which share one port through this process. */
export interface Workers extends AsyncDisposable {
  /** Open the app in each. @throws SetupError with the first worker's failure */
  open(settings: ServeSettings): Promise<void>;
  /** Take connections; from here on a worker that dies is replaced. Answers the port. */
  listen(address: Address): Promise<number>;
  /** Stop accepting, answer what is under way, end. Whoever still lives after the deadline is killed. */
  stop(drainMs: number): Promise<void>;
}

/** Starts `count` processes of `file` with the argument `worker`; they load while the database starts. */
export function startWorkers({ file, count, log }: { file: string; count: number; log: SetupLog }): Workers {
  let goal: { settings: ServeSettings; address?: Address } | undefined;
  let isStopping = false;
  let quickDeaths = 0;
  cluster.setupPrimary({ exec: file, args: ["worker"] });
  const crew = new Set<Worker>();
  const hearFigures = openGathering(crew);
  for (let index = 0; index < count; index++) hire();

  function hire(): Worker {
    const worker = cluster.fork();
    const bornAt = Date.now();
    crew.add(worker);
    worker.on("error", (error) => log.error("worker.error", { pid: worker.process.pid, message: error.message }));
    worker.on("message", (message: Answer | FiguresToPrimary) => {
      if (message.type === "gather" || message.type === "figures") hearFigures(worker, message);
    });
    worker.on("exit", (code, signal) => {
      crew.delete(worker);
      if (isStopping || goal?.address === undefined) return;
      quickDeaths = Date.now() - bornAt > HEALTHY_MS ? 0 : quickDeaths + 1;
      const pauseMs = quickDeaths <= 1 ? 0 : Math.min(100 * 2 ** quickDeaths, MAX_PAUSE_MS);
      log.error("worker.died", { pid: worker.process.pid, code, signal, pauseMs });
      setTimeout(() => void replace(), pauseMs);
    });
    return worker;
  }

  async function replace(): Promise<void> {
    if (isStopping || goal?.address === undefined) return;
    const worker = hire();
    try {
      await order(worker, { type: "open", settings: goal.settings });
      await order(worker, { type: "listen", address: goal.address });
      log.info("worker.replaced", { pid: worker.process.pid });
    } catch (error) {
      log.error("worker.failed", { pid: worker.process.pid, message: String(error) });
      worker.process.kill("SIGKILL"); // its exit hires the next one
    }
  }

  async function stop(drainMs: number): Promise<void> {
    isStopping = true;
    const ends = [...crew].map((worker) => once(worker, "exit"));
    for (const worker of crew) if (worker.isConnected()) worker.send({ type: "stop", drainMs } satisfies Order);
    const timer = setTimeout(() => killAll(crew), drainMs + 1000);
    await Promise.all(ends);
    clearTimeout(timer);
  }

  return {
    open: async (settings) => {
      goal = { settings };
      await Promise.all([...crew].map((worker) => order(worker, { type: "open", settings })));
    },
    listen: async (address) => {
      if (goal === undefined) throw new Error("open comes before listen");
      goal = { ...goal, address };
      const ports = await Promise.all([...crew].map((worker) => order(worker, { type: "listen", address })));
      return ports[0] ?? address.port;
    },
    stop,
    [Symbol.asyncDispose]: async () => {
      isStopping = true;
      const ends = [...crew].map((worker) => once(worker, "exit"));
      killAll(crew);
      await Promise.all(ends);
    },
  };
}

function killAll(crew: Iterable<Worker>): void {
  for (const worker of crew) worker.process.kill("SIGKILL");
}

/** Sends one order and waits for its answer; answers the port for `listen`. */
function order(worker: Worker, message: Order): Promise<number | undefined> {
  return new Promise((done, fail) => {
    const settle = (act: () => void): void => {
      worker.off("message", hear);
      worker.off("exit", die);
      act();
    };
    const hear = (answer: Answer | FiguresToPrimary): void => {
      if (answer.type === "gather" || answer.type === "figures") return;
      if (answer.type === "failed") settle(() => fail(new SetupError(answer.message)));
      else settle(() => done(answer.type === "listening" ? answer.port : undefined));
    };
    const die = (code: number | null, signal: string | null): void =>
      settle(() => fail(new SetupError(`a worker process ended while it started (${signal ?? `status ${code}`})`)));
    worker.on("message", hear);
    worker.on("exit", die);
    worker.send(message);
  });
}
