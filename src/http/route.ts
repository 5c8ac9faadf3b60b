import type { RepositoryAction } from "../oci/access.ts";
import type { JsonObject } from "../oci/json.ts";
import type { Reply } from "./reply.ts";
import type { Request } from "./request.ts";

/** Who may use a route. Repository routes carry the repository in `<name>`. */
export type Access =
  /** Anyone, without looking at credentials (health, metrics, the token service, which looks itself). */
  | { readonly kind: "open" }
  /** `GET /v2/`: any good credentials, an anonymous token too; who sends none is challenged, so that clients sign in. */
  | { readonly kind: "ping" }
  /** The list of repositories: anyone; a token must name `registry:catalog:*`. */
  | { readonly kind: "catalog" }
  /** REST: whoever signs in, by name and password or with a personal token or a robot's. Registry tokens are refused. */
  | { readonly kind: "user" }
  | { readonly kind: "system-admin" }
  /** REST: the account of the cluster's bridge (GOLDSEAL_BRIDGE_ACCOUNT), or a system administrator. */
  | { readonly kind: "cluster-agent" }
  /** REST: a system administrator or an auditor. */
  | { readonly kind: "auditor" }
  /** REST: a member (`view`) or an owner (`manage`) of the organization in `<org>`; with `orUser` that may be a user, for whom it is their own. */
  | { readonly kind: "org"; readonly right: "view" | "manage"; readonly orUser?: true }
  /** REST: an owner of `<org>`, or an administrator of its `<team>`. */
  | { readonly kind: "team" }
  /** REST: whoever administers `<repo>` of `<org>`; for `*`, the whole of it. */
  | { readonly kind: "grant" }
  /** REST: whoever administers all of `<org>`, which may be a user; to `view`, auditors too. */
  | { readonly kind: "org-admin"; readonly right: "view" | "manage" }
  /** REST: `action` on the repository `<repo>` of `<org>`. */
  | { readonly kind: "org-repository"; readonly action: RepositoryAction }
  /**
   * `action` on the repository named by the path parameter `name`. With `orUnchanged` whoever may sign there but not do this
   * is let in too, with an admission that says so: to be told that it is done already, or refused.
   */
  | { readonly kind: "repository"; readonly action: RepositoryAction; readonly orUnchanged?: true }
  /** Trust data of the GUN in the path parameter `gun`. Refused with 401, never 403. */
  | { readonly kind: "trust"; readonly action: TrustAction };

/** To read trust data; to publish it, and see the server's public keys; to replace those, or delete all of it. */
export type TrustAction = "pull" | "sign" | "admin";

export type Handler = (request: Request) => Promise<Reply>;
/**
 * A handler in two parts, for the reads that are asked for most: this looks rows up while the gate judges, so both wait
 * for the database once. What it returns answers the request, and that, or what it throws, is touched only after the gate
 * let the request pass. Whoever is refused can make it run, so it changes nothing and reads no more than a row.
 */
export type LookAhead = (request: Request) => Promise<() => Promise<Reply>>;
export type Method = "GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE";

export interface Route {
  /** The endpoint's id in its specification; also the route's name in logs and metrics. */
  readonly id: string;
  readonly method: Method;
  /** `<name>` takes one or more segments, any other `<parameter>` one. */
  readonly path: string;
  readonly access: Access;
  /** Longest request body in bytes; 0 where none is read, Infinity where it is streamed to the blob store. */
  readonly maxBodyBytes: number;
  readonly handler: Handler;
  /** Where it is given, it stands for the handler. */
  readonly lookAhead?: LookAhead;
}

export function route(
  id: string,
  method: Method,
  path: string,
  access: Access,
  handler: Handler,
  { maxBodyBytes = 0 }: { readonly maxBodyBytes?: number } = {},
): Route {
  return { id, method, path, access, maxBodyBytes, handler };
}

/** A route without a request body whose rows are looked up while the gate judges. */
export function readRoute(id: string, method: Method, path: string, access: Access, lookAhead: LookAhead): Route {
  return { ...route(id, method, path, access, async (request) => (await lookAhead(request))()), lookAhead };
}

/** Turns whatever was thrown into an answer in one protocol's words; undefined for what it does not know. */
export type ErrorReply = (error: unknown, request: Request) => Reply | undefined;

export type Match =
  | { readonly kind: "route"; readonly route: Route; readonly params: Readonly<Record<string, string>> }
  | { readonly kind: "method-not-allowed"; readonly allowed: readonly Method[] }
  | { readonly kind: "not-found" };

/** One protocol on the origin: its routes, and how it writes its errors. */
export interface Protocol {
  /** Paths that begin with this, or match it, belong to the protocol, 404 included; the first protocol has a path. */
  readonly prefix: string | RegExp;
  readonly routes: readonly Route[];
  /** Finds the route of a raw (still percent-encoded) path; default: by the paths that the routes have. */
  readonly match?: (method: string, path: string) => Match;
  readonly errorReply: ErrorReply;
  /** Thrown for a path without a route, and for a method that the path does not have. */
  readonly notFound: () => Error;
  readonly methodNotAllowed: (allowed: readonly Method[]) => Error;
  /** Thrown for anything else that is wrong with the request line, its query or its body's length. */
  readonly badRequest: (message: string) => Error;
}

/** How the gate judged, for the record: set where it refused, and where a right was used that few have. */
export interface Judgement {
  readonly why: string;
  /** The rule path. */
  readonly verdict?: JsonObject;
}

/** Sees how requests end, before their answers go out. */
export interface Witness {
  /** Returns the error to answer with: it may give one that refuses somebody an id to ask about. */
  refused(request: Request, error: unknown): unknown;
  /** Resolves when what must be on record is; a throw is answered in place of the reply. */
  answered(request: Request, reply: Reply): Promise<void> | undefined;
}

/**
 * Decides before the handler runs: reads the credentials, throws the protocol's refusal or returns the actor.
 * `repository` is the text of `<name>`, not yet parsed.
 */
export type Gate = (request: Request, access: Access) => Promise<void>;
