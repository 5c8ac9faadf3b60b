import { isRootCertificate } from "./certificate.ts";
import { VerificationError } from "./error.ts";
import { refuseSameKeyTwice } from "./key-rules.ts";
import { type Root, toRoot } from "./metadata.ts";
import { type Gun, ROOT } from "./names.ts";
import type { SignedFile } from "./signed-file.ts";
import { type RoleKeys, verifyRole } from "./verify.ts";

export interface Succession {
  readonly gun: Gun;
  /** The root in force until now, verified before; undefined for the first root of a GUN. */
  readonly current: Root | undefined;
  /** When the new certificates must be valid; undefined skips their dates (a former root on the way to the newest). */
  readonly now: Date | undefined;
}

/**
 * `file` is a root of this GUN, signed by its own keys to its own threshold and, where there is a root already, by that
 * one's keys to that one's threshold: whoever holds the new keys alone, or fewer old ones than needed, takes nothing
 * over. Versions and expiry are the caller's.
 * @throws VerificationError
 * @see TUF 1.0 section 5.3.4; hardening T01, T08, T13
 */
export function verifyRootSuccession(file: SignedFile, { gun, current, now }: Succession): Root {
  const root = toRoot(file);
  for (const [name, role] of Object.entries(root.roles)) refuseSameKeyTwice(name, role);
  const certificates = rootCertificates(root, gun, now);
  if (certificates.keyIds.length === 0) {
    throw new VerificationError(
      "KEY",
      "could not validate the path to a trusted root: unable to retrieve valid leaf certificates",
    );
  }
  if (current !== undefined) {
    // An old certificate may have run out: it still hands over, or nobody ever could.
    signedBy(file, rootCertificates(current, gun, undefined), ROTATION_FAILED);
  }
  signedBy(file, certificates, INTEGRITY_FAILED);
  return root;
}

const ROTATION_FAILED =
  "could not rotate trust to a new trusted root: failed to validate data with current trusted certificates";
const INTEGRITY_FAILED = "could not validate the path to a trusted root: failed to validate integrity of roots";

/** The root role, counting only keys in certificates that may stand for the root of this GUN. */
function rootCertificates({ roles: { root } }: Root, gun: Gun, now: Date | undefined): RoleKeys {
  const isUsable = (id: (typeof root.keyIds)[number]): boolean => {
    const key = root.keys.get(id);
    return key !== undefined && isRootCertificate(key, gun, now);
  };
  return { ...root, keyIds: root.keyIds.filter(isUsable) };
}

function signedBy(file: SignedFile, keys: RoleKeys, otherwise: string): void {
  try {
    verifyRole(file, ROOT, keys);
  } catch (cause) {
    if (!(cause instanceof VerificationError)) throw cause;
    throw new VerificationError(cause.code, otherwise, { cause });
  }
}
