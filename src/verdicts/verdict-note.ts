import type { Signature } from "../trust/counting.ts";
import type { RequireRow } from "../trust/require.ts";
import { adviceOf, whoOf } from "../trust/sentences.ts";
import type { JudgedImage } from "./image.ts";

/** A signature as a verdict keeps it. */
export interface SignatureNote {
  readonly format: string;
  /** Hex SHA-256 of the key's SPKI. */
  readonly spki: string;
  /** Null: a stranger's key, or a server's. */
  readonly user: string | null;
  readonly machine: boolean;
  readonly class: string;
  /** Null: it counts. */
  readonly refused: string | null;
  readonly digest: string;
  /** Null, and so the following: it binds nothing but the digest. */
  readonly gun: string | null;
  readonly role: string | null;
  readonly tag: string | null;
  readonly expiresAt: string | null;
}

export interface RowNote {
  readonly row: RequireRow;
  readonly who: readonly string[];
  readonly met: boolean;
}

/** A verdict as it is kept. */
export interface VerdictNote {
  readonly rows: readonly RowNote[];
  readonly signatures: readonly SignatureNote[];
  readonly missing: readonly string[];
  /** The same without a word of who signed: for those who did not sign in. */
  readonly told: readonly string[];
  readonly refusals: readonly { readonly where: string; readonly reason: string; readonly gun: string | null }[];
}

export interface NotedVerdict {
  readonly allowed: boolean;
  readonly until: Date | undefined;
  readonly note: VerdictNote;
}

/** An image may have any number of signatures; a verdict is read whole. */
const maxNoted = 32;

export function toNoted({ allowed, until, rows, signatures, missing, refusals, subject }: JudgedImage): NotedVerdict {
  const unmet = rows.filter(({ met }) => !met);
  const told = unmet.map(
    ({ row }) => `${subject.digest} is not signed by ${whoOf(row)}, as it must be; ${adviceOf(row, subject)}`,
  );
  const note = {
    ...{
      rows,
      missing,
      refusals: refusals.slice(0, maxNoted).map(({ gun, ...one }) => ({ ...one, gun: gun ?? null })),
    },
    signatures: signatures.slice(0, maxNoted).map(toSignatureNote),
    // What is left says that the tag's binding is missing, which is nobody's name.
    told: [...missing.slice(0, missing.length - unmet.length), ...told],
  };
  return { allowed, until, note };
}

function toSignatureNote({ evidence, owner, class: own, refused }: Signature): SignatureNote {
  const { format, spki, digest, statement } = evidence;
  return {
    ...{ format, spki, digest, class: own, refused: refused ?? null },
    user: owner?.kind === "person" ? owner.user : null,
    machine: owner?.kind === "machine",
    gun: statement?.gun ?? null,
    role: statement?.role ?? null,
    tag: statement?.tag ?? null,
    expiresAt: statement?.expiresAt.toISOString() ?? null,
  };
}
