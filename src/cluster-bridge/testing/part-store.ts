/** Networks, secrets and configs of a simulated engine. */
import { randomBytes } from "node:crypto";

export interface SimulatedPart {
  readonly kind: string;
  readonly id: string;
  /** As it was made. */
  readonly body: { readonly Name: string; readonly Labels?: Record<string, string>; readonly [name: string]: unknown };
}

type Answer = [number, unknown];

export class PartStore {
  readonly parts: SimulatedPart[] = [];
  /** Names of those that something uses: they cannot be removed. */
  readonly used = new Set<string>();
  /** So often an engine still shows what it has agreed to remove. */
  lingers = 0;

  reset(): void {
    this.parts.length = 0;
    this.used.clear();
    this.lingers = 0;
  }

  /** `networks shop_front`, sorted. */
  get names(): string[] {
    return this.parts.map(({ kind, body }) => `${kind} ${body.Name}`).toSorted();
  }

  find(name: string): SimulatedPart | undefined {
    return this.parts.find(({ body }) => body.Name === name);
  }

  /** Undefined: another's to answer. */
  act(method: string, path: string, body: SimulatedPart["body"]): Answer | undefined {
    const [, kind = "", rest] = /^\/(networks|secrets|configs)(?:\/(.+))?$/.exec(path) ?? [];
    if (kind === "") return undefined;
    if (method === "GET" && rest === undefined) return [200, this.parts.filter((part) => part.kind === kind).map(show)];
    if (method === "POST" && rest === "create") return this.#create(kind, body);
    const at = this.parts.findIndex(({ id }) => id === rest);
    const part = this.parts[at];
    if (method !== "DELETE" || part === undefined) return [404, { message: "not found" }];
    if (this.used.has(part.body.Name)) return [400, { message: `${part.body.Name} is in use` }];
    if (this.lingers-- <= 0) this.parts.splice(at, 1);
    return [204, {}];
  }

  #create(kind: string, body: SimulatedPart["body"]): Answer {
    if (this.parts.some((part) => part.kind === kind && part.body.Name === body.Name))
      return [409, { message: `${body.Name} exists` }];
    const id = randomBytes(12).toString("hex");
    this.parts.push({ kind, id, body });
    return [201, { ID: id, Id: id }];
  }
}

/** What a secret holds is never shown. */
function show({ kind, id, body: { Data: _, ...body } }: SimulatedPart): object {
  if (kind !== "networks") return { ID: id, Spec: body };
  const { IPAM = { Config: [{ Subnet: "10.0.9.0/24" }] }, Options, ...network } = body;
  const options = { "com.docker.network.driver.overlay.vxlanid_list": "4097", ...(Options as object) };
  return { ...network, Id: id, Scope: "swarm", IPAM, Options: options };
}
