import { isDeepStrictEqual } from "node:util";
import { isJsonObject, type Json, type JsonObject } from "../oci/json.ts";
import type { EngineClient } from "./engine-client.ts";
import type { Engines } from "./engines.ts";
import { BridgeError } from "./errors.ts";
import { type HeldTask, toTask } from "./held-task.ts";
import { ENVIRONMENT_LABEL } from "./managed-service.ts";
import type { ClusterIds } from "./service-definition.ts";
import type { ServiceSpec } from "./service-spec.ts";

/** A service as the engine holds it. */
export interface HeldService {
  readonly id: string;
  /** Must be named by whoever changes it. */
  readonly version: number;
  readonly spec: JsonObject;
  /** `updating`, `completed`, `paused`, …; undefined: never updated. */
  readonly updateState: string | undefined;
  readonly updateMessage: string;
}

/** Below these an encrypted overlay may be plain (CVE-2023-28840 to 28842, hardening C08). */
const FLOORS: readonly (readonly [number, number, number])[] = [
  [20, 10, 24],
  [23, 0, 3],
];

/** The calls to a manager that change or show services. */
export class Swarm {
  readonly #engines: Pick<Engines, "manager">;

  constructor(engines: Pick<Engines, "manager">) {
    this.#engines = engines;
  }

