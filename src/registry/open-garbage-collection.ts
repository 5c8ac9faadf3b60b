import type { Registry } from "prom-client";
import { describeError, type Log } from "../http/log.ts";
import type { RestOperation } from "../http/rest-operation.ts";
import type { Database } from "../storage/database.ts";
import { Collector, type CollectorOptions, type GcEvent } from "../storage/gc/collector.ts";
import { GcRuns } from "../storage/gc/runs.ts";
import { GarbageCollection } from "./garbage-collection.ts";
import { gcOperations } from "./gc-api.ts";
import { GcMetrics } from "./gc-metrics.ts";

export interface GarbageCollectionParts extends Omit<CollectorOptions, "observe" | "signal"> {
  readonly database: Database;
  /** Undefined: only when it is asked for. */
  readonly everySeconds: number | undefined;
  readonly metrics: Registry;
  readonly log: Log;
  readonly notFound: () => Error;
}

export interface OpenGarbageCollection {
  readonly operations: readonly RestOperation[];
  /** Ends the run that is under way between two steps. */
  close(): Promise<void>;
}

/** The collector with its schedule, its part of the REST API, its figures and its log lines. */
export function openGarbageCollection(parts: GarbageCollectionParts): OpenGarbageCollection {
  const { database, everySeconds, log, notFound } = parts;
  const metrics = new GcMetrics(parts.metrics);
  const stopping = new AbortController();
  const observe = (event: GcEvent): void => {
    metrics.observe(event);
    if (event.kind === "error") log.error("gc.blob-failed", describeError(event.error));
    if (event.kind === "damaged") log.error("gc.blob-missing", { digest: event.blob.digest });
  };
  const garbage = new GarbageCollection({
    collector: new Collector({ ...parts, observe, signal: stopping.signal }),
    everySeconds,
    onEnd: ({ seconds, error }) => {
      metrics.ended(error === undefined ? "done" : "failed", seconds);
      if (error === undefined || stopping.signal.aborted)
        log.info(error === undefined ? "gc.done" : "gc.stopped", { seconds: Number(seconds.toFixed(3)) });
      else log.error("gc.failed", describeError(error));
    },
  });
  return {
    operations: gcOperations({ runs: new GcRuns(database), begin: (options) => garbage.begin(options), notFound }),
    close: () => {
      stopping.abort(new Error("the process stopped"));
      return garbage.close();
    },
  };
}
