import { randomBytes } from "node:crypto";
import { LRUCache } from "lru-cache";
import type { Reply } from "../http/reply.ts";
import type { Request } from "../http/request.ts";
import type { Witness } from "../http/route.ts";
import { UpdateError } from "../notary/tuf/error.ts";
import { OciError } from "../oci/error.ts";
import type { JsonObject } from "../oci/json.ts";
import { namespaceOf } from "../oci/repository-name.ts";
import type { Sql } from "../storage/database.ts";
import type { AuditLog } from "./audit-log.ts";
import type { AuditEntry } from "./audit-store.ts";
import { OrgsError } from "./errors.ts";

export interface AuditWitnessDeps {
  readonly audit: Pick<AuditLog, "record" | "note">;
  /** In the transaction of a change. */
  readonly insertWithin: (sql: Sql, entry: AuditEntry) => Promise<void>;
  readonly now: () => Date;
}

/** Uploads in progress: nobody can fetch anything of them until the step that answers 201. */
const UPLOAD_STEPS = new Set(["end-4", "end-5", "end-14"]);
const TOKEN_ROUTES = new Set(["token-get", "token-post"]);
/** Codes of either class that refuse somebody; a 404 of REST may stand for what is hidden. */
const REFUSALS = new Set([
  ...["DENIED", "UNAUTHORIZED", "TOOMANYREQUESTS"],
  ...["forbidden", "unauthorized", "too-many-requests", "not-found"],
  // Somebody claims what another one signs with.
  ...["bad-proof", "key-taken"],
]);
const CREDENTIALS = new Set(["UNAUTHORIZED", "unauthorized", "TOOMANYREQUESTS", "too-many-requests"]);

/**
 * Puts on record: changes, in their own transaction; and at the one door that every request passes refusals, which get
 * an id to ask about, sign-ins, and what a system administrator reads by that right alone.
 */
export class AuditWitness implements Witness {
  readonly #deps: AuditWitnessDeps;
  readonly #onRecord = new WeakSet<Request>();
  /** Who signs in with a password in every request is one sign-in each five minutes, per process. */
  readonly #seen = new LRUCache<string, true>({ max: 10_000, ttl: 5 * 60_000 });

  constructor(deps: AuditWitnessDeps) {
    this.#deps = deps;
  }

  /** The change that the request makes, with the change or not at all. */
  async record(sql: Sql, request: Request): Promise<void> {
    await this.#deps.insertWithin(sql, this.#entry(request));
    this.#onRecord.add(request);
  }

  /** A sign-in that leaves something behind. */
  async recordSignIn(sql: Sql, request: Request): Promise<void> {
    await this.#deps.insertWithin(sql, this.#signIn(request, "token"));
    this.#onRecord.add(request);
  }

  refused(request: Request, error: unknown): unknown {
    if (error instanceof UpdateError) {
      const entry = this.#entry(request, { code: error.code, message: error.message });
      this.#deps.audit.note({ ...entry, outcome: "refused" });
    }
    if (!isRefusal(request, error)) return error;
    // A 404 of REST is mostly a miss and looks like one to the byte: it is on record, without an id.
    const decisionId = error.code === "not-found" ? undefined : newDecisionId();
    const ofSignIn = request.judgement === undefined && CREDENTIALS.has(error.code);
    const entry = this.#entry(request, { code: error.code, message: error.message });
    this.#deps.audit.note({
      ...entry,
      ...(ofSignIn && ofAccount(entry, request.claimedName)),
      outcome: "refused",
      decisionId,
    });
    if (decisionId === undefined) return error;
    request.notes.decision = decisionId;
    return withDecision(error, decisionId);
  }

  answered(request: Request, reply: Reply): Promise<void> | undefined {
    if (reply.status >= 400) return undefined;
    const onRecord = this.#onRecord.has(request);
    if (TOKEN_ROUTES.has(request.route.id)) return onRecord ? undefined : this.#noteSignIn(request, "token");
    if (request.claimedName !== "") this.#noteBasic(request);
    const isRead = request.method === "GET" || request.method === "HEAD";
    if (isRead && request.judgement?.why === "system-admin") this.#deps.audit.note(this.#entry(request));
    if (onRecord || isRead || (UPLOAD_STEPS.has(request.route.id) && reply.status !== 201)) return undefined;
    // What has no transaction of its own, such as starting a sync.
    return this.#deps.audit.record(this.#entry(request));
  }

  #noteBasic(request: Request): void {
    const key = `${request.actor.id} ${request.actor.name} ${request.clientAddress}`;
    if (this.#seen.has(key)) return;
    this.#seen.set(key, true);
    this.#noteSignIn(request, "basic");
  }

  #noteSignIn(request: Request, by: string): undefined {
    if (request.actor.kind !== "anonymous") this.#deps.audit.note(this.#signIn(request, by));
  }

  #signIn(request: Request, by: string): AuditEntry {
    const entry = this.#entry(request, { by });
    return { ...entry, ...ofAccount(entry, request.actor.name) };
  }

  #entry(request: Request, more: JsonObject = {}): AuditEntry {
    const { route, actor, judgement, asked, notes } = request;
    const { action, target, namespace, rest } = matterOf(request);
    return {
      at: this.#deps.now(),
      actor: actor.name,
      actorId: actor.id,
      ...{ action, target, namespace },
      outcome: "done",
      source: request.clientAddress,
      requestId: request.id,
      decisionId: undefined,
      detail: { route: route.id, method: request.method, ...rest, ...notes, ...judgement, ...more, ...asked },
    };
  }
}

