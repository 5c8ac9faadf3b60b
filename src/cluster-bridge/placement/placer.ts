import { createHash } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { LRUCache } from "lru-cache";
import type { PolicyDocument } from "../../trust/policy-document.ts";
import type { Engines } from "../engines.ts";
import { BridgeError } from "../errors.ts";
import type { PolicyKeeper } from "../policy-keeper.ts";
import type { RegistryClient } from "../registry-client.ts";
import type { ServiceSpec } from "../service-spec.ts";
import type { Cluster } from "./cluster.ts";
import { readCluster } from "./cluster-reader.ts";
import { readPlatforms } from "./image-platforms.ts";
import { type Need, type Platform, toNeed } from "./need.ts";
import { type Placement, place } from "./placement.ts";
import { readUserns, writeUserns } from "./userns.ts";

export interface PlacerDeps {
  readonly engines: Pick<Engines, "manager" | "find" | "refresh">;
  readonly policy: Pick<PolicyKeeper, "fetch">;
  readonly registry: Pick<RegistryClient, "find">;
  /** What image names begin with. */
  readonly authority: string;
  /** How long a node may be unknown until that is a reason to refuse; default: 20 s. */
  readonly unknownMs?: number;
}

export interface PlaceAsk {
  readonly spec: ServiceSpec;
  readonly environment: string;
  /** `host:port/org/app@sha256:…` */
  readonly pinned: string;
  /** See {@link PolicyKeeper.fetch}. */
  readonly sinceMs?: number | undefined;
  /** Of the deployment: lots are drawn by it where the specification has no seed. */
  readonly id: string;
  /** Id of the service that it updates. */
  readonly serviceId: string | undefined;
}

export interface Placed extends Placement {
  /** What nodes must carry for it; to be called before the engine hears of the service. */
  readonly prepare: () => Promise<void>;
}

/**
 * A new leader of the managers takes every node for unknown until it reports again, for which engines wait up to eight seconds
 * after each failure.
 * @see swarmkit manager/dispatcher, markNodesUnknown; agent, maxSessionFailureBackoff
 */
const UNKNOWN_MS = 20_000;
const AGAIN_MS = 250;

/** Looks at the cluster as it is now, and says where a service goes. Changes nothing. */
export class Placer {
  readonly #deps: PlacerDeps;
  /** By pinned image. */
  readonly #known = new LRUCache<string, readonly Platform[]>({ max: 1000 });

  constructor(deps: PlacerDeps) {
    this.#deps = deps;
  }

  /** @throws BridgeError PLACEMENT, POLICY, ENGINE, SILENT, REGISTRY */
  async place(ask: PlaceAsk): Promise<Placed> {
    const { engines, policy, unknownMs = UNKNOWN_MS } = this.#deps;
    const { spec, environment } = ask;
    const [{ document }, first, platforms] = await Promise.all([
      policy.fetch(ask.sinceMs),
      readCluster(engines.manager()),
      this.#platforms(ask.pinned),
    ]);
    const need = toNeed(spec, rulesOf(document, environment), { environment, platforms });
    const endsMs = performance.now() + unknownMs;
    for (let cluster = first; ; cluster = await readCluster(engines.manager())) {
      try {
        return await this.#placeIn(cluster, need, ask);
      } catch (error) {
        if (!mayPass(error, cluster) || performance.now() > endsMs) throw error;
      }
      // A bridge that stops is not held up.
      await delay(AGAIN_MS, undefined, { ref: false });
    }
  }

  async #placeIn(cluster: Cluster, need: Need, { spec, id, serviceId }: PlaceAsk): Promise<Placed> {
    const { engines } = this.#deps;
    const states = need.usernsOnly ? await readUserns(engines, cluster.nodes) : new Map<string, boolean>();
    const withUserns = new Set([...states].flatMap(([node, isOn]) => (isOn === true ? [node] : [])));
    // With start-first the old tasks keep what they have until the new ones run.
    const replaces = spec.update.order === "stop-first" ? serviceId : undefined;
    const placement = place(spec, need, { ...cluster, withUserns, replaces }, spec.seed ?? seedOf(id));
    return { ...placement, prepare: () => writeUserns(engines.manager(), cluster.nodes, states) };
  }

  /** What a digest says never changes; what nobody could say may be said another time. */
  async #platforms(pinned: string): Promise<readonly Platform[]> {
    const known = this.#known.get(pinned);
    if (known !== undefined) return known;
    const platforms = await readPlatforms(this.#deps.registry, pinned, this.#deps.authority);
    if (platforms.length > 0) this.#known.set(pinned, platforms);
    return platforms;
  }
}

/** Refused only because managers that have a new leader have not heard of a node yet. */
function mayPass(error: unknown, { nodes }: Cluster): boolean {
  return error instanceof BridgeError && error.code === "PLACEMENT" && nodes.some(({ away }) => away === "unknown");
}

function rulesOf({ environments }: PolicyDocument, name: string) {
  const environment = environments.get(name);
  if (environment === undefined) throw new BridgeError("POLICY", `the policy has no environment ${name}`);
  return environment.placement;
}

/** 32 bits. */
function seedOf(id: string): number {
  return createHash("sha256").update(id).digest().readUInt32BE(0);
}
