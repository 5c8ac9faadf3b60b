import { z } from "zod";
import type { JsonObject } from "../oci/json.ts";

/** What the bridge means to make of a service; in the journal before the engine hears of it. */
export interface Intent {
  /** Unique; the service carries it as a label. */
  readonly id: string;
  readonly environment: string;
  readonly service: string;
  /** `host:port/org/app@sha256:…` */
  readonly pinned: string;
  /** The specification's bytes, as text: also what is rolled back to. */
  readonly spec: string;
  readonly user: string;
  /** Who signed, or why nobody had to. */
  readonly because: string;
  /** The intent that failed; undefined: somebody ordered this. */
  readonly rollbackOf: string | undefined;
}

export const intentSchema = z.object({
  event: z.literal("intent"),
  ...{ id: z.string(), environment: z.string(), service: z.string(), pinned: z.string(), spec: z.string() },
  ...{ user: z.string(), because: z.string(), rollbackOf: z.string().optional() },
});

function intentsOf(records: readonly JsonObject[]): Intent[] {
  return records.flatMap((record) => {
    const parsed = intentSchema.safeParse(record);
    return parsed.success ? [{ ...parsed.data, rollbackOf: parsed.data.rollbackOf }] : [];
  });
}

const idsOf = (records: readonly JsonObject[], ...events: readonly string[]): Set<unknown> =>
  new Set(records.filter(({ event }) => events.includes(String(event))).map(({ id }) => id));

/** How far an intent came, by the last that the journal says of it. */
export type Stage = "intent" | "applied" | "failed";

/**
 * What a bridge that was killed left undone: the last intent of each service, unless it ended. Whatever came before it in the
 * same service is past.
 */
export function findOpen(records: readonly JsonObject[]): { readonly intent: Intent; readonly stage: Stage }[] {
  const [ended, failed] = [idsOf(records, "converged", "abandoned", "ended"), idsOf(records, "failed")];
  const applied = idsOf(records, "applied");
  const last = new Map(intentsOf(records).map((intent) => [intent.service, intent]));
  return [...last.values()]
    .filter(({ id }) => !ended.has(id))
    .map((intent) => ({
      intent,
      stage: failed.has(intent.id) ? "failed" : applied.has(intent.id) ? "applied" : "intent",
    }));
}

/** What ran well in this service, newest first: candidates to roll back to, which must be verified anew. */
export function findConverged(records: readonly JsonObject[], { environment, service }: Intent): Intent[] {
  const converged = idsOf(records, "converged");
  const own = intentsOf(records).filter((intent) => intent.environment === environment && intent.service === service);
  return own.filter(({ id }) => converged.has(id)).reverse();
}
