import type { JsonObject } from "../../oci/json.ts";
import type { Outcome } from "../actions.ts";
import type { Deployer } from "../deployer.ts";
import type { Engines } from "../engines.ts";
import { BridgeError, isPassing } from "../errors.ts";
import type { Journal } from "../journal.ts";
import type { Deployment } from "../ledger.ts";
import type { HeldService, Swarm } from "../swarm.ts";
import type { SeenService } from "./lookout.ts";
import type { SeenContainer } from "./node-looks.ts";

interface About {
  /** The same for the same finding. */
  readonly key: string;
  readonly name: string;
  /** Why, a sentence. */
  readonly reason: string;
  /** What must not be acted on again and again; undefined: each time, at once. */
  readonly scope: string | undefined;
}

export interface ServiceReaction extends About {
  readonly kind: "service";
  readonly seen: SeenService;
  readonly ordered: Deployment | undefined;
  readonly action: "remove" | "freeze" | "thaw" | "replace" | "restore" | "scale-back";
}

export interface ContainerReaction extends About {
  readonly kind: "container";
  readonly seen: SeenContainer;
  /** With the image, too: the next task would be made of it again. */
  readonly action: "remove" | "remove-with-image";
}

export type Reaction = ServiceReaction | ContainerReaction;

export interface ReactionsDeps {
  readonly deployer: Pick<Deployer, "inTurn" | "restore" | "replace">;
  readonly swarm: Swarm;
  readonly engines: Engines;
  readonly journal: Pick<Journal, "append">;
}

/** What the bridge does without an order, because the policy says so. Each is a sentence of what came of it. */
export class Reactions {
  readonly #deps: ReactionsDeps;

  constructor(deps: ReactionsDeps) {
    this.#deps = deps;
  }

  /** @throws BridgeError SILENT, REGISTRY where nobody answered; ENGINE */
  act(reaction: Reaction): Promise<string> {
    return reaction.kind === "service" ? this.#onService(reaction) : this.#onContainer(reaction);
  }

  async #onService(reaction: ServiceReaction): Promise<string> {
    let said: string | undefined;
    const outcome = await this.#deps.deployer.inTurn(reaction.name, async () => {
      const held = await this.#deps.swarm.findService(reaction.name);
      // Somebody was faster: what is there now is looked at by itself.
      const isSame = held?.id === reaction.seen.id && JSON.stringify(held.spec) === JSON.stringify(reaction.seen.spec);
      const done = isSame ? await this.#change(reaction, held) : "nothing: it is something else by now";
      if (typeof done !== "string") return done;
      said = done;
      return { kind: "done" };
    });
    if (outcome.kind === "refuse" && isPassing(outcome)) throw new BridgeError(outcome.code, outcome.reason);
    return said ?? describe(outcome);
  }

  async #change({ name, ordered, action, reason }: ServiceReaction, held: HeldService): Promise<Outcome | string> {
    const { deployer, swarm } = this.#deps;
    if (action === "freeze") return this.#keep({ event: "frozen", name, reason }, "frozen");
    if (action === "thaw") return this.#keep({ event: "thawed", name }, "thawed");
    if (action === "remove") {
      await swarm.remove(held.id);
      return "removed";
    }
    if (ordered === undefined) throw new Error(`${action} of what was not ordered`);
    if (action === "replace") return deployer.replace(ordered);
    if (action === "restore") return deployer.restore(ordered, `put back: ${reason}`);
    return (await scaleBack(swarm, held, ordered))
      ? "scaled back to what was ordered"
      : "nothing: it has no more tasks";
  }

  async #keep(record: { event: string; name: string; reason?: string }, said: string): Promise<string> {
    await this.#deps.journal.append(record);
    return said;
  }

  async #onContainer({ seen: { node, id, imageId }, action }: ContainerReaction): Promise<string> {
    const engine = this.#deps.engines.each().find(({ facts }) => facts?.nodeId === node);
    if (engine === undefined) throw new BridgeError("ENGINE", `no engine is known for the node ${node}`);
    await engine.client.call("DELETE", `/containers/${id}?force=1`, { expected: [404, 409] });
    if (action === "remove") return "removed";
    const { status } = await engine.client.call("DELETE", `/images/${imageId}?force=1`, { expected: [404, 409] });
    return status === 409 ? "removed; its image is still used by others" : "removed, and its image";
  }
}

function describe(outcome: Outcome): string {
  if (outcome.kind === "deployed") return `it is ${outcome.pinned}`;
  if (outcome.kind === "refuse") return `nothing: ${outcome.reason}`;
  return outcome.kind === "failed" ? `failed: ${outcome.reason}` : "done";
}

/**
 * Of what may not be started any more somebody wanted more: it is as many again as were ordered. Never more, and nothing
 * else is changed.
 */
async function scaleBack(swarm: Swarm, service: HeldService, { definition }: Deployment): Promise<boolean> {
  const [held, ordered] = [replicasOf(service.spec), definition && replicasOf(definition)];
  if (held === undefined || ordered === undefined || held <= ordered) return false;
  const back = { ...service.spec, Mode: { Replicated: { Replicas: ordered } } };
  await swarm.update(service, Buffer.from(JSON.stringify(back)));
  return true;
}

function replicasOf({ Mode }: JsonObject): number | undefined {
  const { Replicated } = (Mode ?? {}) as JsonObject;
  const { Replicas } = (Replicated ?? {}) as JsonObject;
  return typeof Replicas === "number" ? Replicas : undefined;
}
