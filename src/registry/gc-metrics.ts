import { Counter, Gauge, type Registry } from "prom-client";
import type { GcEvent } from "../storage/gc/collector.ts";

/** What collections did, as far as this process ran them. */
export class GcMetrics {
  readonly #marked: Counter;
  readonly #deleted: Counter;
  readonly #bytes: Counter;
  readonly #errors: Counter;
  readonly #runs: Counter;
  readonly #lastRun: Gauge;
  readonly #seconds: Gauge;

  constructor(registry: Registry) {
    const registers = [registry];
    const counter = (name: string, help: string, labelNames: string[] = []): Counter =>
      new Counter({ name, help, labelNames, registers });
    this.#marked = counter("goldseal_gc_marked_total", "Rows found with nothing that leads to them");
    this.#deleted = counter("goldseal_gc_deleted_total", "What was deleted, by kind: manifest, link, blob", ["kind"]);
    this.#bytes = counter("goldseal_gc_deleted_bytes_total", "Bytes deleted, by kind", ["kind"]);
    this.#errors = counter("goldseal_gc_errors_total", "Blobs that could not be deleted, or are missing", ["kind"]);
    this.#runs = counter("goldseal_gc_runs_total", "Collections that ended, by outcome: done, failed", ["outcome"]);
    // Of several workers the last one counts.
    const newest = { aggregator: "max" as const, registers };
    this.#lastRun = new Gauge({
      name: "goldseal_gc_last_run_timestamp_seconds",
      help: "When a collection was last done",
      ...newest,
    });
    this.#seconds = new Gauge({
      name: "goldseal_gc_run_seconds",
      help: "How long the longest last run took",
      ...newest,
    });
  }

  observe(event: GcEvent): void {
    if (event.kind === "marked") this.#marked.inc(event.count);
    else if (event.kind === "deleted") {
      this.#deleted.inc({ kind: event.of }, event.count);
      this.#bytes.inc({ kind: event.of }, event.bytes);
    } else this.#errors.inc({ kind: event.kind });
  }

  ended(outcome: "done" | "failed", seconds: number): void {
    this.#runs.inc({ outcome });
    this.#seconds.set(seconds);
    if (outcome === "done") this.#lastRun.setToCurrentTime();
  }
}
