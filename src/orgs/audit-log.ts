import { describeError, type Log } from "../http/log.ts";
import { OciError } from "../oci/error.ts";
import type { AuditEntry } from "./audit-store.ts";

export interface AuditLogDeps {
  readonly insert: (entries: readonly AuditEntry[]) => Promise<void>;
  readonly log: Log;
  readonly now: () => Date;
}

interface Waiting {
  readonly entry: AuditEntry;
  readonly settle?: PromiseWithResolvers<void>;
}

/** Entries of one insert. */
const maxBatch = 500;
/** What waits to be written: about 10 MB. */
const maxWaiting = 10_000;
const gatherMs = 50;
const retryMs = 1_000;

/**
 * Writes the audit in batches. A change is on record before it is answered ({@link record}); what changes nothing
 * (refusals, sign-ins) is noted and written within 50 ms, so that it holds nobody up. Notes beyond what can wait are
 * counted, and their number is put on record.
 */
export class AuditLog {
  readonly #deps: AuditLogDeps;
  readonly #waiting: Waiting[] = [];
  #notRecorded = 0;
  #timer: NodeJS.Timeout | undefined;
  #writing: Promise<void> | undefined;

  constructor(deps: AuditLogDeps) {
    this.#deps = deps;
  }

  /** Resolves when the entry is committed. @throws OciError UNAVAILABLE; the entry is then kept and tried again */
  record(entry: AuditEntry): Promise<void> {
    const settle = Promise.withResolvers<void>();
    this.#waiting.push({ entry, settle });
    void this.flush();
    return settle.promise;
  }

  note(entry: AuditEntry): void {
    if (this.#waiting.length >= maxWaiting) this.#notRecorded++;
    else this.#waiting.push({ entry });
    this.#timer ??= setTimeout(() => void this.flush(), gatherMs);
  }

  /** Resolves when what waits now is written, or could not be. */
  async flush(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    while (this.#writing !== undefined) await this.#writing;
    if (this.#waiting.length === 0 && this.#notRecorded === 0) return;
    this.#writing = this.#write().finally(() => {
      this.#writing = undefined;
    });
    await this.#writing;
  }

  async close(): Promise<void> {
    await this.flush();
    clearTimeout(this.#timer);
    if (this.#waiting.length > 0) this.#deps.log.error("audit.lost", { entries: this.#waiting.length });
  }

  async #write(): Promise<void> {
    // What comes in the same moment goes out together.
    await new Promise(setImmediate);
    while (this.#waiting.length > 0 || this.#notRecorded > 0) {
      const batch = this.#waiting.splice(0, maxBatch);
      const missed = this.#notRecorded;
      const entries = batch.map(({ entry }) => entry);
      try {
        await this.#deps.insert(missed === 0 ? entries : [...entries, this.#overflow(missed)]);
        this.#notRecorded -= missed;
        for (const { settle } of batch) settle?.resolve();
      } catch (error) {
        this.#fail(batch, error);
        return;
      }
    }
  }

  /** Away for now: everything is kept. Anything else would fail for ever: the log has it then, the table never. */
  #fail(batch: readonly Waiting[], error: unknown): void {
    for (const { settle } of batch) settle?.reject(error);
    if (error instanceof OciError) {
      this.#waiting.unshift(...batch.map(({ entry }) => ({ entry })));
      this.#timer ??= setTimeout(() => void this.flush(), retryMs);
      this.#deps.log.warn("audit.waiting", { entries: this.#waiting.length, error: error.message });
      return;
    }
    this.#deps.log.error("audit.not-written", { ...describeError(error), entries: batch.map(({ entry }) => entry) });
  }

  #overflow(count: number): AuditEntry {
    return {
      at: this.#deps.now(),
      actor: "goldseal",
      actorId: 0,
      action: "audit-overflow",
      target: "audit",
      namespace: "",
      outcome: "done",
      source: "",
      requestId: "",
      decisionId: undefined,
      detail: { notRecorded: count },
    };
  }
}
