import { isJsonObject, type Json } from "../oci/json.ts";
import type { Engine, Engines } from "./engines.ts";
import { BridgeError } from "./errors.ts";

export interface PluginProbeDeps {
  readonly engines: Pick<Engines, "each">;
  readonly now: () => Date;
}

/** Each denial is a line in the plug-in's log. */
const COUNTS_MS = 60_000;
const TIMEOUT_MS = 5_000;

/**
 * Whether the managers' engines ask an authorization plug-in. What `/info` lists is what an engine was started with; since then
 * daemon.json may have been read again. So it is tried: what is the bridge's alone is asked for without a note.
 */
export class PluginProbe {
  readonly #deps: PluginProbeDeps;
  /** When an engine was last seen to ask. */
  readonly #seenMs = new Map<string, number>();

  constructor(deps: PluginProbeDeps) {
    this.#deps = deps;
  }

  /** A sentence for each manager that does not ask. One that does not answer is somebody else's to tell. */
  async findFaults(): Promise<string[]> {
    const faults = await Promise.all(this.#deps.engines.each().map((engine) => this.#findFault(engine)));
    return faults.filter((fault) => fault !== undefined);
  }

  async #findFault({ name, client }: Engine): Promise<string | undefined> {
    const nowMs = this.#deps.now().getTime();
    const agoMs = nowMs - (this.#seenMs.get(name) ?? Number.NEGATIVE_INFINITY);
    if (agoMs >= 0 && agoMs < COUNTS_MS) return undefined;
    const options = { isBare: true, timeoutMs: TIMEOUT_MS, expected: [403, 500, 503] };
    const answer = await client.call("GET", "/swarm", options).catch((error: unknown) => {
      if (error instanceof BridgeError) return undefined;
      throw error;
    });
    // Workers say 503, and an engine whose plug-in is down denies everything: 500.
    if (answer?.status === 403 && isDenial(answer.body)) this.#seenMs.set(name, nowMs);
    return answer?.status === 200 ? `the manager ${name} has no authorization plug-in on` : undefined;
  }
}

const isDenial = (body: Json | undefined): boolean =>
  isJsonObject(body) && String(body.message ?? "").startsWith("authorization denied by plugin ");
