import type { JsonObject } from "../oci/json.ts";
import type { Intent } from "./deployment-records.ts";
import { BridgeError } from "./errors.ts";
import type { PassPoint } from "./failpoint.ts";
import type { Journal } from "./journal.ts";
import type { Ledger } from "./ledger.ts";
import { ENVIRONMENT_LABEL, INTENT_LABEL } from "./managed-service.ts";
import type { PlaceAsk, Placed } from "./placement/placer.ts";
import type { PullKeeper } from "./pull-keeper.ts";
import { findDifference } from "./same-definition.ts";
import { toDefinition } from "./service-definition.ts";
import type { ServiceSpec } from "./service-spec.ts";
import type { HeldService, Swarm } from "./swarm.ts";

export interface ServiceWriterDeps {
  readonly swarm: Swarm;
  readonly journal: Journal;
  readonly ledger: Pick<Ledger, "environmentsOfVolume">;
  /** {@link Placer.place} of this bridge. */
  readonly place: (ask: PlaceAsk) => Promise<Placed>;
  readonly pulls: Pick<PullKeeper, "prepare" | "applied">;
  readonly failpoint: PassPoint;
}

/** What somebody wants a service to be. */
export interface Wish {
  readonly spec: ServiceSpec;
  /** See {@link PolicyKeeper.fetch}. */
  readonly sinceMs?: number | undefined;
}

/** What the engine is to be told of a service. */
export interface Composed {
  readonly definition: JsonObject;
  readonly placed: Placed;
}

/** What the engine is to be told, by the cluster as it is now; it hears nothing yet. @throws BridgeError PLACEMENT, SPEC */
export async function composeService(
  { swarm, place, ledger }: Pick<ServiceWriterDeps, "swarm" | "place" | "ledger">,
  { id, environment, pinned, stack }: Intent,
  { spec, sinceMs, held }: Wish & { readonly held: HeldService | undefined },
): Promise<Composed> {
  requireOwnVolumes(ledger, spec, environment);
  const [placed, ids] = await Promise.all([
    place({ id, environment, pinned, spec, sinceMs, serviceId: held?.id }),
    swarm.resolveIds(spec, environment),
  ]);
  const labels = { [ENVIRONMENT_LABEL]: environment, [INTENT_LABEL]: id };
  const volumeLabels = { [ENVIRONMENT_LABEL]: environment };
  const definition = toDefinition({ spec, pinned, labels, volumeLabels, ids, placement: placed.fields, stack });
  return { placed, definition };
}

/**
 * Volumes are made on a node when a task first names them, and stay there: whose one is says the journal alone, by who named it
 * to an engine. What several environments have named already is all of theirs.
 * @throws BridgeError SPEC, as for networks, secrets and configs of another environment
 */
export function requireOwnVolumes(ledger: ServiceWriterDeps["ledger"], spec: ServiceSpec, environment: string): void {
  for (const mount of spec.mounts) {
    if (mount.type !== "volume" || mount.source === undefined) continue;
    const owners = ledger.environmentsOfVolume(mount.source);
    if (owners.size === 0 || owners.has(environment)) continue;
    throw new BridgeError("SPEC", `the volume ${mount.source} belongs to ${[...owners].join(", ")}`);
  }
}

/** What the engine was told, and how what it holds then differs from it; undefined: in nothing. */
export interface Written extends Composed {
  readonly difference: string | undefined;
}

/**
 * Tells the engine, and looks at what it holds then. On record before and after.
 * @throws BridgeError PLACEMENT, SPEC, REGISTRY: it heard nothing; ENGINE, SILENT
 */
export async function writeService(
  deps: ServiceWriterDeps,
  intent: Intent,
  wish: Wish,
  held: HeldService | undefined,
): Promise<Written> {
  const { swarm, journal, pulls, failpoint } = deps;
  const { id, service } = intent;
  const composing = composeService(deps, intent, { ...wish, held });
  const auth = await pulls.prepare(intent, composing);
  const { definition, placed } = await composing;
  await placed.prepare();
  const body = Buffer.from(JSON.stringify(definition));
  await journal.append({ event: "sent", id, definition });
  if (held === undefined) await swarm.create(body, auth);
  else await swarm.update(held, body, auth);
  await pulls.applied(intent);
  failpoint("bridge.afterDockerCall");
  const now = await swarm.findService(service);
  const difference = now === undefined ? "the service is not there" : findDifference(definition, now.spec);
  failpoint("bridge.afterReread");
  await journal.append({ event: "applied", id, ...(difference === undefined ? {} : { difference }) });
  return { definition, placed, difference };
}
