import { isNamespaceName } from "../../oci/repository-name.ts";

/** The first administrator is always local: no directory can become it. */
const RESERVED = new Set(["admin"]);

/**
 * A directory's name as a name of ours: `Ann.Smith` is `ann-smith`. Undefined for what cannot be one, and for `admin`.
 * Two names that fold to one are two people: the second is refused where it would be made.
 */
export function foldName(name: string): string | undefined {
  const folded = name
    .toLowerCase()
    .replace(/[^a-z0-9_-]+/g, "-")
    .replace(/[_-]*-[_-]*/g, "-")
    .replace(/__+/g, "_")
    .replace(/^[_-]+|[_-]+$/g, "");
  return isNamespaceName(folded) && !RESERVED.has(folded) ? folded : undefined;
}

/** What may be looked up: LDAP takes many spellings for one name, this keeps to printable ASCII without spaces. */
export function isDirectoryName(name: string): boolean {
  return /^[\x21-\x7e]{1,64}$/.test(name);
}

/** DNs are compared without case and without spaces around their parts. @see RFC 4514 */
export function normalDn(dn: string): string {
  return dn
    .toLowerCase()
    .replace(/\s*([,+=])\s*/g, "$1")
    .trim();
}
