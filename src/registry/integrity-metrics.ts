import { Counter } from "prom-client";
import type { Metrics } from "../http/metrics.ts";
import type { Database } from "../storage/database.ts";
import type { IntegrityEvent } from "../storage/integrity/integrity-event.ts";
import { countQuarantined } from "../storage/integrity/quarantine.ts";
import type { ScrubStore } from "../storage/integrity/scrub-store.ts";

export interface IntegrityMetricsParts {
  readonly metrics: Metrics;
  readonly database: Database;
  readonly scrub: ScrubStore;
}

/** What checks of integrity found, as far as this process made them, and what all of them left in the database. */
export class IntegrityMetrics {
  readonly #damaged: Counter;
  readonly #errors: Counter;
  readonly #objects: Counter;
  readonly #bytes: Counter;

  constructor({ metrics, database, scrub }: IntegrityMetricsParts) {
    const registers = [metrics.registry];
    const counter = (name: string, help: string, labelNames: string[] = []): Counter =>
      new Counter({ name, help, labelNames, registers });
    this.#damaged = counter("goldseal_bitrot_total", "Blobs and manifests found damaged, by kind and reason", [
      "kind",
      "reason",
    ]);
    this.#errors = counter("goldseal_integrity_errors_total", "Objects that could not be read by a check just then");
    this.#objects = counter("goldseal_scrub_objects_total", "Objects that the scrub held against their digests");
    this.#bytes = counter("goldseal_scrub_bytes_total", "Bytes that the scrub read");
    metrics.addGauge({
      name: "goldseal_quarantined",
      help: "What is damaged and counts as absent now, by kind",
      label: "kind",
      read: () => countQuarantined(database),
    });
    metrics.addGauge({
      name: "goldseal_scrub_seconds",
      help: "oldest: age of the longest unread object's last check; last: since the scrub last read anything",
      label: "of",
      read: () => readAges(scrub),
    });
  }

  observe(event: IntegrityEvent): void {
    if (event.kind === "damaged") this.#damaged.inc({ kind: event.of, reason: event.reason });
    else if (event.kind === "error") this.#errors.inc();
    else if (event.kind === "scrubbed") {
      this.#objects.inc(event.objects);
      this.#bytes.inc(event.bytes);
    }
  }
}

async function readAges(scrub: ScrubStore): Promise<ReadonlyMap<string, number>> {
  const { lastAt, oldestAt } = await scrub.read();
  const ages = new Map<string, number>();
  for (const [name, at] of [
    ["oldest", oldestAt],
    ["last", lastAt],
  ] as const)
    if (at !== undefined) ages.set(name, Math.max(0, (Date.now() - at.getTime()) / 1000));
  return ages;
}
