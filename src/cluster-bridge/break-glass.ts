import type { Key } from "../notary/tuf/key.ts";
import { sha256Of } from "../notary/tuf/signed-file.ts";
import type { Digest } from "../oci/digest.ts";
import type { RepositoryName } from "../oci/repository-name.ts";
import { BREAK_GLASS_TYPE, MAX_BREAK_GLASS_MS, parseBreakGlassStatement } from "../trust/break-glass-statement.ts";
import { parseEnvelope, verifyEnvelope } from "../trust/dsse.ts";
import type { BridgeClock } from "./bridge-clock.ts";
import { BridgeError, type Refusal, toRefusal } from "./errors.ts";
import { parseImageReference, toPinned } from "./image-reference.ts";
import type { Journal } from "./journal.ts";

/** Whoever signed may have a clock that is ahead of ours. */
const SKEW_MS = 300_000;

export interface BreakGlassDeps {
  readonly authority: string;
  readonly clock: Pick<BridgeClock, "read" | "saw">;
  readonly journal: Pick<Journal, "append">;
  /** Those that decide what the bridge asks for. */
  readonly keys: readonly Key[];
  readonly threshold: number;
}

/** What somebody wants to run without the signatures for it. */
export interface AskedImage {
  /** Must be {@link toPinned}'s spelling: by its digest alone. */
  readonly image: string;
  readonly environment: string;
}

export interface BreakGlass {
  readonly kind: "break-glass";
  readonly repository: RepositoryName;
  readonly digest: Digest;
  readonly reason: string;
  readonly expiresAt: Date;
}

/**
 * One image in one environment for a day at most, because the holders of the policy keys say so: the only way past missing
 * signatures. It verifies as everything else does, and stands in the journal before it counts.
 * @see design.md rule 6, issue 7: no switch skips verification
 */
export async function breakGlass(
  deps: BreakGlassDeps,
  envelope: Uint8Array,
  { image, environment }: AskedImage,
): Promise<BreakGlass | Refusal> {
  try {
    const now = deps.clock.read();
    const found = readStatement(deps, envelope, now);
    const { repository, digest, statement } = found;
    if (statement.environment !== environment || image !== toPinned({ authority: deps.authority, repository }, digest))
      throw new BridgeError("POLICY", `the statement is for ${statement.image} in ${statement.environment}`);
    const { reason, expires } = statement;
    const sha256 = sha256Of(envelope).toString("hex");
    await deps.journal.append({ event: "break-glass", environment, image, reason, expires, statement: sha256 });
    await deps.clock.saw(now);
    return { kind: "break-glass", repository, digest, reason, expiresAt: new Date(expires) };
  } catch (error) {
    return toRefusal(error);
  }
}

function readStatement({ authority, keys, threshold }: BreakGlassDeps, bytes: Uint8Array, now: Date) {
  const envelope = parseEnvelope(bytes);
  verifyEnvelope(envelope, { payloadType: BREAK_GLASS_TYPE, keys, threshold });
  const statement = parseBreakGlassStatement(envelope.payload);
  const [issuedMs, expiresMs, nowMs] = [Date.parse(statement.issued), Date.parse(statement.expires), now.getTime()];
  if (!(nowMs < expiresMs)) throw new BridgeError("POLICY", `the statement expired at ${statement.expires}`);
  if (!(issuedMs <= nowMs + SKEW_MS)) throw new BridgeError("POLICY", "the statement was issued in the future");
  if (!(expiresMs - issuedMs <= MAX_BREAK_GLASS_MS))
    throw new BridgeError("POLICY", "a statement is good for 24 hours at most");
  const { repository, digest, tag } = parseImageReference(statement.image, authority);
  if (digest === undefined || tag !== undefined)
    throw new BridgeError("POLICY", "the statement names no image by its digest alone");
  return { statement, repository, digest };
}
