import type { RoleName } from "./names.ts";

/** What kind of doubt refused a file. `EXPIRED` alone is also no attack but a clock's doing. */
export type VerificationCode =
  | "DELEGATION"
  | "EXPIRED"
  | "KEY"
  | "LIMIT"
  | "MALFORMED"
  | "MISMATCH"
  | "NAME"
  | "STRUCTURE"
  | "THRESHOLD"
  | "VERSION";

export interface VerificationErrorOptions {
  /** Only with `EXPIRED`. */
  readonly expired?: { readonly role: RoleName; readonly expires: string };
  readonly cause?: unknown;
}

/** A file, key or signature that does not hold. The message is what the wire says in `Msg`. */
export class VerificationError extends Error {
  readonly code: VerificationCode;
  readonly expired: { readonly role: RoleName; readonly expires: string } | undefined;

  constructor(code: VerificationCode, message: string, { expired, cause }: VerificationErrorOptions = {}) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = "VerificationError";
    this.code = code;
    this.expired = expired;
  }
}

/** All are HTTP 400. */
export type UpdateCode =
  | "INVALID_ROLE"
  | "INVALID_UPDATE"
  | "MALFORMED_JSON"
  | "MALFORMED_UPLOAD"
  | "NO_FILENAME"
  | "VERSION";

/** The names that clients print a sentence for. */
export type FaultName = "ErrBadHierarchy" | "ErrBadRoot" | "ErrBadSnapshot" | "ErrBadTargets" | "ErrValidation";

export interface Fault {
  readonly Name: FaultName;
  readonly Error: { readonly Missing?: string; readonly Msg: string };
}

/** The wire's `detail` as it is sent; undefined means that the answer has no such member. */
export type UpdateDetail = Fault | string | Readonly<Record<string, never>> | undefined;

/**
 * A push refused; code and detail are part of the protocol.
 * @see docs/decisions/0010
 */
export class UpdateError extends Error {
  readonly code: UpdateCode;
  readonly detail: UpdateDetail;

  constructor(code: UpdateCode, detail?: UpdateDetail, cause?: unknown) {
    super(sentenceOf(code, detail), cause === undefined ? undefined : { cause });
    this.name = "UpdateError";
    this.code = code;
    this.detail = typeof detail === "string" ? cut(detail) : detail;
  }
}

/** Clients read 1,024 bytes of an error body and fall back to "rejected" when it is longer. */
const MAX_MESSAGE_BYTES = 600;

/** @param missing the role that `ErrBadHierarchy` misses */
export function faultOf(name: FaultName, message: string, missing?: string): Fault {
  const text = cut(message);
  return { Name: name, Error: missing === undefined ? { Msg: text } : { Missing: missing, Msg: text } };
}

/** Never half a character, and short enough even when every byte is escaped on the wire. */
function cut(message: string): string {
  if (Buffer.byteLength(JSON.stringify(message)) <= MAX_MESSAGE_BYTES) return message;
  let text = "";
  for (const character of message) {
    if (Buffer.byteLength(JSON.stringify(text + character)) > MAX_MESSAGE_BYTES) break;
    text += character;
  }
  return `${text}…`;
}

function sentenceOf(code: UpdateCode, detail: UpdateDetail): string {
  if (typeof detail === "object" && "Name" in detail) return `${code} ${detail.Name}: ${(detail as Fault).Error.Msg}`;
  return typeof detail === "string" ? `${code}: ${detail}` : code;
}
