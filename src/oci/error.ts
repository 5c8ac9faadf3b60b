/**
 * The refusal codes of the Distribution API, and two of our own for a server that cannot answer now
 * (the specification allows any code of capital letters and underscores in a 5xx body).
 * @see distribution-spec v1.1 "Error Codes"
 */
export type OciCode =
  | "BLOB_UNKNOWN"
  | "BLOB_UPLOAD_INVALID"
  | "BLOB_UPLOAD_RANGE"
  | "BLOB_UPLOAD_UNKNOWN"
  | "DENIED"
  | "DIGEST_INVALID"
  | "INSUFFICIENT_STORAGE"
  | "IN_USE"
  | "MANIFEST_BLOB_UNKNOWN"
  | "MANIFEST_INVALID"
  | "MANIFEST_TOO_LARGE"
  | "MANIFEST_UNKNOWN"
  | "NAME_INVALID"
  | "NAME_UNKNOWN"
  | "NOT_FOUND"
  | "PAGINATION_NUMBER_INVALID"
  | "RANGE_INVALID"
  | "SIZE_INVALID"
  | "TAG_INVALID"
  | "TIMEOUT"
  | "TOOMANYREQUESTS"
  | "UNAUTHORIZED"
  | "UNAVAILABLE"
  | "UNSUPPORTED"
  | "UNSUPPORTED_REQUEST";

export interface OciErrorOptions {
  /** One sentence for the person at the client: what was refused, why, and what to do. */
  readonly message?: string;
  /** Anything a program can use; must be JSON and hold no secret. */
  readonly detail?: unknown;
  /** Headers that belong to the refusal: `WWW-Authenticate`, `Range`, `Retry-After`. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly cause?: unknown;
}

const DEFAULT_MESSAGE: Readonly<Record<OciCode, string>> = {
  BLOB_UNKNOWN: "blob unknown to this repository",
  BLOB_UPLOAD_INVALID: "blob upload invalid",
  BLOB_UPLOAD_RANGE: "this chunk does not start where the upload ends; see the Range header",
  BLOB_UPLOAD_UNKNOWN: "no such upload in this repository; start again with POST",
  DENIED: "requested access to the resource is denied",
  DIGEST_INVALID: "provided digest did not match uploaded content",
  INSUFFICIENT_STORAGE: "the registry's disk is full; nothing was stored; try again once its operator made room",
  IN_USE: "still referenced",
  MANIFEST_BLOB_UNKNOWN: "manifest references a manifest or blob unknown to this repository",
  MANIFEST_INVALID: "manifest invalid",
  MANIFEST_TOO_LARGE: "manifest larger than 4 MiB",
  MANIFEST_UNKNOWN: "manifest unknown to this repository",
  NAME_INVALID: "invalid repository name",
  NAME_UNKNOWN: "repository name not known to registry",
  NOT_FOUND: "no such endpoint",
  PAGINATION_NUMBER_INVALID: "n must be one whole number, zero or more",
  RANGE_INVALID: "the requested range lies outside the blob",
  SIZE_INVALID: "provided length did not match content length",
  TAG_INVALID: "invalid tag",
  TIMEOUT: "the client sent nothing for too long",
  TOOMANYREQUESTS: "too many requests",
  UNAUTHORIZED: "authentication required",
  UNAVAILABLE: "the registry cannot reach its database right now; try again in a moment",
  UNSUPPORTED: "the operation is unsupported",
  UNSUPPORTED_REQUEST: "bad request",
};

/** A refusal of the Distribution API; stores throw it too. `http/` alone turns it into an answer. */
export class OciError extends Error {
  readonly code: OciCode;
  readonly detail: unknown;
  readonly headers: Readonly<Record<string, string>>;

  constructor(code: OciCode, options: OciErrorOptions = {}) {
    super(options.message ?? DEFAULT_MESSAGE[code], options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "OciError";
    this.code = code;
    this.detail = options.detail;
    this.headers = options.headers ?? {};
  }
}
