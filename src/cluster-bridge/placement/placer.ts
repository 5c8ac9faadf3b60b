import { createHash } from "node:crypto";
import { LRUCache } from "lru-cache";
import type { PolicyDocument } from "../../trust/policy-document.ts";
import type { Engines } from "../engines.ts";
import { BridgeError } from "../errors.ts";
import type { PolicyKeeper } from "../policy-keeper.ts";
import type { RegistryClient } from "../registry-client.ts";
import type { ServiceSpec } from "../service-spec.ts";
import { readCluster } from "./cluster-reader.ts";
import { readPlatforms } from "./image-platforms.ts";
import { type Platform, toNeed } from "./need.ts";
import { type Placement, place } from "./placement.ts";
import { readUserns, writeUserns } from "./userns.ts";

export interface PlacerDeps {
  readonly engines: Pick<Engines, "manager" | "find" | "refresh">;
  readonly policy: Pick<PolicyKeeper, "fetch">;
  readonly registry: Pick<RegistryClient, "find">;
  /** What image names begin with. */
  readonly authority: string;
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

/** Looks at the cluster as it is now, and says where a service goes. Changes nothing. */
export class Placer {
  readonly #deps: PlacerDeps;
  /** By pinned image. */
  readonly #known = new LRUCache<string, readonly Platform[]>({ max: 1000 });

  constructor(deps: PlacerDeps) {
    this.#deps = deps;
  }

  /** @throws BridgeError PLACEMENT, POLICY, ENGINE, SILENT, REGISTRY */
  async place({ spec, environment, pinned, sinceMs, id, serviceId }: PlaceAsk): Promise<Placed> {
    const { engines, policy } = this.#deps;
    const manager = engines.manager();
    const [{ document }, cluster, platforms] = await Promise.all([
      policy.fetch(sinceMs),
      readCluster(manager),
      this.#platforms(pinned),
    ]);
    const rules = rulesOf(document, environment);
    const need = toNeed(spec, rules, { environment, platforms });
    const states = rules.usernsOnly ? await readUserns(engines, cluster.nodes) : new Map<string, boolean>();
    const withUserns = new Set([...states].flatMap(([node, isOn]) => (isOn === true ? [node] : [])));
    // With start-first the old tasks keep what they have until the new ones run.
    const replaces = spec.update.order === "stop-first" ? serviceId : undefined;
    const placement = place(spec, need, { ...cluster, withUserns, replaces }, spec.seed ?? seedOf(id));
    return { ...placement, prepare: () => writeUserns(manager, cluster.nodes, states) };
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

function rulesOf({ environments }: PolicyDocument, name: string) {
  const environment = environments.get(name);
  if (environment === undefined) throw new BridgeError("POLICY", `the policy has no environment ${name}`);
  return environment.placement;
}

/** 32 bits. */
function seedOf(id: string): number {
  return createHash("sha256").update(id).digest().readUInt32BE(0);
}
