import type { JsonObject } from "../oci/json.ts";
import { isJsonObject } from "../oci/json.ts";
import type { BridgeConfig, Endpoint } from "./bridge-config.ts";
import { EngineClient } from "./engine-client.ts";
import { EngineSocket } from "./engine-wire.ts";
import { ManagerWire } from "./manager-wire.ts";

/** What an engine says of itself. */
export interface EngineFacts {
  readonly nodeId: string;
  readonly hostname: string;
  readonly isManager: boolean;
}

export interface Engine {
  /** As the configuration has it: a hostname or a node's id; `engine` where only that names it. */
  readonly name: string;
  readonly client: EngineClient;
  /** What it said when it last answered {@link Engines.refresh}. */
  readonly facts: EngineFacts | undefined;
}

interface Known extends Engine {
  readonly socket: EngineSocket;
  facts: EngineFacts | undefined;
}

const INFO_MS = 5_000;

/** Every engine that the configuration names, and whichever of the managers is there. */
export class Engines {
  readonly #known: readonly Known[];
  readonly #manager: EngineClient;
  #asking: Promise<void> | undefined;

  private constructor(known: readonly Known[]) {
    this.#known = known;
    const managers = () => this.#known.filter(({ facts }, index) => index === 0 || facts?.isManager === true);
    const wire = new ManagerWire({
      managers: () => managers().map(({ socket }) => socket),
      lookForMore: () => this.refresh(),
    });
    this.#manager = new EngineClient(wire);
  }

  /** Asks none of them yet. @throws Error for a file of an endpoint that cannot be read */
  static async open({ engine, engines }: Pick<BridgeConfig, "engine" | "engines">): Promise<Engines> {
    const named = [...engines];
    const main = named.find(([, endpoint]) => isSame(endpoint, engine)) ?? (["engine", engine] as const);
    const others = named.filter((entry) => entry !== main);
    const open = async ([name, endpoint]: readonly [string, Endpoint]): Promise<Known> => {
      const socket = await EngineSocket.open(endpoint);
      return { name, socket, client: new EngineClient(socket), facts: undefined };
    };
    return new Engines(await Promise.all([main, ...others].map(open)));
  }

  /** By the name that the configuration gives it. */
  get(node: string): EngineClient | undefined {
    return this.#known.find(({ name }) => name === node)?.client;
  }

  /** All of them, the first is `engine`'s. */
  each(): readonly Engine[] {
    return this.#known;
  }

  /** The engine of a node of the cluster; the one that only `engine` names is known by what it says of itself. */
  find({ id, hostname }: { readonly id: string; readonly hostname: string }): Engine | undefined {
    const [main] = this.#known;
    const named = (wanted: string) => this.#known.find(({ name }) => name === wanted);
    return named(id) ?? named(hostname) ?? (main?.facts?.nodeId === id ? main : undefined);
  }

  /** A manager that is there: every call goes to another one when the last is gone. */
  manager(): EngineClient {
    return this.#manager;
  }

  /** No engine is waited for any more. */
  close(): void {
    for (const { socket } of this.#known) socket.close();
  }

  /** Asks all of them who they are; one that does not answer keeps what it said before. */
  refresh(): Promise<void> {
    this.#asking ??= this.#ask().finally(() => (this.#asking = undefined));
    return this.#asking;
  }

  async #ask(): Promise<void> {
    const ask = async (known: Known): Promise<void> => {
      const info = await known.client.getObject("/info", { timeoutMs: INFO_MS }).catch(() => undefined);
      if (info !== undefined) known.facts = toFacts(info);
    };
    await Promise.all(this.#known.map(ask));
  }
}

export function toFacts({ Swarm, Name }: JsonObject): EngineFacts {
  const swarm = isJsonObject(Swarm) ? Swarm : {};
  return {
    nodeId: String(swarm.NodeID ?? ""),
    hostname: String(Name ?? ""),
    isManager: swarm.ControlAvailable === true,
  };
}

function isSame(a: Endpoint, b: Endpoint): boolean {
  if (a.kind === "unix") return b.kind === "unix" && a.socket === b.socket;
  return b.kind === "tcp" && a.host === b.host && a.port === b.port;
}
