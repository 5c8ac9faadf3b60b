import type { Database, Row, Sql } from "../storage/database.ts";
import type { Image, ImageVerdict } from "./policy-verdict.ts";
import type { NotedVerdict, VerdictNote } from "./verdict-note.ts";
import { holdStamp, isSame, type Stamp } from "./watch-store.ts";

/** Puts it on record, in the transaction that stores the verdict. */
export type RecordTurn = (sql: Sql, turn: ImageVerdict) => Promise<void>;

/** A verdict as it was kept. */
export interface Kept extends NotedVerdict {
  readonly image: Image;
  readonly policyId: number;
}

interface VerdictRow extends Row {
  at: string;
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

  /** What is kept of the images, all of one repository, that rests on `stamp` and holds at `now`. */
  async find(images: readonly Image[], stamp: Stamp, now: Date): Promise<Kept[]> {
    const rows = await this.#database.query<VerdictRow>(
      "verdicts-find",
      `select k.at, v.policy_id, v.allowed, v.until, v.verdict
       from unnest($2::text[], $3::text[]) with ordinality as k (tag, digest, at)
       join verdicts v on v.repository_id = $1 and v.tag = k.tag and v.digest = k.digest
       where v.version = $4 and v.people = $5 and (v.until is null or v.until > $6)`,
      [...toColumns(images), stamp.version, stamp.people, now],
    );
    return rows.flatMap((row) => {
      const image = images[Number(row.at) - 1];
      return image === undefined ? [] : [{ image, policyId: Number(row.policy_id), ...toNoted(row) }];
    });
  }

  /**
   * Keeps what was judged as of `stamp`, of images of one repository, unless something has changed since. Of two who found
   * out at once that a tag lost its trust, one puts that on record.
   */
  async put(verdicts: readonly ImageVerdict[], stamp: Stamp, judgedAt: Date): Promise<void> {
    const [first] = verdicts;
    if (first === undefined) return;
    await this.#database.transaction(async (sql) => {
      const held = await holdStamp(sql, first.image.repositoryId);
      if (held === undefined || !isSame(held, stamp)) return;
      const before = await findBefore(sql, verdicts);
      await dropOthers(sql, verdicts);
      await insert(sql, verdicts, stamp, judgedAt);
      for (const one of verdicts) {
        const was = before.get(nameOf(one.image.tag, one.policy.id));
        if (one.image.tag !== undefined && was !== undefined && was !== one.allowed) await this.#recordTurn(sql, one);
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

const nameOf = (tag: string | undefined, policyId: number): string => `${policyId} ${tag ?? ""}`;

/** Repository, tags and digests. */
function toColumns(images: readonly Image[]): unknown[] {
  return [images[0]?.repositoryId, images.map(({ tag }) => tag ?? ""), images.map(({ digest }) => digest)];
}

/** The same with the policies. */
function toKeys(verdicts: readonly ImageVerdict[]): unknown[] {
  return [...toColumns(verdicts.map(({ image }) => image)), verdicts.map(({ policy }) => policy.id)];
}

/** Whether the policies allowed what the tags named before, of whatever image that was. */
async function findBefore(sql: Sql, verdicts: readonly ImageVerdict[]): Promise<ReadonlyMap<string, boolean>> {
  const rows = await sql.query<{ tag: string; policy_id: string; allowed: boolean }>(
    "verdicts-before",
    `select v.tag, v.policy_id, v.allowed from unnest($2::text[], $3::text[], $4::bigint[]) as k (tag, digest, policy_id)
     join verdicts v on v.repository_id = $1 and v.tag = k.tag and v.policy_id = k.policy_id
     where v.tag <> '' or v.digest = k.digest
     order by v.tag, v.policy_id, v.judged_at for update of v`,
    toKeys(verdicts),
  );
  return new Map(rows.map((row) => [nameOf(row.tag, Number(row.policy_id)), row.allowed]));
}

/** What a tag named before is nobody's any more. */
async function dropOthers(sql: Sql, verdicts: readonly ImageVerdict[]): Promise<void> {
  await sql.query(
    "verdicts-drop",
    `delete from verdicts v using unnest($2::text[], $3::text[], $4::bigint[]) as k (tag, digest, policy_id)
     where v.repository_id = $1 and v.tag = k.tag and v.policy_id = k.policy_id and v.tag <> '' and v.digest <> k.digest`,
    toKeys(verdicts),
  );
}

async function insert(sql: Sql, verdicts: readonly ImageVerdict[], stamp: Stamp, judgedAt: Date): Promise<void> {
  await sql.query(
    "verdicts-put",
    `insert into verdicts (repository_id, tag, digest, policy_id, version, people, allowed, until, verdict, judged_at)
     select $1, k.tag, k.digest, k.policy_id, $8, $9, k.allowed, k.until, k.verdict::jsonb, $10
     from unnest($2::text[], $3::text[], $4::bigint[], $5::boolean[], $6::timestamptz[], $7::text[])
       as k (tag, digest, policy_id, allowed, until, verdict)
     on conflict (repository_id, tag, digest, policy_id) do update set version = excluded.version, people = excluded.people,
       allowed = excluded.allowed, until = excluded.until, verdict = excluded.verdict, judged_at = excluded.judged_at,
       noticed_at = case when verdicts.allowed = excluded.allowed then verdicts.noticed_at end`,
    [
      ...toKeys(verdicts),
      verdicts.map(({ allowed }) => allowed),
      verdicts.map(({ until }) => until ?? null),
      verdicts.map(({ note }) => JSON.stringify(note)),
      ...[stamp.version, stamp.people, judgedAt],
    ],
  );
}

function toNoted({ allowed, until, verdict }: VerdictRow): NotedVerdict {
  return { allowed, until: until ?? undefined, note: verdict };
}
