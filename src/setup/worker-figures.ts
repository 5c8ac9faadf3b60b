import { AggregatorRegistry } from "prom-client";
import type { Figures, FiguresToPrimary, FiguresToWorker } from "./messages.ts";

/** The worker's side of `/metrics`, see messages.ts. */
export interface WorkerFigures {
  /** The figures of all workers added up, in Prometheus' text format. */
  text(): Promise<string>;
  hear(message: FiguresToWorker): Promise<void>;
}

export function openWorkerFigures(options: {
  read: () => Promise<Figures>;
  send: (message: FiguresToPrimary) => void;
}): WorkerFigures {
  const waiting = new Map<number, (all: readonly Figures[]) => void>();
  let lastId = 0;
  return {
    text: async () => {
      const id = ++lastId;
      const all = await new Promise<readonly Figures[]>((done) => {
        waiting.set(id, done);
        options.send({ type: "gather", id });
      });
      return AggregatorRegistry.aggregate(all as object[][]).metrics();
    },
    hear: async (message) => {
      if (message.type === "report") {
        return options.send({ type: "figures", id: message.id, figures: await options.read() });
      }
      waiting.get(message.id)?.(message.all);
      waiting.delete(message.id);
    },
  };
}
