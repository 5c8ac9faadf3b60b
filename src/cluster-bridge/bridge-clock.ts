import { join } from "node:path";
import { findFile, writeDurably } from "./durable-file.ts";
import { BridgeError } from "./errors.ts";
import { OneAtATime } from "./one-at-a-time.ts";

/** Time servers step a clock back by less. */
const MAX_STEP_BACK_MS = 60_000;

/**
 * The time, which never goes back below the last time something was verified: a machine whose clock was turned back would
 * take what has expired for good again (hardening T06, T26).
 */
export class BridgeClock {
  readonly #file: string;
  readonly #now: () => Date;
  readonly #writes = new OneAtATime();
  #seenMs: number;

  private constructor(file: string, now: () => Date, seenMs: number) {
    this.#file = file;
    this.#now = now;
    this.#seenMs = seenMs;
  }

  /** @throws BridgeError STORE */
  static async open(store: string, now: () => Date): Promise<BridgeClock> {
    const file = join(store, "clock");
    const text = (await findFile(file))?.toString();
    const seenMs = text === undefined ? 0 : Date.parse(text.trim());
    if (Number.isNaN(seenMs)) throw new BridgeError("STORE", `${file} holds no time`);
    return new BridgeClock(file, now, seenMs);
  }

  /** @throws BridgeError CLOCK */
  read(): Date {
    const nowMs = this.#now().getTime();
    if (nowMs >= this.#seenMs) return new Date(nowMs);
    if (nowMs >= this.#seenMs - MAX_STEP_BACK_MS) return new Date(this.#seenMs);
    const [now, seen] = [nowMs, this.#seenMs].map((ms) => (Number.isNaN(ms) ? "no time" : new Date(ms).toISOString()));
    throw new BridgeError(
      "CLOCK",
      `clock-or-freeze: this machine's clock says ${now}, and it was ${seen} already; set it right (if it was ahead then, remove ${this.#file})`,
    );
  }

  /** Something was verified at `date`. */
  async saw(date: Date): Promise<void> {
    if (date.getTime() <= this.#seenMs) return;
    this.#seenMs = date.getTime();
    const write = () => writeDurably(this.#file, Buffer.from(`${new Date(this.#seenMs).toISOString()}\n`));
    await this.#writes.run(this.#file, write);
  }
}
