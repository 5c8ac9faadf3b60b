import { randomUUID } from "node:crypto";
import { z } from "zod";
import { sha256Of } from "../../notary/tuf/signed-file.ts";
import type { JsonObject } from "../../oci/json.ts";
import type { Ordered, Outcome } from "../actions.ts";
import type { Core } from "../core.ts";
import { toRefusal } from "../errors.ts";
import { OneAtATime } from "../one-at-a-time.ts";

/** What a change is about. */
export interface Target {
  readonly kind: "network" | "secret" | "config" | "node";
  readonly name: string;
}

/** A change that stands in the journal, and of which nobody knows yet what came of it. */
const beganSchema = z.object({
  ...{ event: z.literal("change"), id: z.string(), action: z.string(), name: z.string() },
  kind: z.enum(["network", "secret", "config", "node"]),
  /** Of a node, or of a network that is made: what the engine was told. */
  wanted: z.unknown().optional(),
});
export type Began = z.infer<typeof beganSchema>;

/**
 * Changes of what is no service: in the journal before the engine hears of each, and after. Of what was ordered only the
 * hash stands there, of nodes and networks what the engine was told, and of a secret not even the hash.
 */
export class ChangeJournal {
  readonly #core: Pick<Core, "journal">;
  readonly #turns = new OneAtATime();
  #isRecovering = false;

  constructor(core: Pick<Core, "journal">) {
    this.#core = core;
  }

  /** One after the other of each kind: each changes what the next one must leave. @throws BridgeError as `act` does */
  run(order: Ordered, target: Target, act: (change: Change) => Promise<Outcome>): Promise<Outcome> {
    return this.#turns.run(target.kind, () => act(new Change(this.#core, order, target)));
  }

  /** What was begun when the bridge was killed, or the engine fell silent. */
  async recover(look: Look): Promise<void> {
    if (this.#isRecovering) return;
    this.#isRecovering = true;
    try {
      await this.#recover(look);
    } finally {
      this.#isRecovering = false;
    }
  }

  async #recover(look: Look): Promise<void> {
    const { journal } = this.#core;
    for (const began of findBegun(journal.records)) {
      await this.#turns.run(began.kind, async () => {
        if (!findBegun(journal.records).some(({ id }) => id === began.id)) return;
        const found = await look(began);
        const reason = found.why === undefined ? "found afterwards" : `found afterwards: ${found.why}`;
        await journal.append({ event: found.isDone ? "changed" : "not-changed", id: began.id, reason });
      });
    }
  }
}

/** Tells whether it is as was ordered; and where that says something, why not. */
export type Look = (began: Began) => Promise<{ readonly isDone: boolean; readonly why?: string }>;

/** One change, not begun yet. */
export class Change {
  readonly id = randomUUID();
  readonly #core: Pick<Core, "journal">;
  readonly #order: Ordered;
  readonly #target: Target;

  constructor(core: Pick<Core, "journal">, order: Ordered, target: Target) {
    [this.#core, this.#order, this.#target] = [core, order, target];
  }

  /**
   * Once everything was checked: tells the engine.
   * @param known what a start needs to know beside the target to see whether it was done
   * @throws BridgeError as `tell` does; of SILENT nobody knows what came, and a start looks
   */
  async tell(tell: () => Promise<void>, known: JsonObject = {}): Promise<void> {
    const { journal } = this.#core;
    const { environment, action, user, keyId, spec } = this.#order;
    // What is guessed of a secret could be compared with its hash.
    const hash = this.#target.kind === "secret" ? {} : { spec: sha256Of(spec).toString("hex") };
    const what = { environment, action, ...this.#target, user, keyId, ...hash };
    await journal.append({ event: "change", id: this.id, ...what, ...known });
    try {
      await tell();
    } catch (error) {
      const { code, reason } = toRefusal(error);
      if (code !== "SILENT") await journal.append({ event: "not-changed", id: this.id, reason });
      throw error;
    }
    await journal.append({ event: "changed", id: this.id });
  }
}

function findBegun(records: readonly JsonObject[]): Began[] {
  const ended = new Set(
    records.filter(({ event }) => event === "changed" || event === "not-changed").map(({ id }) => id),
  );
  const changes = records.filter(({ event, id }) => event === "change" && !ended.has(id));
  return changes.flatMap((record) => beganSchema.safeParse(record).data ?? []);
}
