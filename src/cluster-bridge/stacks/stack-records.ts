import { z } from "zod";
import type { JsonObject } from "../../oci/json.ts";
import { type Part, partSchema } from "./stack-plan.ts";

/** One service of a stack, judged. */
export interface StackMember {
  readonly service: string;
  /** `host:port/org/app@sha256:…` */
  readonly pinned: string;
  /** The specification's bytes, as text. */
  readonly spec: string;
  /** Who signed. */
  readonly because: string;
}

/** What the bridge means to make of a stack; in the journal before the engine hears of it. What secrets hold is not in it. */
export interface StackIntent {
  /** Unique; its services' intents begin with it. */
  readonly id: string;
  readonly environment: string;
  readonly stack: string;
  readonly user: string;
  readonly prune: boolean;
  readonly parts: readonly Part[];
  readonly members: readonly StackMember[];
}

export interface StackRemoval {
  readonly id: string;
  readonly environment: string;
  readonly stack: string;
  readonly user: string;
}

const removalShape = { id: z.string(), environment: z.string(), stack: z.string(), user: z.string() };
const removalSchema = z.object({ event: z.literal("stack-remove"), ...removalShape });
const intentSchema = z.object({
  event: z.literal("stack"),
  ...removalShape,
  prune: z.boolean(),
  parts: z.array(partSchema),
  members: z.array(z.object({ service: z.string(), pinned: z.string(), spec: z.string(), because: z.string() })),
});

export type OpenStack =
  | { readonly kind: "deploy"; readonly intent: StackIntent }
  | { readonly kind: "remove"; readonly removal: StackRemoval };

/** What a bridge that was killed left undone: the last that was ordered of each stack, unless it ended. */
export function findOpenStacks(records: readonly JsonObject[]): OpenStack[] {
  const ended = new Set(records.filter(({ event }) => event === "stack-ended").map(({ id }) => id));
  const last = new Map<string, OpenStack & { readonly id: string }>();
  for (const record of records) {
    if (record.event !== "stack" && record.event !== "stack-remove") continue;
    const intent = intentSchema.safeParse(record).data;
    const removal = removalSchema.safeParse(record).data;
    if (intent !== undefined) last.set(intent.stack, { kind: "deploy", id: intent.id, intent: toIntent(intent) });
    if (removal !== undefined) last.set(removal.stack, { kind: "remove", id: removal.id, removal });
  }
  return [...last.values()].filter(({ id }) => !ended.has(id));
}

function toIntent({ parts, ...rest }: z.output<typeof intentSchema>): StackIntent {
  return { ...rest, parts: parts.map((part) => ({ ...part, settings: part.settings as JsonObject, hash: part.hash })) };
}

/** How a service's intent of a stack is found again. */
export const memberId = (stackId: string, service: string): string => `${stackId}.${service}`;

/** How far a service's intent came, by the last that the journal says of it; undefined: it was never begun. */
export function findEnd(records: readonly JsonObject[], id: string): string | undefined {
  const own = records.filter((record) => record.id === id).map(({ event }) => String(event));
  return own.findLast(isOver) ?? own.at(-1);
}

export const isOver = (event: string): boolean => ["converged", "ended", "abandoned"].includes(event);
