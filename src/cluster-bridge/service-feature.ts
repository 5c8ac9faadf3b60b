import type { ActionHandler } from "./actions.ts";
import type { Core } from "./core.ts";
import type { OpenFeature } from "./feature.ts";
import { toPinned } from "./image-reference.ts";
import { parseServiceSpec } from "./service-spec.ts";
import { requireWithin } from "./spec-limits.ts";

/** Single services. */
export const openServices: OpenFeature = (core) => ({
  actions: { "service.deploy": deploy(core) },
  // What was begun before the bridge was killed.
  start: () => core.deployer.recover(),
});

/** `service.deploy` with the specification of a service: it is created, or updated. */
function deploy({ decisions, deployer, resolve, failpoint }: Core): ActionHandler {
  return async ({ environment, rules, user }, body, tell) => {
    const parsed = parseServiceSpec(body);
    requireWithin(parsed, rules.specLimits, environment);
    const decision = await resolve(parsed.image, environment);
    if (decision.kind === "refuse") return decision;
    failpoint("bridge.afterVerify");

    const { authority } = decisions;
    const pinned = toPinned({ authority, repository: decision.repository }, decision.digest);
    const because = decision.verdict.rows.flatMap(({ who }) => who).join(", ");
    const plan = { environment, service: parsed.name, pinned, spec: Buffer.from(body).toString(), user };
    return deployer.deploy({ ...plan, because, parsed }, tell);
  };
}
