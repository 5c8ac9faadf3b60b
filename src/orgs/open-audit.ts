import { describeError, type Log } from "../http/log.ts";
import type { Database } from "../storage/database.ts";
import { AuditLog } from "./audit-log.ts";
import { AuditStore } from "./audit-store.ts";
import { AuditWitness } from "./audit-witness.ts";

export interface AuditOptions {
  readonly database: Database;
  readonly log: Log;
  readonly now: () => Date;
  /** Other rows of this room that grow old. */
  readonly sweep: () => Promise<void>;
}

export interface Audit {
  readonly audit: AuditLog;
  readonly auditStore: AuditStore;
  readonly witness: AuditWitness;
  /** Writes what waits; requests must have drained before. */
  close(): Promise<void>;
}

const careEveryMs = 60_000;

/** The audit, and once a minute what keeps its tables and those of the sign-in limits in shape. */
export async function openAudit({ database, log, now, sweep }: AuditOptions): Promise<Audit> {
  const auditStore = new AuditStore(database);
  await auditStore.ensureMonths(now());
  const audit = new AuditLog({ insert: (entries) => auditStore.insert(entries), log, now });
  let caring = Promise.resolve();
  const care = async (): Promise<void> => {
    try {
      await auditStore.ensureMonths(now());
      await sweep();
    } catch (error) {
      log.error("audit.care-failed", describeError(error));
    }
  };
  const timer = setInterval(() => {
    caring = care();
  }, careEveryMs);
  return {
    audit,
    auditStore,
    witness: new AuditWitness({
      audit,
      insertWithin: (sql, entry) => auditStore.insertWithin(sql, entry),
      now,
    }),
    close: async () => {
      clearInterval(timer);
      await caring;
      await audit.close();
    },
  };
}
