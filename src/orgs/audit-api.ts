import { z } from "zod";
import { nextLink } from "../http/page.ts";
import { bytes, json } from "../http/reply.ts";
import type { Request } from "../http/request.ts";
import { operation, type RestOperation, readQuery } from "../http/rest-operation.ts";
import type { Handler } from "../http/route.ts";
import type { AuditLog } from "./audit-log.ts";
import type { AuditQuery, AuditStore, StoredEntry } from "./audit-store.ts";
import type { UsersStore } from "./users-store.ts";

export interface AuditApiDeps {
  readonly auditStore: AuditStore;
  readonly audit: AuditLog;
  readonly users: UsersStore;
}

const defaultLimit = 100;
const maxLimit = 1000;
const NDJSON = "application/x-ndjson";
const FILTERS = ["actor", "action", "target", "outcome", "since", "until"] as const;

const moment = z.union([z.iso.datetime({ offset: true }), z.iso.date()], "a date or time such as 2026-11-22T12:00:00Z");

const querySchema = z.object({
  actor: z.string().optional(),
  action: z.string().optional(),
  target: z.string().optional(),
  outcome: z.enum(["done", "refused"]).optional(),
  since: moment.optional(),
  until: moment.optional(),
  after: z
    .string()
    .regex(/^\d{1,15}-\d{1,18}$/, "what an answer called next")
    .optional(),
  limit: z
    .string()
    .regex(/^[1-9]\d{0,8}$/, "a whole number, one or more")
    .optional(),
});

export const entrySchema = z.object({
  at: z.string(),
  actor: z.string(),
  action: z.string(),
  target: z.string(),
  namespace: z.string(),
  outcome: z.enum(["done", "refused"]),
  source: z.string().describe("address of the connection"),
  requestId: z.string(),
  decision: z.string().optional().describe("what a refused client was told to ask about"),
  detail: z.record(z.string(), z.unknown()),
});

export const auditOperations = (deps: AuditApiDeps): RestOperation[] => [
  operation(["audit-search", "GET", "/api/v1/audit", { kind: "user" }], {
    summary:
      "Who did what and who was refused what, newest first: everything for system administrators and auditors, for " +
      "others what concerns the names they own. With Accept: application/x-ndjson all of it is streamed.",
    query: querySchema,
    answers: { 200: z.object({ entries: z.array(entrySchema), next: z.string().optional() }) },
    lines: entrySchema,
    act: searchAudit(deps),
  }),
];

/**
 * `GET /api/v1/audit?actor=&action=&target=&outcome=&since=&until=&after=&limit=`: newest first. System administrators
 * and auditors see everything, others what concerns the names they own. With `Accept: application/x-ndjson` everything
 * that fits is streamed, one entry a line, without a page's limit.
 * @throws OrgsError invalid-request
 */
function searchAudit(deps: AuditApiDeps): Handler {
  return async (request) => {
    const { limit, query } = parseQuery(request);
    const namespaces = await visibleNamespaces(deps, request);
    const visible: AuditQuery = { ...query, namespaces };
    // What this process has seen so far is in the answer.
    await deps.audit.flush();

    if (wantsNdjson(request)) {
      return bytes(200, NDJSON, {
        length: undefined,
        chunks: () => exportLines(deps.auditStore, visible, limit ?? Number.POSITIVE_INFINITY),
        close: async () => undefined,
      });
    }
    const size = Math.min(limit ?? defaultLimit, maxLimit);
    const found = await deps.auditStore.search(visible, size + 1);
    const entries = found.slice(0, size);
    const last = entries.at(-1);
    if (last === undefined || found.length <= size) return json(200, { entries: entries.map(toWire) });
    const next = toCursor(last);
    const parameters = { ...filtersOf(request), limit: String(size), after: next };
    return json(200, { entries: entries.map(toWire), next }, nextLink("/api/v1/audit", parameters));
  };
}

/** Undefined: everything. */
export async function visibleNamespaces(
  { users, auditStore }: Pick<AuditApiDeps, "users" | "auditStore">,
  request: Request,
): Promise<readonly string[] | undefined> {
  const { kind, id } = request.actor;
  // Robots are numbered on their own: the user with a robot's number is somebody else.
  const user = kind === "user" ? await users.findById(id) : undefined;
  if (user === undefined) return [];
  if (user.systemAdmin || user.auditor) return undefined;
  return [user.name, ...(await auditStore.findOwnedOrgs(user.id))];
}

export function toWire({ id: _, at, decisionId, actorId: __, ...entry }: StoredEntry) {
  return { at: at.toISOString(), ...entry, ...(decisionId === undefined ? {} : { decision: decisionId }) };
}

function parseQuery(request: Request): { limit: number | undefined; query: AuditQuery } {
  const { since, until, after, limit, ...filters } = readQuery(request, querySchema);
  const [atMs, id] = (after ?? "").split("-").map(Number);
  return {
    limit: limit === undefined ? undefined : Number(limit),
    query: {
      ...filters,
      since: since === undefined ? undefined : new Date(since),
      until: until === undefined ? undefined : new Date(until),
      after: atMs === undefined || id === undefined ? undefined : { at: new Date(atMs), id },
    },
  };
}

function filtersOf(request: Request): Record<string, string> {
  const given = FILTERS.map((name) => [name, request.query(name)] as const);
  return Object.fromEntries(given.flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])));
}

function wantsNdjson(request: Request): boolean {
  return (request.header("accept") ?? "").split(",").some((type) => type.split(";")[0]?.trim() === NDJSON);
}

/** Page by page, so that neither this process nor the database holds all of it. */
async function* exportLines(store: AuditStore, query: AuditQuery, limit: number): AsyncGenerator<Uint8Array> {
  let after = query.after;
  for (let left = limit; left > 0; ) {
    const size = Math.min(left, maxLimit);
    const entries = await store.search({ ...query, after }, size);
    if (entries.length > 0) yield Buffer.from(entries.map((entry) => `${JSON.stringify(toWire(entry))}\n`).join(""));
    if (entries.length < size) return;
    left -= entries.length;
    after = entries.at(-1);
  }
}

function toCursor({ at, id }: StoredEntry): string {
  return `${at.getTime()}-${id}`;
}
