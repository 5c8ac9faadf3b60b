/** What is under test while it runs: one server, or several, and the deaths it can die. */
import type { ClientConfig } from "pg";
import type { Client } from "./client.ts";
import type { Deaths, Plan } from "./plan.ts";
import type { StoreCounts } from "./store-check.ts";
import { PUBLIC_URL } from "./trust-operations.ts";

export const SERVER_ENV = {
  GOLDSEAL_TLS: "off",
  GOLDSEAL_LOG_LEVEL: "error",
  GOLDSEAL_PUBLIC_URL: PUBLIC_URL,
  // Only when it is asked for, and then at once.
  GOLDSEAL_GC_EVERY_MINUTES: "off",
  GOLDSEAL_GC_GRACE_HOURS: "0",
  GOLDSEAL_GC_UNTAGGED_HOURS: "0",
};
export const POLL_MS = 5;
/** A failpoint that was not reached by then is not reached in this cycle. */
export const FAILPOINT_MS = 8000;
/** hardening.md P1. */
export const RECOVERY_MS = 5000;
/** Writers go on for a while on what came back, or on what is left. */
export const AFTERWARDS_MS = 200;

export interface Outcome {
  /** Whether something must be started again. */
  readonly isDead: boolean;
  readonly failpoint?: string;
  readonly recoveryMs?: number;
}

export interface World {
  /** Deaths under which it lives on, and those after which it must be started. */
  readonly deaths: Deaths;
  /** Starts what does not run, with the failpoint armed that `plan` names. Returns how long that took. */
  start(plan: Plan | undefined): Promise<number>;
  /** Of what runs now: all servers by turns. */
  readonly client: Client;
  /** Of what runs now, each server alone. */
  readonly each: readonly Client[];
  readonly database: ClientConfig;
  /** Waits as long as the plan says, then does it; returns when the damage is done (and mended, where it mends itself). */
  strike(plan: Plan): Promise<Outcome>;
  /** Every row against the bytes it promises. @throws Violation */
  checkStore(): Promise<StoreCounts>;
  /** What was left over is swept in time. @throws Violation */
  checkSweep(): Promise<void>;
  kill(): Promise<void>;
  /** @throws Error when a server does not stop in an orderly way */
  stop(): Promise<void>;
  /** After `stop` or `kill`: what it ran on. */
  close(): Promise<void>;
}

export const failpointEnv = (plan: Plan | undefined): Record<string, string> =>
  plan?.kind === "failpoint" ? { GOLDSEAL_FAILPOINT: `${plan.name}:${plan.pass}` } : {};

/** The one it has reached. */
export const findFailpoint = (output: string): string | undefined => /^failpoint ([\w.]+)$/m.exec(output)?.[1];
