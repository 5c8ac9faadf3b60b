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
  /** That the service is part of; undefined: it stands alone. */
  readonly stack: string | undefined;
  /** The intent that is taken back; undefined: somebody ordered just this. */
  readonly rollbackOf: string | undefined;
  /** The statement (DSSE, base64) that stood in for signatures; undefined: it was signed. */
  readonly breakGlass: string | undefined;
}

/** That a service shall be no more; in the journal before the engine hears of it. */
export interface Removal {
  readonly id: string;
  readonly environment: string;
  readonly service: string;
  readonly user: string;
}

const intentSchema = z.object({
  event: z.literal("intent"),
  ...{ id: z.string(), environment: z.string(), service: z.string(), pinned: z.string(), spec: z.string() },
  ...{ user: z.string(), because: z.string(), rollbackOf: z.string().optional(), breakGlass: z.string().optional() },
  stack: z.string().optional(),
});
const removalSchema = z.object({
  event: z.literal("remove"),
  ...{ id: z.string(), environment: z.string(), service: z.string(), user: z.string() },
});

/** Undefined for a record of something else, which costs nothing: journals are long. */
export function findIntent(record: JsonObject): Intent | undefined {
  if (record.event !== "intent") return undefined;
  const parsed = intentSchema.safeParse(record);
  if (!parsed.success) return undefined;
  const { event: _, stack, rollbackOf, breakGlass, ...rest } = parsed.data;
  return { ...rest, stack, rollbackOf, breakGlass };
}

const intentsOf = (records: readonly JsonObject[]): Intent[] =>
  records.map(findIntent).filter((intent) => intent !== undefined);

const idsOf = (records: readonly JsonObject[], ...events: readonly string[]): Set<unknown> =>
  new Set(records.filter(({ event }) => events.includes(String(event))).map(({ id }) => id));

/** How far an intent came, by the last that the journal says of it. */
export type Stage = "intent" | "applied" | "failed";

/**
 * What was begun and is not at its end: the last intent of each service, unless it ended or the service was to be removed
 * since. Whatever came before it in the same service is past.
 */
export function findOpen(records: readonly JsonObject[]): { readonly intent: Intent; readonly stage: Stage }[] {
  const [ended, failed] = [idsOf(records, "converged", "abandoned", "ended"), idsOf(records, "failed")];
  const applied = idsOf(records, "applied");
  const last = new Map(intentsOf(records).map((intent) => [intent.service, intent]));
  return [...last.values()]
    .filter(({ id, service }) => !ended.has(id) && sinceRemoval(records, service).some((record) => record.id === id))
    .map((intent) => ({
      intent,
      stage: failed.has(intent.id) ? "failed" : applied.has(intent.id) ? "applied" : "intent",
    }));
}

/** The removals that were begun and are not at their end; one that something newer was ordered after is past. */
export function findOpenRemovals(records: readonly JsonObject[]): Removal[] {
  const ended = idsOf(records, "removed", "abandoned");
  const open = new Map<string, Removal>();
  for (const record of records) {
    if (record.event === "intent") open.delete(String(record.service));
    if (record.event !== "remove") continue;
    const parsed = removalSchema.safeParse(record);
    if (parsed.success && !ended.has(parsed.data.id)) open.set(parsed.data.service, parsed.data);
  }
  return [...open.values()];
}

/** A service that is made again under the name of one that was removed begins anew. */
function sinceRemoval(records: readonly JsonObject[], service: string): readonly JsonObject[] {
  const last = records.findLastIndex((record) => record.event === "remove" && record.service === service);
  return records.slice(last + 1);
}

/**
 * What ran well in this service and was not taken back, newest first: candidates to roll back to, which must be verified
 * anew.
 */
export function findConverged(
  records: readonly JsonObject[],
  { environment, service }: Pick<Intent, "environment" | "service">,
): Intent[] {
  const converged = idsOf(records, "converged");
  const all = intentsOf(sinceRemoval(records, service));
  const own = all.filter((intent) => intent.environment === environment && intent.service === service);
  return newestImages(findKept(own.map((intent) => ({ ...intent, isConverged: converged.has(intent.id) }))));
}

/** Images of a service to go back to, what runs among them. The registry is asked to keep just these: older ones may be gone. */
const MAX_IMAGES = 6;

/** @param kept newest first */
export function newestImages<T extends Pick<Intent, "pinned">>(kept: readonly T[]): T[] {
  const images = new Set([...new Set(kept.map(({ pinned }) => pinned))].slice(0, MAX_IMAGES));
  return kept.filter(({ pinned }) => images.has(pinned));
}

/** Of all that was begun in one service, oldest first: what ran well and was not taken back, newest first. */
export function findKept<T extends Intent & { readonly isConverged: boolean }>(own: readonly T[]): T[] {
  const takenBack = new Set<string>();
  for (const intent of own) {
    const before = own.find(({ id }) => id === intent.rollbackOf);
    if (before !== undefined) takenBack.add(whatOf(before));
    // Whoever orders it once more wants it.
    if (intent.rollbackOf === undefined) takenBack.delete(whatOf(intent));
  }
  return own.filter((intent) => intent.isConverged && !takenBack.has(whatOf(intent))).reverse();
}

const whatOf = ({ pinned, spec }: Intent): string => `${pinned} ${spec}`;
