import type { IncomingMessage, ServerResponse } from "node:http";
import { messageOf, type SetupLog } from "./errors.ts";
import type { Address, Answer, Figures, FiguresToPrimary, FiguresToWorker, Order, ServeSettings } from "./messages.ts";
import { Secret } from "./secret.ts";
import { openWorkerFigures } from "./worker-figures.ts";

type Handler = (req: IncomingMessage, res: ServerResponse) => void;

interface App {
  readonly handler: Handler;
  readonly metrics: { readonly registry: { getMetricsAsJSON(): Promise<Figures> } };
  close(): Promise<void>;
}

interface Listener {
  readonly port: number;
  drain(deadlineMs: number): Promise<void>;
}

/** What a worker is made of; main.ts knows where it comes from. */
export interface WorkerParts {
  openApp(settings: ServeSettings, dependencies: { log: SetupLog; metricsText: () => Promise<string> }): Promise<App>;
  listen(handler: Handler, address: Address): Promise<Listener>;
  createLog(level: ServeSettings["config"]["logLevel"]): SetupLog;
}

/** One worker process: does what the primary orders, and ends with it. */
export function runWorker(parts: WorkerParts): void {
  let app: App | undefined;
  let listener: Listener | undefined;
  const figures = openWorkerFigures({ read: async () => (await app?.metrics.registry.getMetricsAsJSON()) ?? [], send });

  async function obey(order: Order | FiguresToWorker): Promise<void> {
    if (order.type === "report" || order.type === "gathered") return figures.hear(order);
    if (order.type === "open") {
      const settings = revive(order.settings);
      const log = parts.createLog(settings.config.logLevel);
      app = await parts.openApp(settings, { log, metricsText: figures.text });
      return send({ type: "opened" });
    }
    if (order.type === "listen" && app !== undefined) {
      listener = await parts.listen(app.handler, order.address);
      return send({ type: "listening", port: listener.port });
    }
    await listener?.drain(order.type === "stop" ? order.drainMs : 0);
    await app?.close();
    process.exit(0);
  }

  process.on("message", (order: Order | FiguresToWorker) => {
    obey(order).catch((error: unknown) => send({ type: "failed", message: messageOf(error) }));
  });
  // The primary is gone, and with it the port, the database's supervision and the lock.
  process.on("disconnect", () => process.exit(1));
  // Ctrl-C and service managers signal the whole group; the primary says when to stop, after draining.
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => undefined);
}

function send(message: Answer | FiguresToPrimary): void {
  process.send?.(message);
}

/** JSON hides secrets: the one a worker needs comes beside the configuration. */
function revive(settings: ServeSettings): ServeSettings {
  if (settings.config.database.kind === "embedded") return settings;
  const database = { kind: "external", url: new Secret(settings.databaseUrl) } as const;
  return { ...settings, config: { ...settings.config, database } };
}
