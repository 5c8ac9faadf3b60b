import { isJsonObject, type Json, type JsonObject } from "../oci/json.ts";
import type { HeldTask } from "./held-task.ts";
import { findDifference } from "./same-definition.ts";
import type { HeldService } from "./swarm.ts";

/** How far a service is. */
export interface Progress {
  readonly running: number;
  /** Undefined: on as many nodes as fit. */
  readonly wanted: number | undefined;
  /** Of the engine's update. */
  readonly state: string;
}

/** What one look at a service shows of what was sent. */
export interface Rollout {
  readonly progress: Progress;
  /** As many run as shall, all of what was sent; the engine may yet be about to change that. */
  readonly isAll: boolean;
  readonly update: Pick<HeldService, "updateState" | "updateMessage">;
  /** Of what was sent: also those that are past. */
  readonly own: readonly HeldTask[];
  /** Those that shall run and are of something else. */
  readonly others: number;
}

export function toRollout(sent: JsonObject, held: HeldService, tasks: readonly HeldTask[]): Rollout {
  const wanted = wantedOf(sent);
  const own = ownOf(sent, held, tasks);
  const present = tasks.filter(({ desired }) => desired === "running");
  const ready = own.filter(({ desired }) => desired === "running");
  const running = ready.filter(({ state }) => state === "running").length;
  return {
    progress: { running, wanted, state: held.updateState ?? "created" },
    isAll: running === present.length && (wanted === undefined ? running > 0 : running === wanted),
    ...{ update: held, own, others: present.length - ready.length },
  };
}

/**
 * As SwarmKit tells them from those that it will replace: whatever differs in a task's specification makes another task of it.
 * @see moby/swarmkit manager/orchestrator/task.go, IsTaskDirty
 */
function ownOf(sent: JsonObject, held: HeldService, tasks: readonly HeldTask[]): readonly HeldTask[] {
  const template = unplaced(held.spec.TaskTemplate);
  if (findDifference(unplaced(sent.TaskTemplate), template, "TaskTemplate") !== undefined) return [];
  return tasks.filter(({ spec }) => findDifference(template, unplaced(spec), "task") === undefined);
}

/** Where a node still fits, its task stays as it is. Of tasks the engine does not say that they are containers. */
function unplaced(template: Json | undefined): JsonObject {
  const { Placement: _, Runtime: __, ...rest } = isJsonObject(template) ? template : {};
  return rest;
}

function wantedOf({ Mode }: JsonObject): number | undefined {
  const replicated = isJsonObject(Mode) ? Mode.Replicated : undefined;
  const replicas = isJsonObject(replicated) ? replicated.Replicas : undefined;
  return typeof replicas === "number" ? replicas : undefined;
}
