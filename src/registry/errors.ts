import { BodyTooLargeError } from "../http/body.ts";
import { json, type Reply } from "../http/reply.ts";
import type { Request } from "../http/request.ts";
import type { Digest } from "../oci/digest.ts";
import { type OciCode, OciError } from "../oci/error.ts";

export const API_VERSION = { "Docker-Distribution-Api-Version": "registry/2.0" } as const;

interface Wire {
  readonly status: number;
  /** The code that clients see; ours are finer than the specification's. */
  readonly code: string;
}

/** Total: a code without a status does not compile. @see distribution-spec v1.1 "Error Codes" */
export const WIRE: Readonly<Record<OciCode, Wire>> = {
  BLOB_UNKNOWN: { status: 404, code: "BLOB_UNKNOWN" },
  BLOB_UPLOAD_INVALID: { status: 400, code: "BLOB_UPLOAD_INVALID" },
  BLOB_UPLOAD_RANGE: { status: 416, code: "BLOB_UPLOAD_INVALID" },
  BLOB_UPLOAD_UNKNOWN: { status: 404, code: "BLOB_UPLOAD_UNKNOWN" },
  DENIED: { status: 403, code: "DENIED" },
  DIGEST_INVALID: { status: 400, code: "DIGEST_INVALID" },
  INSUFFICIENT_STORAGE: { status: 507, code: "INSUFFICIENT_STORAGE" },
  IN_USE: { status: 409, code: "DENIED" },
  MANIFEST_BLOB_UNKNOWN: { status: 400, code: "MANIFEST_BLOB_UNKNOWN" },
  MANIFEST_INVALID: { status: 400, code: "MANIFEST_INVALID" },
  MANIFEST_TOO_LARGE: { status: 413, code: "MANIFEST_INVALID" },
  MANIFEST_UNKNOWN: { status: 404, code: "MANIFEST_UNKNOWN" },
  NAME_INVALID: { status: 400, code: "NAME_INVALID" },
  NAME_UNKNOWN: { status: 404, code: "NAME_UNKNOWN" },
  NOT_FOUND: { status: 404, code: "NOT_FOUND" },
  PAGINATION_NUMBER_INVALID: { status: 400, code: "PAGINATION_NUMBER_INVALID" },
  RANGE_INVALID: { status: 416, code: "RANGE_INVALID" },
  SIZE_INVALID: { status: 400, code: "SIZE_INVALID" },
  TAG_INVALID: { status: 400, code: "TAG_INVALID" },
  TIMEOUT: { status: 408, code: "TIMEOUT" },
  TOOMANYREQUESTS: { status: 429, code: "TOOMANYREQUESTS" },
  UNAUTHORIZED: { status: 401, code: "UNAUTHORIZED" },
  UNAVAILABLE: { status: 503, code: "UNAVAILABLE" },
  UNSUPPORTED: { status: 405, code: "UNSUPPORTED" },
  UNSUPPORTED_REQUEST: { status: 400, code: "UNSUPPORTED" },
};

/** Undefined for what is not a refusal of this protocol: the door makes a bare 500 of it. */
export function registryErrorReply(error: unknown, request: Request): Reply | undefined {
  if (error instanceof BodyTooLargeError) return registryErrorReply(tooLarge(request), request);
  if (!(error instanceof OciError)) return undefined;
  const { status, code } = WIRE[error.code];
  request.notes.refused = error.code;
  if (status >= 500) request.notes.why = error.cause instanceof Error ? error.cause.message : "";
  const detail = error.detail === undefined ? {} : { detail: error.detail };
  // Clients of 2015 and the notary program take a 401 without this header for a registry of version 1.
  const headers = { ...API_VERSION, ...error.headers };
  return json(status, { errors: [{ code, message: error.message, ...detail }] }, headers);
}

/**
 * What is damaged is absent to every endpoint, so that the next push brings it back; who pulls it is told more.
 * @see docs/decisions/0014
 */
export function inQuarantine(code: "BLOB_UNKNOWN" | "MANIFEST_UNKNOWN", digest: Digest): OciError {
  return new OciError(code, {
    message: `the registry's bytes of ${digest} are damaged and were set aside; push it again, or tell its operator`,
    detail: { digest, quarantined: true },
  });
}

function tooLarge(request: Request): OciError {
  if (request.route.maxBodyBytes > 0) return new OciError("MANIFEST_TOO_LARGE");
  return new OciError("SIZE_INVALID", { message: "this request takes no body" });
}
