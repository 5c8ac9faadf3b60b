/** Tasks of a service as a manager lists them, one step further each time it is asked for them. */

/** What becomes of an image's tasks, each time one was seen to run. */
export interface Crash {
  readonly error: string;
  /** How often; default: always. */
  readonly times?: number;
  /** Whether the engine starts no other one in its place. */
  readonly isLeft?: boolean;
}

export interface TaskSource {
  readonly serviceId: string;
  readonly version: number;
  readonly template: object;
  readonly replicas: number;
  readonly crash: Crash | undefined;
  /** How often its tasks were asked for. */
  readonly looks: number;
}

/** As many as an engine keeps that are past. */
const KEPT = 4;

export function tasksOf(source: TaskSource): object[] {
  return Array.from({ length: source.replicas }, (_, index) => slotOf(source, index + 1)).flat();
}

function slotOf(source: TaskSource, slot: number): object[] {
  const { crash, looks } = source;
  const { error = "", times = Number.POSITIVE_INFINITY, isLeft = false } = crash ?? { times: 0 };
  const ends = Math.min(looks, isLeft ? 1 : times);
  const past = Array.from({ length: ends }, (_, attempt) =>
    toTask(source, { slot, attempt, desired: "shutdown", status: { State: "failed", Err: error } }),
  ).slice(-KEPT);
  if (isLeft && ends > 0) return past;
  return [...past, toTask(source, { slot, attempt: ends, desired: "running", status: { State: "running" } })];
}

interface Attempt {
  readonly slot: number;
  readonly attempt: number;
  readonly desired: string;
  readonly status: object;
}

function toTask({ serviceId, version, template }: TaskSource, { slot, attempt, desired, status }: Attempt): object {
  const id = `${serviceId}-${version}-${slot}-${attempt}`;
  return {
    ...{ ID: id, Spec: template, ServiceID: serviceId, Slot: slot, NodeID: "node-1", DesiredState: desired },
    Status: { ...status, ContainerStatus: { ContainerID: id } },
  };
}
