import type { IncomingMessage } from "node:http";
import { setTimeout as delay } from "node:timers/promises";
import { isJsonObject } from "../oci/json.ts";
import { type EngineAnswer, type EngineAsk, type EngineWire, UnsentError } from "./engine-wire.ts";

export interface ManagerWireOptions {
  /** Engines that are, or may be, managers. */
  readonly managers: () => readonly EngineWire[];
  /** Called when none of them is there, and `managers` asked again. */
  readonly lookForMore: () => Promise<void>;
}

/** While the managers choose a new leader nobody can answer: ten seconds on a quiet machine. */
const LEADERLESS_MS = 25_000;
const PAUSE_MS = 250;
/** How long one manager may keep a reader waiting while there is another. */
const IMPATIENCE_MS = 6_000;

type Attempt =
  | { readonly kind: "answer"; readonly answer: EngineAnswer }
  /** It heard, and did nothing: there is no leader now. */
  | { readonly kind: "leaderless"; readonly error: Error }
  /** It is no manager, or is not there. */
  | { readonly kind: "none"; readonly error: Error }
  /** Its authorization plug-in does not answer: it took its time, and did nothing. */
  | { readonly kind: "unguarded"; readonly error: Error };

/**
 * Whichever manager is there. What is read is asked of the next when one does not answer; a change goes to the next only
 * where the last cannot have begun it, else nobody knows, and whoever ordered it must look.
 */
export class ManagerWire implements EngineWire {
  readonly #options: ManagerWireOptions;
  #last: EngineWire | undefined;

  constructor(options: ManagerWireOptions) {
    this.#options = options;
  }

  async exchange(ask: EngineAsk): Promise<EngineAnswer> {
    const endsMs = performance.now() + Math.min(LEADERLESS_MS, ask.timeoutMs);
    let hasLooked = false;
    for (;;) {
      const attempt = await this.#round(ask);
      if (attempt.kind === "answer") return attempt.answer;
      const isLeaderless = attempt.kind === "leaderless";
      if (isLeaderless ? performance.now() > endsMs : hasLooked) throw attempt.error;
      const known = this.#options.managers().length;
      if (isLeaderless) await delay(PAUSE_MS);
      else await this.#options.lookForMore();
      if (attempt.kind === "unguarded" && this.#options.managers().length === known) throw attempt.error;
      hasLooked = !isLeaderless;
    }
  }

  async stream(path: string, signal: AbortSignal): Promise<IncomingMessage> {
    const errors: unknown[] = [];
    for (const manager of this.#inOrder()) {
      const incoming = await manager.stream(path, signal).catch((error: unknown) => void errors.push(error));
      if (incoming?.statusCode === 200) return incoming;
      incoming?.destroy();
    }
    throw errors[0] ?? new UnsentError("there is no manager");
  }

  /** Each of them once, until one answers. */
  async #round(ask: EngineAsk): Promise<Attempt> {
    const failed: Attempt[] = [];
    const managers = this.#inOrder();
    const isReading = ask.method === "GET";
    const timeoutMs = isReading && managers.length > 1 ? Math.min(IMPATIENCE_MS, ask.timeoutMs) : ask.timeoutMs;
    for (const manager of managers) {
      const attempt = await tryOne(manager, { ...ask, timeoutMs });
      if (attempt.kind === "answer") {
        this.#last = manager;
        return attempt;
      }
      failed.push(attempt);
    }
    const first = failed.find(({ kind }) => kind === "leaderless") ?? failed[0];
    return first ?? { kind: "none", error: new UnsentError("there is no manager") };
  }

  /** The one that answered last first. */
  #inOrder(): EngineWire[] {
    const managers = this.#options.managers();
    const last = managers.filter((manager) => manager === this.#last);
    return [...last, ...managers.filter((manager) => manager !== this.#last)];
  }
}

async function tryOne(manager: EngineWire, ask: EngineAsk): Promise<Attempt> {
  const isReading = ask.method === "GET";
  try {
    const answer = await manager.exchange(ask);
    const message = isJsonObject(answer.body) ? String(answer.body.message ?? "") : "";
    if (answer.status === 503 && message.includes("not a swarm manager"))
      return { kind: "none", error: new UnsentError(message) };
    if (answer.status >= 500 && UNGUARDED.test(message)) {
      // Asked before the call is carried out, that it failed is certain; afterwards, nobody knows what came of the call.
      if (isReading || message.includes("AuthZPlugin.AuthZReq"))
        return { kind: "unguarded", error: new UnsentError(message) };
      throw new Error(message);
    }
    const isLeaderless = answer.status >= 500 && LEADERLESS.test(message);
    if (!isLeaderless) return { kind: "answer", answer };
    if (isReading || /does not have a leader/i.test(message)) return { kind: "leaderless", error: new Error(message) };
    // The leader may have passed it on before it was gone.
    throw new Error(message);
  } catch (error) {
    if (error instanceof Error && (isReading || error instanceof UnsentError)) return { kind: "none", error };
    throw error;
  }
}

/** What an engine says whose authorization plug-in does not answer: it denies everything. */
const UNGUARDED = /^plugin \S+ failed with error: /;

/** What 20.10 and later say while there is none, or while it goes; not what they say of a registry that is away. */
const LEADERLESS =
  /does not have a leader|lost leader|leadership|raft:|rpc error: code = (Unavailable|DeadlineExceeded)|rpc error: .*(connection error|transport is closing|deadline exceeded)/i;
