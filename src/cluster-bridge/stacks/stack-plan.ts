import { z } from "zod";
import type { JsonObject } from "../../oci/json.ts";
import { BridgeError } from "../errors.ts";
import { parseServiceSpec, type ServiceSpec } from "../service-spec.ts";
import type { ContentNames } from "./content-names.ts";
import type { StackService, StackSpec } from "./stack-spec.ts";

/** Kinds of things that a stack has besides services, in the order in which they are made. */
export const PART_KINDS = ["secrets", "configs", "networks"] as const;
export type PartKind = (typeof PART_KINDS)[number];

/** Something of the stack's own, as the engine is told; what a secret or config holds stands elsewhere. */
export interface Part {
  readonly kind: PartKind;
  readonly name: string;
  /** Without the labels that the bridge adds. */
  readonly labels: Readonly<Record<string, string>>;
  /** Of a network: what the engine is told of it. */
  readonly settings: JsonObject;
  /** Of a secret or config: what it holds is known again by it. */
  readonly hash: string | undefined;
}

export interface PlannedService {
  /** With the names that things have in the cluster. */
  readonly spec: ServiceSpec;
  /** Its bytes, as text. */
  readonly text: string;
}

export interface StackPlan {
  readonly name: string;
  readonly prune: boolean;
  readonly services: readonly PlannedService[];
  readonly parts: readonly Part[];
  /** By {@link contentKey}. */
  readonly contents: ReadonlyMap<string, Uint8Array>;
  /** Names that must be there already. */
  readonly external: Readonly<Record<PartKind, readonly string[]>>;
}

export const contentKey = ({ kind, name }: Pick<Part, "kind" | "name">): string => `${kind}/${name}`;

/**
 * The stack with the names that everything has in the cluster.
 * @throws BridgeError SPEC with everything that is wrong
 */
export function planStack(stack: StackSpec, names: ContentNames): StackPlan {
  const naming = new Naming(stack, names);
  const faults: string[] = [];
  const services = Object.entries(stack.services).flatMap(([key, service]) => {
    try {
      return [naming.planService(key, service)];
    } catch (error) {
      if (!(error instanceof BridgeError)) throw error;
      faults.push(`${key}: ${error.message}`);
      return [];
    }
  });
  if (faults.length > 0) throw new BridgeError("SPEC", faults.join("; "));
  const { name, prune } = stack;
  return { name, prune, services, parts: naming.parts, contents: naming.contents, external: naming.external };
}

/** People name things, and may name one `constructor`. */
const own = <T>(record: Readonly<Record<string, T>>, name: string): T | undefined =>
  Object.hasOwn(record, name) ? record[name] : undefined;

class Naming {
  readonly parts: Part[] = [];
  readonly contents = new Map<string, Uint8Array>();
  readonly external: Record<PartKind, string[]> = { networks: [], secrets: [], configs: [] };
  readonly #stack: StackSpec;
  /** Names in the cluster, by kind and key. */
  readonly #names = new Map<string, string>();

  constructor(stack: StackSpec, hashes: ContentNames) {
    this.#stack = stack;
    for (const [key, entry] of Object.entries(stack.networks)) {
      if ("external" in entry) this.#addExternal("networks", key, entry.external);
      else this.#addOwn(key, toNetwork(this.#nameOf(key, entry.name), entry));
    }
    for (const kind of ["secrets", "configs"] as const) {
      for (const [key, entry] of Object.entries(stack[kind])) {
        if ("external" in entry) this.#addExternal(kind, key, entry.external);
        else this.#addContent(kind, key, entry, hashes);
      }
    }
  }