/** A sign-in concerns the account, wherever it was tried. */
function ofAccount({ target, detail }: AuditEntry, account: string) {
  return { action: "sign-in", actor: account, target: "", namespace: account, detail: { ...detail, at: target } };
}

/** What the request is about: a repository, or whatever a path of REST names. */
function matterOf(request: Request) {
  const { access, path, id } = request.route;
  if (request.about !== undefined)
    return { action: id, target: request.about, namespace: namespaceOf(request.about), rest: { path: request.path } };
  const names = [...path.matchAll(/<([a-z]+)>/g)].map(([, name = ""]) => name);
  const params = Object.fromEntries(names.map((name) => [name, request.param(name)]));
  const { name, ...rest } = params;
  if (access.kind === "repository" && name !== undefined) {
    return { action: access.action, target: name, namespace: name.split("/", 1)[0] ?? "", rest };
  }
  if (access.kind === "trust") {
    // The name of the repository without the authority of our URL before it.
    const target = params.gun?.slice(params.gun.indexOf("/") + 1) ?? "";
    return { action: `trust-${access.action}`, target, namespace: target.split("/", 1)[0] ?? "", rest };
  }
  const isRepository = path.endsWith("/orgs/<org>/repositories/<repo>");
  if (isRepository)
    return { action: id, target: `${params.org}/${params.repo}`, namespace: params.org ?? "", rest: {} };
  const target = path.replace(/^\/api\/v1\//, "").replace(/<([a-z]+)>/g, (_, param: string) => params[param] ?? "");
  return { action: id, target, namespace: params.org ?? params.user ?? "", rest: {} };
}

/** A challenge to a client that sent no credentials yet asks for them and refuses nobody. */
function isRefusal(request: Request, error: unknown): error is OciError | OrgsError {
  if (!(error instanceof OciError || error instanceof OrgsError)) return false;
  if (error.code === "NAME_UNKNOWN") return request.judgement !== undefined;
  if (!REFUSALS.has(error.code)) return false;
  const isChallenge =
    /unauthorized/i.test(error.code) && request.headerAll("authorization").length === 0 && request.method !== "POST";
  return !isChallenge;
}

/** The same form for whatever is refused: only the id differs between what is hidden and what is missing. */
function withDecision(error: OciError | OrgsError, decision: string): OciError | OrgsError {
  const message = `${error.message} (decision ${decision})`;
  if (error instanceof OrgsError)
    return new OrgsError(error.code, message, { headers: error.headers, cause: error, decision });
  const headers = withDescription(error.headers, message);
  return new OciError(error.code, { message, detail: { decision }, headers, cause: error });
}

/** docker shows this of a refusal in place of the body. @see RFC 6750 section 3: what its text may hold */
function withDescription(headers: OciError["headers"], message: string): OciError["headers"] {
  const challenge = headers["WWW-Authenticate"];
  if (typeof challenge !== "string" || !challenge.endsWith('error="insufficient_scope"')) return headers;
  const text = message.replace(/[^\x20-\x7e]|["\\]/g, "'");
  return { ...headers, "WWW-Authenticate": `${challenge},error_description="${text}"` };
}

const ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789";

/** 80 random bits: nobody guesses another one's. */
export function newDecisionId(): string {
  return Array.from(randomBytes(16), (byte) => ALPHABET[byte % ALPHABET.length]).join("");
}