  get #engine(): EngineClient {
    return this.#engines.manager();
  }

  /** @throws BridgeError ENGINE for an engine that is too old, or no manager */
  async requireManager(): Promise<void> {
    const version = String((await this.#engine.getObject("/version")).Version ?? "");
    if (!isRecent(version))
      throw new BridgeError("ENGINE", `engine ${version} is too old: 20.10.24 or 23.0.3 at least`);
    await this.#engine.getObject("/swarm");
  }

  /** By its exact name: the engine would also take the beginning of an id for one. */
  async findService(name: string): Promise<HeldService | undefined> {
    const services = await this.#engine.list(`/services?filters=${filters({ name: [name] })}`);
    const found = services.find(({ Spec }) => isJsonObject(Spec) && Spec.Name === name);
    return found && toService(found);
  }

  async services(): Promise<HeldService[]> {
    return (await this.#engine.list("/services")).map(toService);
  }

  /** @param auth what nodes shall pull with (`X-Registry-Auth`) */
  async create(definition: Uint8Array, auth?: string): Promise<void> {
    await this.#engine.call("POST", "/services/create", { body: definition, headers: toHeaders(auth) });
  }

  /**
   * Without `auth` nodes go on with what they had. The managers note in the service how its last update goes, which makes another
   * version of it too: that stands in nobody's way.
   * @throws BridgeError ENGINE also when somebody else changed it meanwhile
   */
  async update(held: HeldService, definition: Uint8Array, auth?: string): Promise<void> {
    const options = { body: definition, headers: toHeaders(auth) };
    for (let { version } = held; ; ) {
      const refused = await this.#engine.call("POST", `/services/${held.id}/update?version=${version}`, options).then(
        () => undefined,
        (error: unknown) => error,
      );
      if (refused === undefined) return;
      const next = isOutOfSequence(refused) ? await this.#findVersion(held) : undefined;
      if (next === undefined || next === version) throw refused;
      version = next;
    }
  }

  /** Undefined: its specification is another one now, or it is gone. */
  async #findVersion({ id, spec }: HeldService): Promise<number | undefined> {
    const now = (await this.services()).find((service) => service.id === id);
    return now !== undefined && isDeepStrictEqual(now.spec, spec) ? now.version : undefined;
  }

  /**
   * What a manager is given when it asks for an image, as a node would: a node that may not pull says only that there is no
   * such image, and tries for ever.
   * @throws BridgeError REGISTRY with what the registry told it; ENGINE
   */
  async requirePullable(pinned: string, auth?: string): Promise<void> {
    const options = { headers: toHeaders(auth), expected: [400, 401, 403, 404, 500] };
    const { status, body } = await this.#engine.call("GET", `/distribution/${pinned}/json`, options);
    const { message, Descriptor } = isJsonObject(body) ? body : {};
    if (status !== 200) {
      const why = String(message ?? "").slice(0, 500);
      throw new BridgeError("REGISTRY", `the cluster cannot pull ${pinned}: ${why} (${status})`);
    }
    const digest = isJsonObject(Descriptor) ? Descriptor.digest : undefined;
    if (typeof digest !== "string" || !pinned.endsWith(`@${digest}`))
      throw new BridgeError("REGISTRY", `the cluster would pull ${String(digest).slice(0, 100)} as ${pinned}`);
  }

  async remove(id: string): Promise<void> {
    await this.#engine.call("DELETE", `/services/${id}`, { expected: [404] });
  }

  /** Those that shall run, newest first or not. */
  async tasks(id: string): Promise<HeldTask[]> {
    const tasks = await this.#engine.list(`/tasks?filters=${filters({ service: [id], "desired-state": ["running"] })}`);
    return tasks.map(toTask);
  }

  /** Also those that are past, as far as the engine keeps them: five for every replica, by default. */
  async allTasks(id: string): Promise<HeldTask[]> {
    return (await this.#engine.list(`/tasks?filters=${filters({ service: [id] })}`)).map(toTask);
  }

  /**
   * What other environments made is theirs: rights in one must not reach into another by a name. What the bridge did not make is
   * anybody's.
   * @throws BridgeError SPEC for a name that is there not once, or is another environment's
   */
  async resolveIds(spec: ServiceSpec, environment: string): Promise<ClusterIds> {
    const [networks, secrets, configs] = await Promise.all([
      spec.networks.length === 0 ? [] : this.#engine.list("/networks"),
      spec.secrets.length === 0 ? [] : this.#engine.list("/secrets"),
      spec.configs.length === 0 ? [] : this.#engine.list("/configs"),
    ]);
    const usable = networks.filter(({ Scope, Name }) => Scope === "swarm" || Name === "host");
    const toThing = ({ ID, Spec }: JsonObject): Thing => toNamed(ID, isJsonObject(Spec) ? Spec : {});
    const sourcesOf = (mounted: ServiceSpec["secrets"]): string[] => mounted.map(({ source }) => source);
    return {
      networks: pick(
        { what: "network", names: spec.networks, environment },
        usable.map((network) => toNamed(network.Id, network)),
      ),
      secrets: pick({ what: "secret", names: sourcesOf(spec.secrets), environment }, secrets.map(toThing)),
      configs: pick({ what: "config", names: sourcesOf(spec.configs), environment }, configs.map(toThing)),
    };
  }
}

/** Nothing was done: the version that was named is not the service's. */
const isOutOfSequence = (error: unknown): boolean =>
  error instanceof BridgeError && /out of sequence/.test(error.message);

const toHeaders = (auth: string | undefined) => (auth === undefined ? {} : { "x-registry-auth": auth });

interface Thing {
  readonly id: Json | undefined;
  readonly name: Json | undefined;
  /** That made it; undefined: the bridge did not. */
  readonly owner: Json | undefined;
}

const toNamed = (id: Json | undefined, { Name, Labels }: JsonObject): Thing => {
  const owner = isJsonObject(Labels) ? Labels[ENVIRONMENT_LABEL] : undefined;
  return { id, name: Name, owner };
};

interface Wanted {
  readonly what: string;
  readonly names: readonly string[];
  readonly environment: string;
}

function pick({ what, names, environment }: Wanted, things: readonly Thing[]): Map<string, string> {
  return new Map(
    names.map((name) => {
      const [found, another] = things.filter((one) => one.name === name);
      if (typeof found?.id !== "string" || another !== undefined)
        throw new BridgeError(
          "SPEC",
          `the cluster has ${found === undefined ? "no" : "more than one"} ${what} ${name}`,
        );
      const { id, owner } = found;
      if (owner === undefined || owner === environment) return [name, id];
      throw new BridgeError("SPEC", `the ${what} ${name} belongs to ${owner}`);
    }),
  );
}

const filters = (value: Readonly<Record<string, readonly string[]>>): string =>
  encodeURIComponent(JSON.stringify(value));

/** Whether an engine of this version encrypts what it says it encrypts. */
export function isRecent(version: string): boolean {
  const [major = 0, minor = 0, patch = 0] = version.split(/[.+~-]/).map(Number);
  const floor = FLOORS.find(([first]) => first === major);
  if (floor === undefined) return major > 23;
  return minor > floor[1] || (minor === floor[1] && patch >= floor[2]);
}

export function toService({ ID, Version, Spec, UpdateStatus }: JsonObject): HeldService {
  const index = isJsonObject(Version) ? Version.Index : undefined;
  if (typeof ID !== "string" || typeof index !== "number" || !isJsonObject(Spec))
    throw new BridgeError("ENGINE", "the engine shows a service that is none");
  const status = isJsonObject(UpdateStatus) ? UpdateStatus : {};
  return {
    ...{ id: ID, version: index, spec: Spec },
    updateState: typeof status.State === "string" && status.State !== "" ? status.State : undefined,
    updateMessage: String(status.Message ?? ""),
  };
}
