const DAY_SECONDS = 86_400;
const YEAR_SECONDS = 365 * DAY_SECONDS;

/** Where this server is stricter than the protocol, in numbers; what it signs itself lives as long as clients expect. */
export interface UpdatePolicy {
  /** Files in one upload (hardening T02). */
  readonly maxParts: number;
  /** A version may be this much above the stored one: 2^31 would lock the repository for ever (N03, T05). */
  readonly maxVersionJump: number;
  /** How long an uploaded file may be valid: for ever is a key's theft for ever (T05). */
  readonly maxLifeSeconds: Readonly<Record<"root" | "targets" | "snapshot", number>>;
  /** How long an uploaded file must still be valid: less is dead before its readers fetched it (T06). */
  readonly minLifeSeconds: number;
  /** How far a client's clock may be ahead of ours. */
  readonly clockSkewSeconds: number;
  /** Delegations between `targets` and a role (T16). */
  readonly maxLevels: number;
  /** Clients warn of a snapshot that ends within half a year. */
  readonly snapshotLifeSeconds: number;
  readonly timestampLifeSeconds: number;
}

export const DEFAULT_POLICY: UpdatePolicy = {
  maxParts: 16,
  maxVersionJump: 10,
  maxLifeSeconds: { root: 10 * YEAR_SECONDS, targets: 3 * YEAR_SECONDS, snapshot: 3 * YEAR_SECONDS },
  minLifeSeconds: 3600,
  clockSkewSeconds: DAY_SECONDS,
  maxLevels: 8,
  snapshotLifeSeconds: 3 * YEAR_SECONDS,
  timestampLifeSeconds: 14 * DAY_SECONDS,
};
