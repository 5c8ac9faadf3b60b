import type { Database, Row, Sql } from "../storage/database.ts";
import type { Image, ImageVerdict, PolicyVerdict } from "./policy-verdict.ts";
import type { NotedVerdict, VerdictNote } from "./verdict-note.ts";
import { holdStamp, isSame, type Stamp } from "./watch-store.ts";

/** Puts it on record, in the transaction that stores the verdict. */
export type RecordTurn = (sql: Sql, turn: ImageVerdict) => Promise<void>;

interface VerdictRow extends Row {
  policy_id: string;
  allowed: boolean;
  until: Date | null;
  verdict: VerdictNote;
}

/** Rows of `verdicts`. */
export class VerdictsStore {
  readonly #database: Database;
  readonly #recordTurn: RecordTurn;

  constructor(database: Database, recordTurn: RecordTurn) {
    this.#database = database;
    this.#recordTurn = recordTurn;
  }

  /** Those that rest on `stamp` and hold at `now`, by policy. */
  async find({ repositoryId, tag, digest }: Image, stamp: Stamp, now: Date): Promise<Map<number, NotedVerdict>> {
    const rows = await this.#database.query<VerdictRow>(
      "verdicts-find",
      `select policy_id, allowed, until, verdict from verdicts
       where repository_id = $1 and tag = $2 and digest = $3 and version = $4 and people = $5
         and (until is null or until > $6)`,
      [repositoryId, tag ?? "", digest, stamp.version, stamp.people, now],
    );
    return new Map(rows.map((row) => [Number(row.policy_id), toNoted(row)]));
  }

  /**
   * Keeps what was judged as of `stamp`, unless something has changed since. Of two who found out at once that a tag lost its
   * trust, one puts that on record.
   */
  async put(image: Image, stamp: Stamp, { judgedAt, verdicts }: Judged): Promise<void> {
    await this.#database.transaction(async (sql) => {
      const held = await holdStamp(sql, image.repositoryId);
      if (held === undefined || !isSame(held, stamp)) return;
      for (const one of verdicts) {
        const before = await replace(sql, image, one);
        await insert(sql, image, stamp, { judgedAt, one });
        if (image.tag !== undefined && before !== undefined && before !== one.allowed)
          await this.#recordTurn(sql, { ...one, image });
      }
    });
  }

  /** True once a day for each verdict: somebody was warned of it. */
  async notice({ repositoryId, tag, digest }: Image, policyId: number, now: Date): Promise<boolean> {
    const rows = await this.#database.query(
      "verdict-notice",
      `update verdicts set noticed_at = $5 where repository_id = $1 and tag = $2 and digest = $3 and policy_id = $4
         and (noticed_at is null or noticed_at <= $5::timestamptz - interval '1 day') returning 1`,
      [repositoryId, tag ?? "", digest, policyId, now],
    );
    return rows.length > 0;
  }

  /** Of tags that are gone, or name something else; and of digests that nobody asked for in a while. */
  async sweep(repositoryId: number, unusedSince: Date): Promise<void> {
    await this.#database.query(
      "verdicts-sweep",
      `delete from verdicts v where v.repository_id = $1 and (
         v.tag <> '' and not exists (
           select from tags t where t.repository_id = v.repository_id and t.name = v.tag and t.manifest_digest = v.digest)
         or v.tag = '' and v.judged_at < $2)`,
      [repositoryId, unusedSince],
    );
  }
}

interface Judged {
  readonly judgedAt: Date;
  readonly verdicts: readonly PolicyVerdict[];
}

/** Takes away what the policy said of the tag before, of whatever image; whether that was allowed. */
async function replace(sql: Sql, { repositoryId, tag, digest }: Image, { policy }: PolicyVerdict) {
  const text = `select digest, allowed, judged_at from verdicts
    where repository_id = $1 and tag = $2 and policy_id = $3 and (tag <> '' or digest = $4)
    order by judged_at desc for update`;
  const rows = await sql.query<{ digest: string; allowed: boolean }>("verdict-before", text, [
    ...[repositoryId, tag ?? "", policy.id, digest],
  ]);
  const others = rows.filter((row) => row.digest !== digest).map((row) => row.digest);
  if (others.length > 0)
    await sql.query(
      "verdict-drop",
      "delete from verdicts where repository_id = $1 and tag = $2 and policy_id = $3 and digest = any($4::text[])",
      [repositoryId, tag ?? "", policy.id, others],
    );
  return rows[0]?.allowed;
}

async function insert(
  sql: Sql,
  { repositoryId, tag, digest }: Image,
  { version, people }: Stamp,
  { judgedAt, one }: { readonly judgedAt: Date; readonly one: PolicyVerdict },
): Promise<void> {
  await sql.query(
    "verdict-put",
    `insert into verdicts (repository_id, tag, digest, policy_id, version, people, allowed, until, verdict, judged_at)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
     on conflict (repository_id, tag, digest, policy_id) do update set version = excluded.version, people = excluded.people,
       allowed = excluded.allowed, until = excluded.until, verdict = excluded.verdict, judged_at = excluded.judged_at,
       noticed_at = case when verdicts.allowed = excluded.allowed then verdicts.noticed_at end`,
    [
      ...[repositoryId, tag ?? "", digest, one.policy.id, version, people, one.allowed, one.until ?? null],
      ...[JSON.stringify(one.note), judgedAt],
    ],
  );
}

function toNoted({ allowed, until, verdict }: VerdictRow): NotedVerdict {
  return { allowed, until: until ?? undefined, note: verdict };
}
