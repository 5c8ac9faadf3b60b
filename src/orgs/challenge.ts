import type { RepositoryAction } from "../oci/access.ts";
import { OciError } from "../oci/error.ts";

export interface ChallengeSettings {
  /** Exactly one is offered: docker and notary misbehave on two. Basic sent unasked is taken all the same. */
  readonly authChallenge: "bearer" | "basic";
  readonly publicUrl: string;
  /** The audience of tokens. */
  readonly service: string;
}

export type TokenFault = "invalid_token" | "insufficient_scope";

export interface Challenge {
  /** What a token for this request would have to name; checked text, since it is put into a header. */
  readonly scope?: string | undefined;
  readonly fault?: TokenFault | undefined;
}

export const BASIC_CHALLENGE = 'Basic realm="goldseal"';

/** What docker asks for, so that one token does for the whole push. */
const SCOPE_ACTIONS: Readonly<Record<RepositoryAction, string>> = {
  list: "pull",
  pull: "pull",
  push: "pull,push",
  create: "pull,push",
  untag: "pull,delete",
  delete: "pull,delete",
  sign: "*",
  promote: "*",
  admin: "*",
};

export function repositoryScope(name: string, action: RepositoryAction): string {
  return `repository:${name}:${SCOPE_ACTIONS[action]}`;
}

/** @see distribution "Token Authentication Specification"; RFC 6750 section 3 */
export function unauthorized(settings: ChallengeSettings, message: string, challenge: Challenge = {}): OciError {
  return new OciError("UNAUTHORIZED", { message, headers: { "WWW-Authenticate": toHeader(settings, challenge) } });
}

function toHeader({ authChallenge, publicUrl, service }: ChallengeSettings, { scope, fault }: Challenge): string {
  if (authChallenge === "basic") return BASIC_CHALLENGE;
  const parts = [`realm="${publicUrl}/token"`, `service="${service}"`];
  if (scope !== undefined) parts.push(`scope="${scope}"`);
  if (fault !== undefined) parts.push(`error="${fault}"`);
  return `Bearer ${parts.join(",")}`;
}
