import type { IncomingMessage, ServerResponse } from "node:http";
import { messageOf, type SetupLog } from "./errors.ts";
import type { Address, Answer, Order, ServeSettings } from "./messages.ts";
import { Secret } from "./secret.ts";

type Handler = (req: IncomingMessage, res: ServerResponse) => void;

interface App {
  readonly handler: Handler;
  close(): Promise<void>;
}

interface Listener {
  readonly port: number;
  drain(deadlineMs: number): Promise<void>;
}

/** What a worker is made of; main.ts knows where it comes from. */
export interface WorkerParts {
  openApp(settings: ServeSettings, dependencies: { log: SetupLog }): Promise<App>;
  listen(handler: Handler, address: Address): Promise<Listener>;
  createLog(level: ServeSettings["config"]["logLevel"]): SetupLog;
}

/** One worker process: does what the primary orders, and ends with it. */
export function runWorker(parts: WorkerParts): void {
  let app: App | undefined;
  let listener: Listener | undefined;

  async function obey(order: Order): Promise<void> {
    if (order.type === "open") {
      const settings = revive(order.settings);
      app = await parts.openApp(settings, { log: parts.createLog(settings.config.logLevel) });
      return answer({ type: "opened" });
    }
    if (order.type === "listen" && app !== undefined) {
      listener = await parts.listen(app.handler, order.address);
      return answer({ type: "listening", port: listener.port });
    }
    await listener?.drain(order.type === "stop" ? order.drainMs : 0);
    await app?.close();
    process.exit(0);
  }

  process.on("message", (order: Order) => {
    obey(order).catch((error: unknown) => answer({ type: "failed", message: messageOf(error) }));
  });
  // The primary is gone, and with it the port, the database's supervision and the lock.
  process.on("disconnect", () => process.exit(1));
  // Ctrl-C and service managers signal the whole group; the primary says when to stop, after draining.
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => undefined);
}

function answer(message: Answer): void {
  process.send?.(message);
}

/** JSON hides secrets: the one a worker needs comes beside the configuration. */
function revive(settings: ServeSettings): ServeSettings {
  if (settings.config.database.kind === "embedded") return settings;
  const database = { kind: "external", url: new Secret(settings.databaseUrl) } as const;
  return { ...settings, config: { ...settings.config, database } };
}
