import { BodyTooLargeError } from "../http/body.ts";
import { bytes, empty, type Reply, type ReplyHeaders } from "../http/reply.ts";
import type { Request } from "../http/request.ts";
import { OciError } from "../oci/error.ts";
import { UpdateError } from "./tuf/error.ts";

export type NotaryCode =
  | "INSUFFICIENT_STORAGE"
  | "INVALID_GUN"
  | "INVALID_PARAMETERS"
  | "INVALID_ROLE"
  | "INVALID_UPDATE"
  | "MALFORMED_JSON"
  | "MALFORMED_UPLOAD"
  | "METADATA_NOT_FOUND"
  | "METHOD_NOT_ALLOWED"
  | "NO_FILENAME"
  | "TOOMANYREQUESTS"
  | "UNAUTHORIZED"
  | "UNAVAILABLE"
  | "UNKNOWN"
  | "VERSION";

interface Wire {
  readonly status: number;
  readonly message: string;
}

/** Total: a code without a status does not compile. @see notary `server/errors/errors.go` */
const WIRE: Readonly<Record<NotaryCode, Wire>> = {
  INSUFFICIENT_STORAGE: { status: 507, message: "The disk is full; nothing was stored." },
  INVALID_GUN: { status: 400, message: "The server does not support actions on images of this name." },
  INVALID_PARAMETERS: { status: 400, message: "The parameters provided are not valid." },
  INVALID_ROLE: { status: 400, message: "The role you are attempting to operate on is invalid." },
  INVALID_UPDATE: { status: 400, message: "Update sent by the client is invalid." },
  MALFORMED_JSON: { status: 400, message: "JSON sent by the client could not be parsed by the server" },
  MALFORMED_UPLOAD: { status: 400, message: "The body of your request is malformed." },
  METADATA_NOT_FOUND: { status: 404, message: "You have requested metadata that does not exist." },
  METHOD_NOT_ALLOWED: { status: 405, message: "" },
  NO_FILENAME: { status: 400, message: "No file/role name provided." },
  TOOMANYREQUESTS: { status: 429, message: "too many requests" },
  UNAUTHORIZED: { status: 401, message: "authentication required" },
  UNAVAILABLE: { status: 503, message: "The server cannot reach its database right now." },
  UNKNOWN: { status: 500, message: "unknown error" },
  VERSION: { status: 400, message: "A newer version of metadata is already available." },
};

export interface NotaryErrorOptions {
  /** Anything JSON; left out of the answer where it is undefined. */
  readonly detail?: unknown;
  readonly headers?: ReplyHeaders;
  readonly cause?: unknown;
}

/** A refusal of the Notary v1 API. */
export class NotaryError extends Error {
  readonly code: NotaryCode;
  readonly detail: unknown;
  readonly headers: ReplyHeaders;

  constructor(code: NotaryCode, { detail, headers = {}, cause }: NotaryErrorOptions = {}) {
    super(WIRE[code].message, cause === undefined ? undefined : { cause });
    this.name = "NotaryError";
    this.code = code;
    this.detail = detail;
    this.headers = headers;
  }
}

/** Nothing is there; `{}` tells a known route without data from one that there is not. */
export function missing(): NotaryError {
  return new NotaryError("METADATA_NOT_FOUND", { detail: {} });
}

/** Exactly one error: clients give up on a body with more, or one above 1,024 bytes. */
export function notaryErrorReply(error: unknown, request: Request): Reply | undefined {
  const known = toNotaryError(error, request);
  if (known === undefined) return undefined;
  const { code, detail, headers } = known;
  const { status, message } = WIRE[code];
  request.notes.refused = code;
  if (known.cause instanceof Error) request.notes.why = known.cause.message.slice(0, 500);
  if (status === 405) return empty(status, headers);
  const decision = request.notes.decision === undefined ? "" : ` (decision ${request.notes.decision})`;
  const one = { code, message: `${message}${decision}`, ...(detail === undefined ? {} : { detail }) };
  const body = Buffer.from(`${JSON.stringify({ errors: [one] })}\n`);
  return bytes(status, "application/json; charset=utf-8", body, headers);
}

function toNotaryError(error: unknown, request: Request): NotaryError | undefined {
  if (error instanceof NotaryError) return error;
  if (error instanceof UpdateError) return new NotaryError(error.code, { detail: error.detail, cause: error });
  if (error instanceof BodyTooLargeError) return new NotaryError("MALFORMED_UPLOAD", { cause: error });
  return error instanceof OciError ? fromOci(error, request) : undefined;
}

/** What the gate and the stores throw; the other codes are never thrown on our routes. */
function fromOci(error: OciError, request: Request): NotaryError | undefined {
  const { headers } = error;
  switch (error.code) {
    case "UNAUTHORIZED":
      return new NotaryError("UNAUTHORIZED", { headers, detail: missingAccess(request), cause: error });
    // A name that no repository can have, or that is kept for another one: nothing is there, and nothing can come.
    case "NAME_INVALID":
    case "DENIED":
      if (request.route.id !== "trust-update") return missing();
      return new NotaryError("INVALID_GUN", { detail: error.message.slice(0, 300), cause: error });
    case "NAME_UNKNOWN":
      return missing();
    case "TOOMANYREQUESTS":
    case "UNAVAILABLE":
    case "INSUFFICIENT_STORAGE":
      return new NotaryError(error.code, { headers, cause: error });
    default:
      return undefined;
  }
}

/** What a token for this request has to name, as upstream lists it. */
function missingAccess(request: Request): readonly object[] {
  const { access } = request.route;
  if (access.kind !== "trust") return [{ Type: "registry", Class: "", Name: "catalog", Action: "*" }];
  const actions = { pull: ["pull"], sign: ["push", "pull"], admin: ["*"] }[access.action];
  return actions.map((Action) => ({ Type: "repository", Class: "", Name: request.param("gun"), Action }));
}