  /** @throws BridgeError SPEC */
  planService(key: string, service: StackService): PlannedService {
    const { networks = [], secrets = [], configs = [], mounts = [] } = service;
    const spec = {
      ...service,
      name: `${this.#stack.name}_${key}`,
      networks: networks.map((network) => this.#refer("networks", network)),
      networkAliases: this.#aliases(key, service),
      secrets: secrets.map((one) => this.#mounted("secrets", one)),
      configs: configs.map((one) => this.#mounted("configs", one)),
      mounts: mounts.map((mount) => this.#mount(mount)),
    };
    const text = JSON.stringify(spec);
    return { spec: parseServiceSpec(Buffer.from(text)), text };
  }

  /** Every service is found by its short name too, in every network of its own; the node's network knows no names. */
  #aliases(key: string, { networks = [], networkAliases = {} }: StackService): Record<string, string[]> {
    const strange = Object.keys(networkAliases).filter((network) => !networks.includes(network));
    if (strange.length > 0) throw new BridgeError("SPEC", `networkAliases: it is not on ${strange.join(", ")}`);
    const named = networks.map(
      (network) => [this.#refer("networks", network), [...(own(networkAliases, network) ?? []), key]] as const,
    );
    return Object.fromEntries(
      named.filter(([network]) => network !== "host").map(([network, all]) => [network, [...new Set(all)]]),
    );
  }

  #mounted(kind: "secrets" | "configs", one: Mounted): Mounted {
    return { ...one, source: this.#refer(kind, one.source), target: one.target ?? one.source };
  }

  #mount(mount: Mount): Mount {
    if (mount.type !== "volume" || mount.source === undefined) return mount;
    const entry = own(this.#stack.volumes, mount.source);
    if (entry === undefined) throw new BridgeError("SPEC", `the stack has no ${mount.source} under volumes`);
    if ("external" in entry) return { ...mount, source: entry.external };
    const { driver, labels } = entry;
    return {
      ...mount,
      source: this.#nameOf(mount.source, entry.name),
      labels,
      ...(driver === undefined ? {} : { driver }),
    };
  }

  #refer(kind: PartKind, key: string): string {
    const name = this.#names.get(`${kind}/${key}`);
    if (name === undefined) throw new BridgeError("SPEC", `the stack has no ${key} under ${kind}`);
    return name;
  }

  #nameOf(key: string, name: string | undefined): string {
    return name ?? `${this.#stack.name}_${key}`;
  }

  #addExternal(kind: PartKind, key: string, name: string): void {
    this.#names.set(`${kind}/${key}`, name);
    this.external[kind].push(name);
  }

  /** @throws BridgeError SPEC where two would be one thing in the cluster */
  #addOwn(key: string, part: Part): void {
    const { kind, name } = part;
    if (this.parts.some((one) => one.kind === kind && one.name === name))
      throw new BridgeError("SPEC", `the stack has two ${kind} named ${name}: give one of them another name`);
    this.#names.set(`${part.kind}/${key}`, part.name);
    this.parts.push(part);
  }

  #addContent(kind: "secrets" | "configs", key: string, entry: OwnContent, hashes: ContentNames): void {
    const data = Buffer.from(entry.data, "base64");
    const hash = hashes.hashOf(kind, data);
    // Whoever gives a name means that one; it cannot hold anything else later.
    const name = entry.name ?? `${this.#nameOf(key, undefined)}_${hash}`;
    const part = { kind, name, labels: entry.labels, settings: {}, hash };
    this.contents.set(contentKey(part), data);
    this.#addOwn(key, part);
  }
}

type Mounted = NonNullable<StackService["secrets"]>[number];
type Mount = NonNullable<StackService["mounts"]>[number];
type OwnContent = Exclude<StackSpec["secrets"][string], { readonly external: string }>;
type OwnNetwork = Exclude<StackSpec["networks"][string], { readonly external: string }>;

function toNetwork(name: string, { driverOptions, attachable, internal, labels, subnets }: OwnNetwork): Part {
  const settings = {
    Driver: "overlay",
    Options: Object.fromEntries(Object.entries(driverOptions).filter(([, value]) => value !== undefined)),
    Attachable: attachable,
    Internal: internal,
    Subnets: subnets,
  };
  return { kind: "networks", name, labels, settings, hash: undefined };
}

/** A plan as the journal has it; what secrets and configs hold never stands there. */
export const partSchema = z.object({
  kind: z.enum(PART_KINDS),
  name: z.string(),
  labels: z.record(z.string(), z.string()),
  settings: z.record(z.string(), z.json()),
  hash: z.string().optional(),
});
