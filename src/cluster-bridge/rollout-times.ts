import { isJsonObject, type Json, type JsonObject } from "../oci/json.ts";

/** What a service's definition says of time, in milliseconds. */
export interface RolloutTimes {
  /** How long a task must run to have come up. */
  readonly monitorMs: number;
  /** What lies, by what the definition says, between one task's start and the next one's at most. */
  readonly batchMs: number;
}

/** The engine's own, where nothing is said. */
const [MONITOR, STOP_GRACE, RESTART_DELAY, HEALTH_INTERVAL, HEALTH_TIMEOUT] = [5e9, 10e9, 5e9, 30e9, 30e9];
const HEALTH_RETRIES = 3;

/** The old one ends, the new one waits, starts, becomes healthy and is watched; then the update waits. */
export function timesOf({ TaskTemplate, UpdateConfig }: JsonObject): RolloutTimes {
  const [template, update] = [objectOf(TaskTemplate), objectOf(UpdateConfig)];
  const container = objectOf(template.ContainerSpec);
  const monitor = numberOf(update.Monitor, MONITOR);
  const stop = numberOf(container.StopGracePeriod, STOP_GRACE);
  const restart = numberOf(objectOf(template.RestartPolicy).Delay, RESTART_DELAY);
  const batch = stop + restart + healthOf(container.Healthcheck) + monitor + numberOf(update.Delay, 0);
  return { monitorMs: monitor / 1e6, batchMs: batch / 1e6 };
}

/** How long it may take until a task counts as healthy or not. */
function healthOf(check: Json | undefined): number {
  if (!isJsonObject(check)) return 0;
  const once = numberOf(check.Interval, HEALTH_INTERVAL) + numberOf(check.Timeout, HEALTH_TIMEOUT);
  return numberOf(check.StartPeriod, 0) + numberOf(check.Retries, HEALTH_RETRIES) * once;
}

const objectOf = (value: Json | undefined): JsonObject => (isJsonObject(value) ? value : {});

const numberOf = (value: Json | undefined, otherwise: number): number =>
  typeof value === "number" ? value : otherwise;
