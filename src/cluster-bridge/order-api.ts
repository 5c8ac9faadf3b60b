import { bytes, type Reply } from "../http/reply.ts";
import type { Request } from "../http/request.ts";
import { type Handler, type Route, route } from "../http/route.ts";
import type { Bridge } from "./bridge.ts";
import { refused } from "./bridge-problem.ts";
import { isOrderAction, type OrderAction } from "./orders.ts";
import { ProgressLines } from "./progress-lines.ts";

const MAX_BODY_BYTES = 1024 * 1024;
/** The order is the credential: whoever holds none is refused by what it says. */
const OPEN = { kind: "open" } as const;

/** All that changes anything. */
export const orderRoutes = (bridge: Pick<Bridge, "order">): Route[] => [
  route("bridge-deploy", "POST", "/api/v1/deployments", OPEN, postDeployment(bridge), { maxBodyBytes: MAX_BODY_BYTES }),
  route("bridge-order", "POST", "/api/v1/cluster/orders", OPEN, postOrder(bridge), { maxBodyBytes: MAX_BODY_BYTES }),
];

/** `POST /api/v1/deployments?environment=NAME`: the action `service.deploy`; the body is a service's specification. */
function postDeployment(bridge: Pick<Bridge, "order">): Handler {
  return (request) => carryOut(bridge, request, "service.deploy");
}

/** `POST /api/v1/cluster/orders?environment=NAME&action=ACTION`: every action there is, `service.deploy` too. */
function postOrder(bridge: Pick<Bridge, "order">): Handler {
  return async (request) => {
    const action = request.query("action") ?? "";
    if (!isOrderAction(action)) throw request.badRequest(`action: ${action.slice(0, 100)} is none`);
    return carryOut(bridge, request, action);
  };
}

/**
 * With the order (compact JWS) in `Goldseal-Order` and what it is over as the body. Refused before the engine heard of it:
 * a problem. Else 200 and a line of JSON for each progress; the last one is the outcome.
 */
async function carryOut(bridge: Pick<Bridge, "order">, request: Request, action: OrderAction): Promise<Reply> {
  const environment = request.query("environment") ?? "";
  const order = request.header("goldseal-order");
  if (order === undefined) throw request.badRequest("header Goldseal-Order is missing");
  const breakGlass = readBreakGlass(request, action);
  const ask = { environment, action, order, breakGlass, body: await request.body() };

  const lines = new ProgressLines();
  const outcome = bridge.order(ask, (progress) => lines.add({ progress }));
  const done = outcome.then(
    (end) => lines.end({ outcome: end }),
    (error: unknown) => lines.fail(error),
  );
  const first = await Promise.race([outcome, lines.begun]);

  if (first !== undefined && first.kind === "refuse") return refused(first);
  return bytes(200, "application/x-ndjson", lines.stream(done));
}

/** `Goldseal-Break-Glass`: a DSSE envelope in base64url. What is in it is for the bridge to judge. */
function readBreakGlass(request: Request, action: OrderAction): Buffer | undefined {
  const text = request.header("goldseal-break-glass");
  if (text === undefined) return undefined;
  if (action !== "service.deploy") throw request.badRequest("Goldseal-Break-Glass goes with service.deploy alone");
  const bytes = Buffer.from(text, "base64url");
  if (bytes.toString("base64url") !== text) throw request.badRequest("Goldseal-Break-Glass is not base64url");
  return bytes;
}
