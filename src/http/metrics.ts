import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";

export interface Observation {
  readonly route: string;
  readonly method: string;
  readonly status: number;
  readonly seconds: number;
  /** Bytes of body sent, and read. */
  readonly sent: number;
  readonly received: number;
}

/** Connections of this worker to the database. */
export interface PoolGauge {
  readonly total: number;
  readonly idle: number;
  readonly waiting: number;
}

/** Something that every worker sees alike, such as rows of the database. */
export interface SharedGauge {
  readonly name: string;
  readonly help: string;
  readonly label: string;
  /** Values by label; asked for each time the figures are, and given up on where it throws. */
  readonly read: () => Promise<ReadonlyMap<string, number>>;
}

/** The figures of one worker, in Prometheus' words; the primary adds them up over all workers. */
export class Metrics {
  readonly registry = new Registry();
  readonly #requests: Counter;
  readonly #bytes: Counter;
  readonly #latency: Histogram;

  constructor(pool: () => PoolGauge) {
    const registers = [this.registry];
    this.#requests = new Counter({
      name: "goldseal_http_requests_total",
      help: "Requests answered, by route, method and status",
      labelNames: ["route", "method", "status"],
      registers,
    });
    this.#bytes = new Counter({
      name: "goldseal_http_body_bytes_total",
      help: "Bytes of request (in) and response (out) bodies, by route",
      labelNames: ["route", "direction"],
      registers,
    });
    this.#latency = new Histogram({
      name: "goldseal_http_request_seconds",
      help: "Time from the request's headers to the last byte handed to the kernel, by route",
      labelNames: ["route"],
      buckets: [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 60, 600],
      registers,
    });
    new Gauge({
      name: "goldseal_database_connections",
      help: "Database connections by state (total, idle) and requests waiting for one",
      labelNames: ["state"],
      registers,
      collect() {
        for (const [state, count] of Object.entries(pool())) this.set({ state }, count);
      },
    });
    collectDefaultMetrics({ register: this.registry, prefix: "goldseal_" });
  }

  /** All workers see the same, so the largest of their figures is the figure. */
  addGauge({ name, help, label, read }: SharedGauge): void {
    new Gauge({
      ...{ name, help, labelNames: [label], aggregator: "max", registers: [this.registry] },
      async collect() {
        const values = await read().catch(() => undefined);
        this.reset();
        for (const [value, count] of values ?? []) this.set({ [label]: value }, count);
      },
    });
  }

  observe({ route, method, status, seconds, sent, received }: Observation): void {
    this.#requests.inc({ route, method, status: String(status) });
    this.#latency.observe({ route }, seconds);
    if (sent > 0) this.#bytes.inc({ route, direction: "out" }, sent);
    if (received > 0) this.#bytes.inc({ route, direction: "in" }, received);
  }
}
