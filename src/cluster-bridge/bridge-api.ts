import { BodyTooLargeError } from "../http/body.ts";
import { bytes, empty, json } from "../http/reply.ts";
import { type Handler, type Protocol, type Route, route } from "../http/route.ts";
import type { Bridge } from "./bridge.ts";
import { BridgeRequestError, problem, problemOf } from "./bridge-problem.ts";
import { orderRoutes } from "./order-api.ts";

/** What the listener needs of the bridge. */
export type BridgeDoor = Pick<Bridge, "order" | "findFaults" | "routes">;

const OPEN = { kind: "open" } as const;

/** The figures in Prometheus' text format. */
export type MetricsText = () => Promise<string>;

export const bridgeRoutes = (bridge: BridgeDoor, metricsText: MetricsText): Route[] => [
  route("bridge-health", "GET", "/healthz", OPEN, async () => empty(200)),
  route("bridge-ready", "GET", "/readyz", OPEN, getReady(bridge)),
  route("bridge-metrics", "GET", "/metrics", OPEN, async () =>
    bytes(200, "text/plain; version=0.0.4; charset=utf-8", Buffer.from(await metricsText())),
  ),
  ...orderRoutes(bridge),
  ...bridge.routes,
];

export const bridgeProtocol = (bridge: BridgeDoor, metricsText: MetricsText): Protocol => ({
  prefix: "/",
  routes: bridgeRoutes(bridge, metricsText),
  errorReply: (error) =>
    error instanceof BodyTooLargeError ? problem(413, "too-large", error.message) : problemOf(error),
  notFound: () => new BridgeRequestError(404, "there is no such resource"),
  methodNotAllowed: (allowed) => new BridgeRequestError(405, `allowed: ${allowed.join(", ")}`),
  badRequest: (message) => new BridgeRequestError(400, message),
});

/** `GET /readyz`: 200, or 503 with what keeps it from deploying. */
function getReady(bridge: BridgeDoor): Handler {
  return async () => {
    const faults = await bridge.findFaults();
    return json(faults.length === 0 ? 200 : 503, { ready: faults.length === 0, faults });
  };
}
