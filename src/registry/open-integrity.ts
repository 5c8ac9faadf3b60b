import { describeError, type Log } from "../http/log.ts";
import type { Metrics } from "../http/metrics.ts";
import type { RestOperation } from "../http/rest-operation.ts";
import { Doubts } from "../storage/integrity/doubts.ts";
import { Fsck, type FsckOptions } from "../storage/integrity/fsck.ts";
import { FsckRuns } from "../storage/integrity/fsck-runs.ts";
import type { IntegrityEvent } from "../storage/integrity/integrity-event.ts";
import { listQuarantined } from "../storage/integrity/quarantine.ts";
import { Scrub } from "../storage/integrity/scrub.ts";
import { ScrubStore } from "../storage/integrity/scrub-store.ts";
import { fsckOperations } from "./fsck-api.ts";
import { IntegrityJobs } from "./integrity-jobs.ts";
import { IntegrityMetrics } from "./integrity-metrics.ts";
import { type ScrubApiDeps, scrubOperations } from "./scrub-api.ts";

export interface IntegrityParts extends Omit<FsckOptions, "observe" | "signal">, Omit<ScrubApiDeps, "scrub" | "wake"> {
  readonly metrics: Metrics;
  readonly log: Log;
  readonly notFound: () => Error;
}

export interface OpenIntegrity {
  readonly operations: readonly RestOperation[];
  /** For pulls, which find damage too. */
  readonly doubts: Doubts;
  /** Ends what is under way between two pieces; it goes on in another process, or after the next start. */
  close(): Promise<void>;
}

/** Checks of integrity: by hand and by themselves, with their part of the REST API, their figures and their log lines. */
export function openIntegrity(parts: IntegrityParts): OpenIntegrity {
  const { database, log, notFound, confirm, preconditionFailed } = parts;
  const scrubStore = new ScrubStore(database);
  const metrics = new IntegrityMetrics({ metrics: parts.metrics, database, scrub: scrubStore });
  const stopping = new AbortController();
  const { signal } = stopping;
  const observe = (event: IntegrityEvent): void => {
    metrics.observe(event);
    report(log, event);
  };
  const jobs = new IntegrityJobs({
    fsck: new Fsck({ ...parts, observe, signal }),
    scrub: new Scrub({ ...parts, observe, signal }),
    onError: (job, error) => {
      if (!signal.aborted) log.error(`${job}.failed`, describeError(error));
    },
  });
  const doubts = new Doubts({ ...parts, observe, signal });
  return {
    doubts,
    operations: [
      ...fsckOperations({
        ...{ runs: new FsckRuns(database), notFound, begin: (request) => jobs.begin(request) },
        listQuarantined: (after, limit) => listQuarantined(database, after, limit),
      }),
      ...scrubOperations({ scrub: scrubStore, wake: () => void jobs.scrub(), confirm, preconditionFailed }),
    ],
    close: async () => {
      stopping.abort(new Error("the process stopped"));
      await Promise.all([jobs.close(), doubts.close()]);
    },
  };
}

function report(log: Log, event: IntegrityEvent): void {
  if (event.kind === "scrubbed") return;
  const { kind, digest } = event;
  if (kind === "damaged") log.error("bitrot.found", { of: event.of, digest, reason: event.reason });
  else if (kind === "lifted") log.info("bitrot.lifted", { of: event.of, digest });
  else log.warn("integrity.unreadable", { digest, ...describeError(event.error) });
}
