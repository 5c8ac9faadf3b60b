import { isJsonObject, type JsonObject } from "../../oci/json.ts";
import { readMadeNetwork, whyUnencrypted } from "../changes/network-rules.ts";
import type { Engines } from "../engines.ts";
import { STACK } from "../service-definition.ts";
import { contentKey, type Part, type PartKind } from "./stack-plan.ts";

/** Something that the cluster has. */
export interface HeldPart {
  readonly kind: PartKind;
  readonly id: string;
  readonly name: string;
  readonly labels: JsonObject;
  /** Of a network: what {@link Part} has there, as the engine shows it. */
  readonly settings: JsonObject;
}

export interface Owner {
  readonly environment: string;
  readonly stack: string;
}

export const [ENVIRONMENT, CONTENT] = ["goldseal.environment", "goldseal.content"] as const;

/** The calls to a manager about networks, secrets and configs. */
export class StackParts {
  readonly #engines: Pick<Engines, "manager">;

  constructor(engines: Pick<Engines, "manager">) {
    this.#engines = engines;
  }

  /** All that the cluster has, other people's too. @throws BridgeError ENGINE, SILENT */
  async list(): Promise<HeldPart[]> {
    const [networks, secrets, configs] = await Promise.all(
      ["/networks", "/secrets", "/configs"].map((path) => this.#engines.manager().list(path)),
    );
    return [
      ...(networks ?? []).filter(({ Scope, Name }) => Scope === "swarm" || Name === "host").map(toHeldNetwork),
      ...(secrets ?? []).map((entry) => toHeldContent("secrets", entry)),
      ...(configs ?? []).map((entry) => toHeldContent("configs", entry)),
    ];
  }

  /** Why the cluster would not encrypt a network; undefined: it would. @throws BridgeError ENGINE, SILENT */
  async whyUnencrypted(): Promise<string | undefined> {
    return whyUnencrypted(await this.#engines.manager().list("/nodes"));
  }

  /** @throws BridgeError ENGINE, SILENT */
  async create(part: Part, owner: Owner, contents: ReadonlyMap<string, Uint8Array>): Promise<void> {
    const { kind, name, hash } = part;
    const body = {
      Name: name,
      Labels: {
        ...part.labels,
        ...{ [STACK]: owner.stack, [ENVIRONMENT]: owner.environment },
        ...(hash === undefined ? {} : { [CONTENT]: hash }),
      },
      ...(kind === "networks" ? toNetworkBody(part.settings) : { Data: toBase64(contents.get(contentKey(part))) }),
    };
    await this.#engines.manager().call("POST", `/${kind}/create`, { body: Buffer.from(JSON.stringify(body)) });
  }

  /** What became of a network that was just made; undefined: it is not there. @throws BridgeError ENGINE, SILENT */
  async findMade({ name }: Part, { stack }: Owner): Promise<HeldPart | undefined> {
    const isIt = (one: JsonObject): boolean => one.Name === name && toHeldNetwork(one).labels[STACK] === stack;
    const made = await readMadeNetwork(this.#engines.manager(), isIt);
    return made && toHeldNetwork(made);
  }

  /** What is gone already is removed too. @throws BridgeError ENGINE while something uses it; SILENT */
  async remove({ kind, id }: HeldPart): Promise<void> {
    await this.#engines.manager().call("DELETE", `/${kind}/${id}`, { expected: [404] });
  }
}

const toBase64 = (data: Uint8Array = new Uint8Array()): string => Buffer.from(data).toString("base64");

function toNetworkBody({ Subnets, ...settings }: JsonObject): JsonObject {
  const subnets = Array.isArray(Subnets) ? Subnets : [];
  const ipam =
    subnets.length === 0 ? {} : { IPAM: { Driver: "default", Config: subnets.map((Subnet) => ({ Subnet })) } };
  return { CheckDuplicate: true, ...settings, ...ipam };
}

function toHeldNetwork({ Id, Name, Labels, Driver, Options, Attachable, Internal, IPAM }: JsonObject): HeldPart {
  const pools = isJsonObject(IPAM) && Array.isArray(IPAM.Config) ? IPAM.Config : [];
  const Subnets = pools.flatMap((pool) => (isJsonObject(pool) ? [pool.Subnet ?? ""] : []));
  const settings = { Driver, Options, Attachable, Internal, Subnets };
  return { kind: "networks", id: String(Id), name: String(Name), labels: isJsonObject(Labels) ? Labels : {}, settings };
}

function toHeldContent(kind: PartKind, { ID, Spec }: JsonObject): HeldPart {
  const { Name, Labels }: JsonObject = isJsonObject(Spec) ? Spec : {};
  return { kind, id: String(ID), name: String(Name), labels: isJsonObject(Labels) ? Labels : {}, settings: {} };
}
