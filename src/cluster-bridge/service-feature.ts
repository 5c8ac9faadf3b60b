import { z } from "zod";
import { describeError } from "../http/log.ts";
import type { ActionHandler, Ordered } from "./actions.ts";
import type { Core } from "./core.ts";
import type { Refusal } from "./errors.ts";
import type { OpenFeature } from "./feature.ts";
import { toPinned } from "./image-reference.ts";
import { readBody } from "./order-body.ts";
import { parseServiceSpec, type ServiceSpec } from "./service-spec.ts";
import { signersOf } from "./signed-digest.ts";
import { requireWithin } from "./spec-limits.ts";

const RECOVER_MS = 5_000;

const namedSchema = z.strictObject({ name: z.string().min(1).max(63) });

/** Single services. */
export const openServices: OpenFeature = (core) => {
  const { deployer, log } = core;
  let timer: NodeJS.Timeout | undefined;
  const recoverLeft = (): void =>
    void deployer.recoverLeft().catch((error: unknown) => log.error("bridge.recover", describeError(error)));
  return {
    actions: { "service.deploy": deploy(core), "service.rollback": rollBack(core), "service.remove": remove(core) },
    // What was begun before the bridge was killed; then, what the engine leaves open.
    start: () => {
      timer = setInterval(recoverLeft, RECOVER_MS);
      return deployer.recover();
    },
    close: async () => clearInterval(timer),
  };
};

/** `service.deploy` with the specification of a service: it is created, or updated. */
function deploy(core: Core): ActionHandler {
  return async (order, body, tell) => {
    const { environment, rules, user, cameMs } = order;
    const parsed = parseServiceSpec(body);
    requireWithin(parsed, rules.specLimits, environment);
    const judged = await judge(core, order, parsed);
    if ("kind" in judged) return judged;
    core.failpoint("bridge.afterVerify");

    const spec = Buffer.from(body).toString();
    const plan = { environment, service: parsed.name, spec, user, parsed, cameMs, ...judged };
    return parsed.dryRun ? core.deployer.preview(plan) : core.deployer.deploy(plan, tell);
  };
}

interface Judged {
  readonly pinned: string;
  readonly because: string;
  readonly breakGlass?: string;
}

/** By its signatures; or by a statement of the holders of the policy keys, where one came along. */
async function judge(core: Core, order: Ordered, { name, image }: ServiceSpec): Promise<Judged | Refusal> {
  const { environment, breakGlass: envelope, cameMs } = order;
  const { authority } = core.decisions;
  if (envelope !== undefined) {
    const broken = await core.breakGlass(envelope, { image, environment });
    if (broken.kind === "refuse") return broken;
    const because = `break-glass: ${broken.reason}`;
    return { pinned: toPinned({ authority, ...broken }, broken.digest), because, breakGlass: toBase64(envelope) };
  }
  const ranBefore = core.ledger.hasRun({ environment, service: name, pinned: image });
  const decision = await core.resolve(image, environment, { sinceMs: cameMs, ranBefore });
  if (decision.kind === "refuse") return decision;
  const pinned = toPinned({ authority, repository: decision.repository }, decision.digest);
  return { pinned, because: signersOf(decision) };
}

const toBase64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString("base64");

/** `service.rollback` with `{name}`: to the newest that ran before and verifies now. */
function rollBack({ deployer }: Core): ActionHandler {
  return async ({ environment, user }, body, tell) => {
    const { name: service } = readBody(body, namedSchema, "the rollback");
    return deployer.rollBack({ environment, service, user }, tell);
  };
}

/** `service.remove` with `{name}`. */
function remove({ deployer }: Core): ActionHandler {
  return async ({ environment, user }, body) => {
    const { name: service } = readBody(body, namedSchema, "the removal");
    return deployer.remove({ environment, service, user });
  };
}
