import { sha256Of } from "../notary/tuf/signed-file.ts";
import type { Refusal } from "./errors.ts";
import type { Journal } from "./journal.ts";
import type { Wanted } from "./orders.ts";

/** Of strangers, a minute: whoever can reach the bridge could fill its disk otherwise. */
const MAX_OF_STRANGERS = 100;
const MINUTE_MS = 60_000;

/** Orders that were not carried out, in the journal; those of nobody who is known only so many, and how many more there were. */
export class RefusalLog {
  readonly #journal: Pick<Journal, "append">;
  readonly #now: () => Date;
  #minute = 0;
  #inMinute = 0;
  #unrecorded = 0;

  constructor(journal: Pick<Journal, "append">, now: () => Date) {
    [this.#journal, this.#now] = [journal, now];
  }

  /** @param user whose order it was; undefined: that it is anybody's is what was refused */
  async record(wanted: Wanted, { code, reason }: Refusal, user: string | undefined): Promise<void> {
    if (user === undefined && this.#isTooMany()) {
      this.#unrecorded++;
      return;
    }
    const { environment, action, spec } = wanted;
    // What is guessed of a secret could be compared with its hash.
    const hash = /^(secret|stack)\./.test(action) ? {} : { spec: sha256Of(spec).toString("hex") };
    const unrecorded = this.#unrecorded;
    this.#unrecorded = 0;
    await this.#journal.append({
      ...{ event: "refused", environment: environment.slice(0, 100), action, ...hash },
      ...{ user, code, reason: reason.slice(0, 2000) },
      ...(unrecorded > 0 ? { unrecorded } : {}),
    });
  }

  #isTooMany(): boolean {
    const minute = Math.floor(this.#now().getTime() / MINUTE_MS);
    if (minute !== this.#minute) [this.#minute, this.#inMinute] = [minute, 0];
    return ++this.#inMinute > MAX_OF_STRANGERS;
  }
}
