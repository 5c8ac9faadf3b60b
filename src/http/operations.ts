import { bytes, json } from "./reply.ts";
import { type Handler, type Protocol, route } from "./route.ts";

export interface OperationsDeps {
  /** Undefined when the server can do its work, else what is in the way. */
  readonly findObstacle: () => Promise<string | undefined>;
  /** The figures of all workers, in Prometheus' text format. */
  readonly metricsText: () => Promise<string>;
}

const OPEN = { kind: "open" } as const;

/** What an operator's tools ask: alive, ready, figures. Also answers every path that belongs to no other protocol. */
export const operationsProtocol = (deps: OperationsDeps): Protocol => ({
  prefix: "/",
  routes: [
    route("healthz", "GET", "/healthz", OPEN, async () => json(200, { status: "alive" })),
    route("readyz", "GET", "/readyz", OPEN, getReadiness(deps)),
    route("metrics", "GET", "/metrics", OPEN, getMetrics(deps)),
  ],
  errorReply: (error) => (error instanceof Refusal ? error.reply : undefined),
  notFound: () => new Refusal(404, "no such endpoint; the registry is at /v2/"),
  methodNotAllowed: (allowed) => new Refusal(405, "no such method here", { Allow: allowed.join(", ") }),
  badRequest: (message) => new Refusal(400, message),
});

class Refusal extends Error {
  readonly reply;

  constructor(status: number, message: string, headers: Readonly<Record<string, string>> = {}) {
    super(message);
    this.reply = json(status, { message }, headers);
  }
}

function getReadiness({ findObstacle }: OperationsDeps): Handler {
  return async () => {
    const obstacle = await findObstacle();
    if (obstacle === undefined) return json(200, { status: "ready" });
    return json(503, { status: "not ready", why: obstacle }, { "Retry-After": "1" });
  };
}

function getMetrics({ metricsText }: OperationsDeps): Handler {
  return async () => bytes(200, "text/plain; version=0.0.4; charset=utf-8", Buffer.from(await metricsText()));
}
