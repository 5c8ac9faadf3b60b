import type { Json, JsonObject } from "../oci/json.ts";
import type { Database, Row, Sql } from "../storage/database.ts";

export type Outcome = "done" | "refused";

/** One thing that was done or refused. */
export interface AuditEntry {
  /** Whole milliseconds. */
  readonly at: Date;
  readonly actor: string;
  /** 0: nobody signed in. */
  readonly actorId: number;
  readonly action: string;
  readonly target: string;
  /** User or organization that the target belongs to; empty for none. */
  readonly namespace: string;
  readonly outcome: Outcome;
  readonly source: string;
  readonly requestId: string;
  readonly decisionId: string | undefined;
  readonly detail: JsonObject;
}

export interface StoredEntry extends AuditEntry {
  readonly id: number;
}

/** Every field narrows; an absent one does not. */
export interface AuditQuery {
  readonly actor?: string | undefined;
  readonly action?: string | undefined;
  /** As it stands, or its beginning and `*`. */
  readonly target?: string | undefined;
  readonly outcome?: string | undefined;
  readonly since?: Date | undefined;
  /** Not included. */
  readonly until?: Date | undefined;
  /** Only what belongs to one of these. */
  readonly namespaces?: readonly string[] | undefined;
  /** The last entry of the page before. */
  readonly after?: { readonly at: Date; readonly id: number } | undefined;
}

const COLUMNS = "at, id, actor, actor_id, action, target, namespace, outcome, source, request_id, decision_id, detail";
const monthsAhead = 3;
const maxTextLength = 1024;

/** Rows of `audit_log`. */
export class AuditStore {
  readonly #database: Database;
  readonly #months = new Set<string>();

  constructor(database: Database) {
    this.#database = database;
  }

  async insert(entries: readonly AuditEntry[]): Promise<void> {
    for (const { at } of entries) await this.#ensureMonth(at);
    await insertEntries(this.#database, entries);
  }

  /** In the transaction of the change that the entry is about. */
  async insertWithin(sql: Sql, entry: AuditEntry): Promise<void> {
    // What the transaction makes may be undone with it, so it is not remembered.
    if (!this.#months.has(monthOf(entry.at))) await ensureMonth(sql, entry.at);
    await insertEntries(sql, [entry]);
  }

  /** The tables of this month and the next ones, so that nobody waits for one when a month begins. */
  async ensureMonths(now: Date): Promise<void> {
    for (let ahead = 0; ahead <= monthsAhead; ahead++) {
      await this.#ensureMonth(new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + ahead, 1)));
    }
  }

  /** Newest first. */
  async search(query: AuditQuery, limit: number): Promise<StoredEntry[]> {
    const values: unknown[] = [limit];
    const conditions = conditionsOf(query).map(([condition, value]) => {
      values.push(value);
      return condition.replaceAll("?", `$${values.length}`);
    });
    if (query.after !== undefined) {
      values.push(query.after.at, query.after.id);
      conditions.push(`(at, id) < ($${values.length - 1}::timestamptz, $${values.length}::bigint)`);
    }
    const where = conditions.length === 0 ? "" : `where ${conditions.join(" and ")}`;
    // Without a name: planned for the values at hand, which decide what index is good.
    const rows = await this.#database.query(
      "",
      `select ${COLUMNS} from audit_log ${where} order by at desc, id desc limit $1`,
      values,
    );
    return rows.map(toEntry);
  }

  async findDecision(decisionId: string): Promise<StoredEntry | undefined> {
    const [row] = await this.#database.query(
      "audit-decision",
      `select ${COLUMNS} from audit_log where decision_id = $1`,
      [decisionId],
    );
    return row === undefined ? undefined : toEntry(row);
  }

  /** Organizations that the user owns. (owner of the rows: orgs-store.ts; this only reads) */
  async findOwnedOrgs(userId: number): Promise<string[]> {
    const rows = await this.#database.query<{ org: string }>(
      "audit-orgs",
      "select org from org_members where user_id = $1 and role = 'owner'",
      [userId],
    );
    return rows.map(({ org }) => org);
  }

  async #ensureMonth(at: Date): Promise<void> {
    if (this.#months.has(monthOf(at))) return;
    await ensureMonth(this.#database, at);
    this.#months.add(monthOf(at));
  }
}

function monthOf(at: Date): string {
  return at.toISOString().slice(0, 7);
}

async function ensureMonth(sql: Sql, at: Date): Promise<void> {
  await sql.query("audit-month", "select audit_log_ensure_month($1)", [at]);
}

async function insertEntries(sql: Sql, entries: readonly AuditEntry[]): Promise<void> {
  await sql.query(
    "audit-insert",
    `insert into audit_log (at, actor, actor_id, action, target, namespace, outcome, source, request_id, decision_id,
       detail)
     select at, actor, actor_id, action, target, namespace, outcome, source, request_id, decision_id, detail::jsonb
     from unnest($1::timestamptz[], $2::text[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::text[],
       $8::text[], $9::text[], $10::text[], $11::text[])
       as e (at, actor, actor_id, action, target, namespace, outcome, source, request_id, decision_id, detail)`,
    toColumns(entries),
  );
}

/** A `?` stands for the value beside it. */
function conditionsOf(query: AuditQuery): [string, unknown][] {
  const { actor, action, target, outcome, since, until, namespaces } = query;
  const all: [string, unknown][] = [
    ["actor = ?", actor],
    ["action = ?", action],
    target?.endsWith("*") === true ? ["starts_with(target, ?)", target.slice(0, -1)] : ["target = ?", target],
    ["outcome = ?", outcome],
    ["at >= ?::timestamptz", since],
    ["at < ?::timestamptz", until],
    ["namespace = any(?::text[])", namespaces],
  ];
  return all.filter(([, value]) => value !== undefined);
}

function toColumns(entries: readonly AuditEntry[]): unknown[] {
  return [
    entries.map(({ at }) => at),
    entries.map(({ actor }) => storable(actor)),
    entries.map(({ actorId }) => actorId),
    entries.map(({ action }) => action),
    entries.map(({ target }) => storable(target)),
    entries.map(({ namespace }) => storable(namespace)),
    entries.map(({ outcome }) => outcome),
    entries.map(({ source }) => source),
    entries.map(({ requestId }) => requestId),
    entries.map(({ decisionId }) => decisionId ?? null),
    entries.map(({ detail }) => JSON.stringify(storableJson(detail))),
  ];
}

/** PostgreSQL's text has no NUL and no half of a character; what somebody typed may. */
function storable(text: string): string {
  return text.slice(0, maxTextLength).toWellFormed().replaceAll("\0", "\u2400");
}

function storableJson(value: Json): Json {
  if (typeof value === "string") return storable(value);
  if (Array.isArray(value)) return value.map(storableJson);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, storableJson(inner as Json)]));
}

function toEntry(row: Row): StoredEntry {
  return {
    at: row.at,
    id: Number(row.id),
    actor: row.actor,
    actorId: Number(row.actor_id),
    action: row.action,
    target: row.target,
    namespace: row.namespace,
    outcome: row.outcome,
    source: row.source,
    requestId: row.request_id,
    decisionId: row.decision_id ?? undefined,
    detail: row.detail,
  };
}
