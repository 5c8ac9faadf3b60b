import type { Key } from "../notary/tuf/key.ts";
import { sha256Of } from "../notary/tuf/signed-file.ts";
import type { RepositoryName } from "../oci/repository-name.ts";
import { parseEnvelope, verifyEnvelope } from "./dsse.ts";
import { TrustError } from "./error.ts";
import { matchesImage } from "./image-pattern.ts";
import type { KeyOwner, People } from "./people.ts";
import { type Environment, type PolicyDocument, parsePolicyDocument } from "./policy-document.ts";

/** The `payloadType` of a policy document's envelope. */
export const POLICY_TYPE = "goldseal.policy/v1";

export interface PolicyPins {
  readonly keys: readonly Key[];
  readonly threshold: number;
  /** What was in force until now; undefined at first. */
  readonly stored: SignedPolicy | undefined;
}

export interface SignedPolicy {
  readonly document: PolicyDocument;
  /** Lower-case hex, over the payload. */
  readonly sha256: string;
}

/**
 * The policy in an envelope, signed by enough of the pinned keys and not older than the stored one. It may have expired:
 * then nothing new is deployed under it, but what runs can still be seen.
 * @throws TrustError MALFORMED, SIGNATURE, VERSION, POLICY
 */
export function openPolicy(bytes: Uint8Array, { keys, threshold, stored }: PolicyPins): SignedPolicy {
  const envelope = parseEnvelope(bytes);
  verifyEnvelope(envelope, { payloadType: POLICY_TYPE, keys, threshold });
  const document = parsePolicyDocument(envelope.payload);
  const sha256 = sha256Of(envelope.payload).toString("hex");
  if (stored !== undefined) refuseOlder(document.version, sha256, stored);
  return { document, sha256 };
}

/** Rollback, and a second document under one number (as hardening T03, T04). The very same again is no change. */
function refuseOlder(version: number, sha256: string, stored: SignedPolicy): void {
  const current = stored.document.version;
  if (version > current || (version === current && sha256 === stored.sha256)) return;
  throw new TrustError("VERSION", `policy version ${version} after version ${current} has been in force`);
}

/** What a policy asks for an image in an environment, or why it asks nothing that could be met. */
export type EnvironmentRule =
  | { readonly kind: "rule"; readonly environment: Environment }
  | { readonly kind: "refuse"; readonly reason: string };

export function findRule(
  { environments, expiresAt }: PolicyDocument,
  environment: string,
  repository: RepositoryName,
  now: Date,
): EnvironmentRule {
  const refuse = (reason: string): EnvironmentRule => ({ kind: "refuse", reason });
  // A clock that is no date refuses too.
  if (!(now.getTime() < expiresAt.getTime())) {
    return refuse(
      `the policy expired at ${expiresAt.toISOString()}; nothing new is deployed until a newer one is signed`,
    );
  }
  const found = environments.get(environment);
  if (found === undefined) return refuse(`the policy has no environment ${environment}`);
  if (!found.images.some((pattern) => matchesImage(pattern, repository))) {
    return refuse(`${repository} is none of the images of ${environment}: ${found.images.join(", ")}`);
  }
  return { kind: "rule", environment: found };
}

/** Whom the document knows: its keys count without more, because who signed it has looked at them. */
export function peopleOf({ keys, teams }: PolicyDocument): People {
  const teamsOf = (user: string): ReadonlySet<string> =>
    new Set([...teams].filter(([, users]) => users.has(user)).map(([team]) => team));
  const owner = (user: string): KeyOwner => ({
    kind: "person",
    user,
    proved: true,
    removed: false,
    teams: teamsOf(user),
  });
  return new Map([...keys.values()].map(({ spki, user }) => [spki, owner(user)]));
}
