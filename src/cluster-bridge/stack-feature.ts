import { randomUUID } from "node:crypto";
import { z } from "zod";
import { describeError } from "../http/log.ts";
import type { ActionHandler, Ordered } from "./actions.ts";
import type { Core } from "./core.ts";
import { BridgeError, type Refusal, toRefusal } from "./errors.ts";
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
const REMOVAL_MS = 30_000;

const namedSchema = z.strictObject({ name: stackName });

/** Stacks: several services, networks, secrets and configs by one order. */
export const openStacks: OpenFeature = async (core) => {
  const { swarm, deployer, journal, resolve, failpoint, log } = core;
  const parts = new StackParts(core.engines);
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
    const { environment, user, breakGlass, cameMs } = order;
    if (breakGlass !== undefined) throw new BridgeError("ORDER", "breaking glass is for one service: service.deploy");
    const plan = planStack(readBody(body, stackSchema, "the stack"), names);
    await requireEach(plan.services, ({ spec }) => requireWithin(spec, order.rules.specLimits, environment));
    const judged = await requireEach(plan.services, (service) => judge(core, service, order));
    const members = judged.map(({ member }) => member);
    await requireEach(judged, ({ member, spec }) =>
      core.deployer.requirePlace({ ...member, environment, user, stack: plan.name, parsed: spec, cameMs }),
    );
    core.failpoint("bridge.afterVerify");

    return stacks.deploy({ environment, stack: plan.name, user, members, plan }, tell);
  };
}

/** What holds of all of them. @throws BridgeError with what is wrong with each, and the first one's code */
async function requireEach<T extends Pick<PlannedService, "spec">, R>(
  services: readonly T[],
  look: (service: T) => R | Promise<R>,
): Promise<R[]> {
  const faults: Refusal[] = [];
  const results = services.map(async (service) => {
    try {
      return [await look(service)];
    } catch (error) {
      const refusal = toRefusal(error);
      faults.push({ ...refusal, reason: `${service.spec.name}: ${refusal.reason}` });
      return [];
    }
  });
  const found = (await Promise.all(results)).flat();
  const [first] = faults;
  if (first === undefined) return found;
  throw new BridgeError(
    first.code,
    faults
      .map(({ reason }) => reason)
      .toSorted()
      .join("; "),
  );
}

/** @throws BridgeError for what may not run */
async function judge(core: Core, { spec, text }: PlannedService, { environment, cameMs }: Ordered) {
  const ranBefore = core.ledger.hasRun({ environment, service: spec.name, pinned: spec.image });
  const decision = await core.resolve(spec.image, environment, { sinceMs: cameMs, ranBefore });
  if (decision.kind === "refuse") throw new BridgeError(decision.code, decision.reason);
  const { authority } = core.decisions;
  const pinned = toPinned({ authority, repository: decision.repository }, decision.digest);
  const member: StackMember = { service: spec.name, pinned, spec: text, because: signersOf(decision) };
  return { spec, member };
}

/** `stack.remove` with `{name}`: its services, then its networks, secrets and configs. Volumes stay. */
function remove(stacks: StackDeployer): ActionHandler {
  return async ({ environment, user }, body) => {
    const { name } = readBody(body, namedSchema, "the removal");
    return stacks.remove({ environment, stack: name, user });
  };
}
