import { VerificationError } from "./error.ts";
import { type Delegation, type Root, type Targets, toTargets } from "./metadata.ts";
import { parentOf, type RoleName, TARGETS } from "./names.ts";
import type { SignedFile } from "./signed-file.ts";
import { verifyDelegationCertificates, verifyRole } from "./verify.ts";

/** Targets and delegations that hold, by role; a parent is there before its children. */
export type VerifiedTargets = ReadonlyMap<RoleName, Targets>;

/**
 * `file` as `targets`, signed as the root says, or as a delegation, signed as its verified parent says. Expiry and
 * version are the caller's.
 * @throws VerificationError DELEGATION when the parent does not list the role (hardening N09: an undelegated role)
 * @see TUF 1.0 section 5.6.3; hardening T01, T16
 */
export function verifyTargets(file: SignedFile, role: RoleName, root: Root, verified: VerifiedTargets): Targets {
  if (role === TARGETS) {
    verifyRole(file, role, root.roles.targets);
    return toTargets(file, role);
  }
  const delegation = getDelegation(role, verified);
  verifyDelegationCertificates(role, delegation);
  const targets = toTargets(file, role);
  verifyRole(file, role, delegation);
  return targets;
}

/** @throws VerificationError DELEGATION */
export function getDelegation(role: RoleName, verified: VerifiedTargets): Delegation {
  const parent = parentOf(role);
  const found = parent && verified.get(parent)?.delegations.find(({ name }) => name === role);
  if (!found) throw new VerificationError("DELEGATION", `tuf: invalid role ${role}. delegation does not exist`);
  return found;
}
