import { isJsonObject, type JsonObject } from "../oci/json.ts";

/** A task as a manager holds it. */
export interface HeldTask {
  readonly id: string;
  /** The replica that it is, or the node where there is one on each: what takes its place has the same. */
  readonly slot: string;
  readonly state: string;
  /** What the Swarm wants it to be: `running`; `ready` until it may start; `shutdown` where it is past. */
  readonly desired: string;
  readonly error: string;
  /** The service's `TaskTemplate` as it was when the task was made. */
  readonly spec: JsonObject;
  readonly container: JsonObject;
}

/** What a task can be, in this order, until it runs. @see Docker Engine API 1.41, TaskState */
const STEPS: readonly string[] = [
  ...["new", "allocated", "pending", "assigned", "accepted", "preparing", "ready", "starting", "running"],
];
const ENDS: readonly string[] = ["complete", "failed", "rejected"];

/** How far on its way to `running` it is; less than 0: it is over. */
export const stepOf = ({ state }: HeldTask): number => STEPS.indexOf(state);

/** Whether it ended by itself, and not because somebody wanted it to. */
export const hasEnded = ({ state, desired }: HeldTask): boolean => ENDS.includes(state) && desired !== "remove";

export function toTask({ ID, Slot, Status, Spec, NodeID, DesiredState }: JsonObject): HeldTask {
  const status = isJsonObject(Status) ? Status : {};
  const spec = isJsonObject(Spec) ? Spec : {};
  return {
    ...{ id: String(ID ?? ""), slot: String(Slot || NodeID || "") },
    ...{ state: String(status.State ?? ""), desired: String(DesiredState ?? ""), error: String(status.Err ?? "") },
    ...{ spec, container: isJsonObject(spec.ContainerSpec) ? spec.ContainerSpec : {} },
  };
}
