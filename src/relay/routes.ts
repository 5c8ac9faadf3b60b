import { z } from "zod";
import type { RestOperation } from "../http/rest-operation.ts";
import { type Access, type Handler, route } from "../http/route.ts";
import { relayChange } from "./changes.ts";
import type { RelayDeps } from "./deps.ts";
import { relayView } from "./relay-view.ts";
import { VIEWS } from "./views.ts";

const USER: Access = { kind: "user" };
const MAX_BODY_BYTES = 1024 * 1024;
const CLUSTER = "/api/v1/cluster";
const ORDERED = `The order is a compact JWS by an operator's key in the header Goldseal-Order, over environment, action and SHA-256 of
      the body; the bridge judges it, and answers line by line.`;

const environment = z.string().describe("of the policy document");
const orderQuery = z.object({ environment, action: z.string().describe("such as service.remove") });
/** What the bridge takes is for the bridge to say. */
const bodySchema = z.looseObject({});
const lines = z.union([
  z.object({ progress: z.looseObject({}) }),
  z.object({ waiting: z.literal(true) }).describe("it goes on"),
  z.object({ outcome: z.looseObject({ kind: z.string() }), decision: z.string().optional() }).describe("the last line"),
]);

/** What `serve` hands to the bridge and back: it decides nothing, and puts everything on record. */
export const relayOperations = (deps: RelayDeps): RestOperation[] => [
  change(
    ["deployment-order", "/api/v1/deployments"],
    `Deploy a service by the digest that was signed. ${ORDERED}`,
    z.object({ environment }),
    relayChange(deps, () => "service.deploy"),
  ),
  change(
    ["cluster-order", `${CLUSTER}/orders`],
    `Order a change of the cluster. ${ORDERED}`,
    orderQuery,
    relayChange(deps, (request) => request.query("action") ?? ""),
  ),
  ...Object.entries(VIEWS).map(([id, { path, summary, query }]) => ({
    ...{ route: route(id, "GET", `${CLUSTER}/${path}`, USER, relayView(deps)), summary, query },
    ...{ body: undefined, answers: { 200: z.looseObject({}) } },
  })),
];

function change(
  [id, path]: readonly [id: string, path: string],
  summary: string,
  query: z.ZodObject,
  handler: Handler,
): RestOperation {
  const options = { maxBodyBytes: MAX_BODY_BYTES };
  return {
    ...{ route: route(id, "POST", path, USER, handler, options), summary, query, body: bodySchema },
    ...{ answers: { 200: undefined }, lines },
  };
}
