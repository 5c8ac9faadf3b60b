import { z } from "zod";
import { sha256Of } from "../notary/tuf/signed-file.ts";
import { TrustError } from "../trust/error.ts";
import type { Environment, EnvironmentRight, PolicyDocument } from "../trust/policy-document.ts";
import { nameSchema } from "../trust/require.ts";
import { readStrict } from "../trust/strict-json.ts";
import { BridgeError } from "./errors.ts";
import { openOrder } from "./order-signature.ts";
import type { ReplayStore } from "./replay-store.ts";

/** What can be ordered, and the right that it takes. */
const ACTIONS = {
  "service.deploy": "deploy",
  "service.rollback": "deploy",
  "service.remove": "operate",
  "stack.deploy": "deploy",
  "stack.remove": "operate",
  "network.create": "operate",
  "network.remove": "operate",
  "secret.create": "operate",
  "secret.remove": "operate",
  "config.create": "operate",
  "config.remove": "operate",
  "node.update": "operate",
} as const satisfies Readonly<Record<string, EnvironmentRight>>;
export type OrderAction = keyof typeof ACTIONS;
/** Nodes belong to every environment: whoever changes one needs the right in all of them. */
const OF_ALL: readonly OrderAction[] = ["node.update"];

const RANK: Readonly<Record<EnvironmentRight, number>> = { view: 1, operate: 2, deploy: 3 };
const MAX_LIFE_MS = 300_000;

const orderSchema = z.strictObject({
  environment: nameSchema,
  action: z.enum(Object.keys(ACTIONS) as [OrderAction, ...OrderAction[]]),
  /** SHA-256 of the specification's bytes. */
  spec: z.string().regex(/^[0-9a-f]{64}$/, "64 lower-case hex digits"),
  /** 128 bits or more. */
  nonce: z.string().regex(/^[A-Za-z0-9_-]{22,64}$/, "22 to 64 characters of base64url"),
  /** Seconds since 1970. */
  exp: z.int().min(0),
});

export const isOrderAction = (text: string): text is OrderAction => Object.hasOwn(ACTIONS, text);

/** What somebody asks the bridge to do, and with what. */
export interface Wanted {
  readonly environment: string;
  readonly action: OrderAction;
  /** Exactly as it came. */
  readonly spec: Uint8Array;
}

/** Somebody who may has ordered this, just now, and once. */
export interface Order extends Wanted {
  readonly user: string;
  /** Canonical. */
  readonly keyId: string;
  readonly nonce: string;
  readonly rules: Environment;
}

export interface OrderDeps {
  readonly policy: PolicyDocument;
  readonly replays: ReplayStore;
  readonly now: Date;
}

/**
 * @param jws a compact JWS by an operator's key over environment, action, the specification's SHA-256, a nonce and `exp`
 * @throws BridgeError ORDER, POLICY
 * @see design.md "Orders": a registry that is owned can order nothing
 */
export async function acceptOrder({ policy, replays, now }: OrderDeps, jws: string, wanted: Wanted): Promise<Order> {
  if (!(now.getTime() < policy.expiresAt.getTime()))
    throw new BridgeError(
      "POLICY",
      `the policy expired at ${policy.expiresAt.toISOString()}: it names no operators now`,
    );
  const { payload, keyId, signer } = await openOrder(jws, policy);
  const order = readOrder(payload);
  refuseOther(order, wanted);
  const rules = policy.environments.get(order.environment);
  if (rules === undefined) throw new BridgeError("POLICY", `the policy has no environment ${order.environment}`);
  const touched = OF_ALL.includes(order.action) ? [...policy.environments] : [[order.environment, rules] as const];
  for (const [environment, its] of touched)
    requireOperator({ user: signer.user, keyId, action: order.action, environment }, its, policy);
  const lifeMs = order.exp * 1000 - now.getTime();
  if (!(lifeMs > 0)) throw new BridgeError("ORDER", "the order has expired");
  if (!(lifeMs <= MAX_LIFE_MS)) throw new BridgeError("ORDER", "an order is good for five minutes at most");
  // The last of all: what was refused for another reason may be sent again, mended.
  if (!(await replays.take(`${keyId}.${order.nonce}`, new Date(order.exp * 1000), now)))
    throw new BridgeError("ORDER", "this order was carried out before");
  return { ...wanted, user: signer.user, keyId, nonce: order.nonce, rules };
}

function readOrder(payload: Uint8Array): z.infer<typeof orderSchema> {
  try {
    return readStrict(payload, orderSchema, "the order");
  } catch (cause) {
    if (!(cause instanceof TrustError)) throw cause;
    throw new BridgeError("ORDER", cause.message, { cause });
  }
}

/** Signed was one thing, and another may be what came with it. */
function refuseOther(order: z.infer<typeof orderSchema>, { environment, action, spec }: Wanted): void {
  if (order.environment !== environment) throw new BridgeError("ORDER", `the order is for ${order.environment}`);
  if (order.action !== action) throw new BridgeError("ORDER", `the order is for ${order.action}`);
  if (order.spec !== sha256Of(spec).toString("hex"))
    throw new BridgeError("ORDER", "the order is for another specification");
}

interface Operator {
  readonly user: string;
  readonly keyId: string;
  readonly action: OrderAction;
  readonly environment: string;
}

function requireOperator(
  { user, keyId, action, environment }: Operator,
  { operators, rights }: Environment,
  { teams }: PolicyDocument,
): void {
  if (!operators.has(keyId))
    throw new BridgeError("ORDER", `this key of ${user} is none of the operators of ${environment}`);
  const needed = ACTIONS[action];
  const has = [...rights].some(([team, right]) => RANK[right] >= RANK[needed] && teams.get(team)?.has(user) === true);
  if (!has) throw new BridgeError("ORDER", `${user} is in no team that may ${needed} in ${environment}`);
}
