import { randomUUID } from "node:crypto";
import { z } from "zod";
import { describeError } from "../http/log.ts";
import type { ActionHandler, Ordered } from "./actions.ts";
import type { Core } from "./core.ts";
import { BridgeError, type Refusal, refuse } from "./errors.ts";
import type { OpenFeature } from "./feature.ts";
import { toPinned } from "./image-reference.ts";
import { readBody } from "./order-body.ts";
import { signersOf } from "./signed-digest.ts";
import { requireWithin } from "./spec-limits.ts";
import { ContentNames } from "./stacks/content-names.ts";
import { StackDeployer } from "./stacks/stack-deployer.ts";
import { StackParts } from "./stacks/stack-parts.ts";
import { type PlannedService, planStack } from "./stacks/stack-plan.ts";
import type { StackMember } from "./stacks/stack-records.ts";
import { stackName, stackSchema } from "./stacks/stack-spec.ts";

const RECOVER_MS = 5_000;
const REMOVAL_MS = 60_000;

const namedSchema = z.strictObject({ name: stackName });

/** Stacks: several services, networks, secrets and configs by one order. */
export const openStacks: OpenFeature = async (core) => {
  const { swarm, deployer, journal, resolve, failpoint, log } = core;
  const parts = new StackParts(core.engine);
  const settings = { newId: randomUUID, failpoint, removalMs: REMOVAL_MS };
  const stacks = new StackDeployer({ swarm, parts, deployer, journal, resolve, ...settings });
  const names = await ContentNames.open(core.config.store);
  let timer: NodeJS.Timeout | undefined;
  const recoverLoose = (): void =>
    void stacks.recoverLoose().catch((error: unknown) => log.error("bridge.stacks", describeError(error)));
  return {
    actions: { "stack.deploy": deploy(core, stacks, names), "stack.remove": remove(stacks) },
    start: () => {
      timer = setInterval(recoverLoose, RECOVER_MS);
      return stacks.recover();
    },
    close: async () => clearInterval(timer),
  };
};

/** `stack.deploy` with a stack: all of it is judged before anything of it is made. */
function deploy(core: Core, stacks: StackDeployer, names: ContentNames): ActionHandler {
  return async (order, body, tell) => {
    const { environment, user, breakGlass } = order;
    if (breakGlass !== undefined) throw new BridgeError("ORDER", "breaking glass is for one service: service.deploy");
    const plan = planStack(readBody(body, stackSchema, "the stack"), names);
    requireAllWithin(plan.services, order);
    const judged = await Promise.all(plan.services.map((service) => judge(core, service, environment)));
    const refused = judged.filter((one) => "kind" in one);
    if (refused.length > 0) return refuse(refused[0]?.code ?? "UNSIGNED", refused.map(({ reason }) => reason).join("; "));
    core.failpoint("bridge.afterVerify");

    const members = judged.filter((one) => !("kind" in one));
    return stacks.deploy({ environment, stack: plan.name, user, members, plan }, tell);
  };
}

/** @throws BridgeError SPEC with what is wrong with each of them */
function requireAllWithin(services: readonly PlannedService[], { rules, environment }: Ordered): void {
  const faults = services.flatMap(({ spec }) => {
    try {
      requireWithin(spec, rules.specLimits, environment);
      return [];
    } catch (error) {
      if (error instanceof BridgeError) return [`${spec.name}: ${error.message}`];
      throw error;
    }
  });
  if (faults.length > 0) throw new BridgeError("SPEC", faults.join("; "));
}

async function judge(core: Core, { spec, text }: PlannedService, environment: string): Promise<StackMember | Refusal> {
  const decision = await core.resolve(spec.image, environment);
  if (decision.kind === "refuse") return { ...decision, reason: `${spec.name}: ${decision.reason}` };
  const { authority } = core.decisions;
  const pinned = toPinned({ authority, repository: decision.repository }, decision.digest);
  return { service: spec.name, pinned, spec: text, because: signersOf(decision) };
}

/** `stack.remove` with `{name}`: its services, then its networks, secrets and configs. Volumes stay. */
function remove(stacks: StackDeployer): ActionHandler {
  return async ({ environment, user }, body) => {
    const { name } = readBody(body, namedSchema, "the removal");
    return stacks.remove({ environment, stack: name, user });
  };
}
