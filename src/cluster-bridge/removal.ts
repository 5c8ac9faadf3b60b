import type { Outcome } from "./actions.ts";
import type { Removal } from "./deployment-records.ts";
import { BridgeError, toRefusal } from "./errors.ts";
import type { PassPoint } from "./failpoint.ts";
import type { Journal } from "./journal.ts";
import { ENVIRONMENT_LABEL, labelsOf, requireOwn } from "./managed-service.ts";
import type { Swarm } from "./swarm.ts";

export interface RemovalDeps {
  readonly swarm: Pick<Swarm, "findService" | "remove">;
  readonly journal: Journal;
  readonly failpoint: PassPoint;
}

/** @throws BridgeError MISSING, SPEC, SILENT */
export async function beginRemoval(deps: RemovalDeps, removal: Removal): Promise<Outcome> {
  const held = await deps.swarm.findService(removal.service);
  if (held === undefined) throw new BridgeError("MISSING", `there is no service ${removal.service}`);
  requireOwn(held, removal);
  await deps.journal.append({ event: "remove", ...removal });
  deps.failpoint("bridge.afterIntent");
  return finishRemoval(deps, removal);
}

/** Also after a start: a service that is gone was removed. @throws BridgeError SILENT */
export async function finishRemoval({ swarm, journal, failpoint }: RemovalDeps, removal: Removal): Promise<Outcome> {
  const { id, environment, service } = removal;
  try {
    const held = await swarm.findService(service);
    if (held !== undefined && labelsOf(held)[ENVIRONMENT_LABEL] === environment) await swarm.remove(held.id);
  } catch (error) {
    const refusal = toRefusal(error);
    if (refusal.code === "SILENT") throw error;
    await journal.append({ event: "abandoned", id, reason: refusal.reason });
    return refusal;
  }
  failpoint("bridge.afterDockerCall");
  await journal.append({ event: "removed", id, environment, service });
  return { kind: "done", removed: service };
}
