import type { Log } from "../http/log.ts";
import { sha256Of } from "../notary/tuf/signed-file.ts";
import type { Refusal, RefusalCode } from "./errors.ts";
import type { Journal } from "./journal.ts";
import type { Wanted } from "./orders.ts";

export interface RefusalLogDeps {
  readonly journal: Pick<Journal, "append">;
  readonly now: () => Date;
  readonly log: Log;
}

/** Whose order it was. */
export interface Orderer {
  /** Who may order, and did; undefined: that it is anybody's order now is what was refused. */
  readonly user: string | undefined;
  /** Whose key of the policy document signed it; undefined: a stranger's, or none. */
  readonly signer: string | undefined;
}

/** Of orders that did not count, a minute: one that was overheard can be sent for ever, and would fill the disk. */
const MAX_UNACCEPTED = 100;
const MINUTE_MS = 60_000;

/** Orders that were not carried out, in the journal; those of strangers in the log and as a number alone. */
export class RefusalLog {
  readonly #deps: RefusalLogDeps;
  readonly #ofStrangers = new Map<string, number>();
  #minute = 0;
  #inMinute = 0;
  #unrecorded = 0;

  constructor(deps: RefusalLogDeps) {
    this.#deps = deps;
  }

  /** How many by what they were refused for, since this bridge was started. */
  get ofStrangers(): ReadonlyMap<string, number> {
    return this.#ofStrangers;
  }

  async record(wanted: Wanted, { code, reason }: Refusal, { user, signer }: Orderer): Promise<void> {
    const { environment, action, spec } = wanted;
    const what = { environment: environment.slice(0, 100), action };
    const why = { code, reason: reason.slice(0, 2000) };
    if (user === undefined && signer === undefined) return this.#hearStranger(code, { ...what, ...why });
    if (user === undefined && this.#isTooMany()) {
      this.#unrecorded++;
      return;
    }
    // What is guessed of a secret could be compared with its hash.
    const hash = /^(secret|stack)\./.test(action) ? {} : { spec: sha256Of(spec).toString("hex") };
    const unrecorded = this.#unrecorded;
    this.#unrecorded = 0;
    const who = user === undefined ? { signer } : { user };
    await this.#deps.journal.append({
      ...{ event: "refused", ...what, ...hash, ...who, ...why },
      ...(unrecorded > 0 ? { unrecorded } : {}),
    });
  }

  /** The journal is kept for ever and read at every start: nobody writes in it whom the policy does not know. */
  #hearStranger(code: RefusalCode, what: Readonly<Record<string, string>>): void {
    this.#ofStrangers.set(code, (this.#ofStrangers.get(code) ?? 0) + 1);
    this.#deps.log.warn("bridge.refused", what);
  }

  #isTooMany(): boolean {
    const minute = Math.floor(this.#deps.now().getTime() / MINUTE_MS);
    if (minute !== this.#minute) [this.#minute, this.#inMinute] = [minute, 0];
    return ++this.#inMinute > MAX_UNACCEPTED;
  }
}
