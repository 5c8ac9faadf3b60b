import { describeError } from "../http/log.ts";
import type { NotaryDeps } from "./deps.ts";
import { renew } from "./renewal.ts";
import { renewServedDue } from "./served-renewal.ts";
import { DEFAULT_POLICY } from "./tuf/policy.ts";

const everyMs = 10 * 60_000;
const hourMs = 3_600_000;
/** With the minutes between two rounds no timestamp gets older than a day: who asks for one of 48 hours is served. */
const timestampAgeMs = 23 * hourMs;
/** A snapshot is renewed long before anybody is warned of it, and while clients would not yet be. */
const snapshotAgeMs = DEFAULT_POLICY.snapshotLifeSeconds * 1000 * 0.6;
const batch = 100;
/**
 * Signs every timestamp anew each day, and in good time snapshots and whatever else the server signs alone, whoever reads or
 * does not. All processes try; one works. Returns how many GUNs got new files.
 */
export async function renewDue(deps: NotaryDeps): Promise<number> {
  const work = async () => (await renewServedDue(deps)) + (await renewAll(deps));
  return (await deps.database.exclusively("trust-renewal", work)) ?? 0;
}

/** On connections of its own: each GUN is one transaction, and those that cannot be renewed hold up nobody. */
async function renewAll(deps: NotaryDeps): Promise<number> {
  const now = deps.now().getTime();
  const { snapshotLifeSeconds, timestampLifeSeconds } = DEFAULT_POLICY;
  const signedBefore = { timestamp: new Date(now - timestampAgeMs), snapshot: new Date(now - snapshotAgeMs) };
  const expiringBefore = {
    timestamp: new Date(now - timestampAgeMs + timestampLifeSeconds * 1000 + 1),
    snapshot: new Date(now - snapshotAgeMs + snapshotLifeSeconds * 1000 + 1),
  };
  let renewed = 0;
  for (let after = "0"; ; ) {
    const due = await deps.files.listDue({ signedBefore, after, limit: batch });
    for (const { gun } of due) {
      const files = await renew(deps, { gun, expiringBefore }).catch((error: unknown) => {
        deps.log.warn("trust.not-renewed", { gun, ...describeError(error) });
        return [];
      });
      if (files.length > 0) renewed++;
    }
    const last = due.at(-1);
    if (last === undefined) return renewed;
    after = last.id;
  }
}

/** Returns how to stop, which waits for the round that is under way. */
export function renewRegularly(deps: NotaryDeps): () => Promise<void> {
  let running: Promise<void> = Promise.resolve();
  const round = async (): Promise<void> => {
    try {
      const renewed = await renewDue(deps);
      if (renewed > 0) deps.log.info("trust.renewed", { guns: renewed });
      // Where nobody reads the feed, changes without a number would become ever more.
      await deps.changes.number();
    } catch (error) {
      deps.log.error("trust.renewal-failed", describeError(error));
    }
  };
  const timer = setInterval(() => {
    running = running.then(round);
  }, everyMs);
  return () => {
    clearInterval(timer);
    return running;
  };
}
