import type { DamageReason } from "./quarantine.ts";

/** For log and metrics. */
export type IntegrityEvent =
  | {
      readonly kind: "damaged";
      readonly of: "blob" | "manifest";
      readonly digest: string;
      readonly reason: DamageReason;
    }
  | { readonly kind: "lifted"; readonly of: "blob" | "manifest"; readonly digest: string }
  /** Could not be read just then; the check goes on without it. */
  | { readonly kind: "error"; readonly digest: string; readonly error: unknown }
  /** By the scrub, without anything being asked of it. */
  | { readonly kind: "scrubbed"; readonly objects: number; readonly bytes: number };
