import type { Gun, RoleName } from "../notary/tuf/names.ts";
import type { Digest } from "../oci/digest.ts";

/**
 * A signature that verifies, by whomever: whose key it is, and whether that counts, is the verdict's to say. A format adds
 * itself by a function that makes these.
 */
export interface Evidence {
  readonly format: "tuf" | "cosign";
  /** `spkiOf` of the key. */
  readonly spki: string;
  /** SHA-256 of what is signed. */
  readonly digest: Digest;
  /** Undefined when the format binds nothing but the digest: then it counts wherever the digest is. */
  readonly statement: Statement | undefined;
}

/** What a format says beyond the digest: where, under which name, and how long. */
export interface Statement {
  readonly gun: Gun;
  readonly role: RoleName;
  readonly tag: string;
  /** `spkiOf` of the keys that could make another key sign here: those of root, targets and all roles above. */
  readonly definedBy: ReadonlySet<string>;
  /** The first of all files it rests on runs out then. */
  readonly expiresAt: Date;
  /** When the server last said that this is current. */
  readonly freshAt: Date;
}

/** Something that looks like a signature and counts for nothing. */
export interface Refusal {
  /** The role, or the digest of the signature's manifest. */
  readonly where: string;
  /** A sentence for whoever thought it would count. */
  readonly reason: string;
}

export interface Found {
  readonly evidence: readonly Evidence[];
  readonly refusals: readonly Refusal[];
}

/** What a GUN says a tag is. */
export interface TagBinding extends Pick<Statement, "gun" | "tag" | "role" | "expiresAt" | "freshAt"> {
  /** SHA-256. */
  readonly digest: Digest;
}
