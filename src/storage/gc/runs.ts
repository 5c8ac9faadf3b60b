import type { Digest } from "../../oci/digest.ts";
import type { Row, Sql } from "../database.ts";

export type GcOutcome = "done" | "held" | "failed";

/** One collection, under way or over. */
export interface GcRun {
  readonly id: number;
  readonly dryRun: boolean;
  readonly startedAt: Date;
  readonly endedAt: Date | undefined;
  /** Undefined while it is under way. */
  readonly outcome: GcOutcome | undefined;
  readonly reason: string | undefined;
  /** What it is at. */
  readonly stage: string;
  /** Rows that nothing keeps, seen for the first time. */
  readonly marked: number;
  /** Manifests, links and blobs that it deleted, or, dry, would. */
  readonly deleted: number;
  readonly freedBytes: number;
  /** Somebody used them just then, or deleting them failed; the next run looks again. */
  readonly skipped: number;
}

export type GcKind = "manifest" | "link" | "blob";

/** What was deleted. A link lets one repository serve a blob; the blob is the bytes themselves. */
export interface GcItem {
  readonly kind: GcKind;
  /** Undefined for bytes. */
  readonly repository: string | undefined;
  readonly digest: Digest;
  /** Bytes. */
  readonly size: number;
}

export type GcCounts = Pick<GcRun, "stage" | "marked" | "deleted" | "freedBytes" | "skipped">;

/** What is said of a run with its end; counts that are not said stay as they were reported last. */
export interface GcEnd {
  readonly reason?: string;
  readonly counts?: GcCounts;
}

const RUN = `id, dry_run, started_at, ended_at, outcome, reason, stage, marked, deleted, freed_bytes, skipped`;
/** Runs whose rows and items are kept. */
const keptRuns = 100;

/** Rows of `gc_runs`, `gc_items` and `gc_mark`. Changes go over the connection of whoever collects. */
export class GcRuns {
  readonly #sql: Sql;

  constructor(sql: Sql) {
    this.#sql = sql;
  }

  /** Those that are not over were another process's, which died: the caller has its lock. Forgets the oldest. */
  async begin(dryRun: boolean): Promise<number> {
    const rows = await this.#sql.query<{ id: string }>(
      "gc-run-begin",
      `with forgotten as (
         delete from gc_runs where id <= (select id from gc_runs order by id desc offset $2 limit 1) returning id
       ), died as (
         update gc_runs set ended_at = now(), outcome = 'failed', reason = 'the process that collected went away'
         where ended_at is null and id not in (select id from forgotten)
       )
       insert into gc_runs (dry_run) values ($1) returning id`,
      [dryRun, keptRuns],
    );
    return Number(rows[0]?.id);
  }

  async report(id: number, { stage, marked, deleted, freedBytes, skipped }: GcCounts): Promise<void> {
    await this.#sql.query(
      "gc-run-report",
      "update gc_runs set stage = $2, marked = $3, deleted = $4, freed_bytes = $5, skipped = $6 where id = $1",
      [id, stage, marked, deleted, freedBytes, skipped],
    );
  }

  async end(id: number, outcome: GcOutcome, { reason, counts }: GcEnd = {}): Promise<void> {
    await this.#sql.query(
      "gc-run-end",
      `update gc_runs set ended_at = now(), outcome = $2, reason = $3, stage = coalesce($4, stage),
         marked = coalesce($5, marked), deleted = coalesce($6, deleted), freed_bytes = coalesce($7, freed_bytes),
         skipped = coalesce($8, skipped) where id = $1`,
      [
        ...[id, outcome, reason ?? null, counts?.stage ?? null, counts?.marked ?? null],
        ...[counts?.deleted ?? null, counts?.freedBytes ?? null, counts?.skipped ?? null],
      ],
    );
  }

  /** Whether the last run, not a dry one, was begun at least so long ago. */
  async isDue(seconds: number): Promise<boolean> {
    const text = "select 1 from gc_runs where not dry_run and started_at > now() - make_interval(secs => $1) limit 1";
    return (await this.#sql.query("gc-run-due", text, [seconds])).length === 0;
  }

  async find(id: number): Promise<GcRun | undefined> {
    const [row] = await this.#sql.query("gc-run-find", `select ${RUN} from gc_runs where id = $1`, [id]);
    return row === undefined ? undefined : toRun(row);
  }

  /** Newest first. */
  async list(limit: number): Promise<GcRun[]> {
    const rows = await this.#sql.query("gc-runs-list", `select ${RUN} from gc_runs order by id desc limit $1`, [limit]);
    return rows.map(toRun);
  }

  /** In the order they were deleted, after the one that is `after`. */
  async listItems(run: number, after: number, limit: number): Promise<(GcItem & { readonly id: number })[]> {
    const rows = await this.#sql.query(
      "gc-items-list",
      `select id, kind, repository, digest, size from gc_items where run_id = $1 and id > $2 order by id limit $3`,
      [run, after, limit],
    );
    return rows.map(({ id, kind, repository, digest, size }) => ({
      ...{ id: Number(id), kind, digest, size: Number(size) },
      repository: repository ?? undefined,
    }));
  }

  /** How many runs have begun, as this database knows. */
  async readMark(): Promise<number> {
    const [row] = await this.#sql.query<{ runs: string }>("gc-mark-read", "select runs from gc_mark");
    return Number(row?.runs ?? 0);
  }

  /** Durable, whatever else the connection leaves for later: a store that is ahead of it would hold every run. */
  async writeMark(runs: number): Promise<void> {
    await this.#sql.query(
      "gc-mark-write",
      `with durable as materialized (select reset_val from pg_settings where name = 'synchronous_commit')
       update gc_mark set runs = $1 from durable where set_config('synchronous_commit', reset_val, true) is not null`,
      [runs],
    );
  }
}

/** In the transaction that deletes them. */
export async function addItems(sql: Sql, run: number, items: readonly GcItem[]): Promise<void> {
  if (items.length === 0) return;
  await sql.query(
    "gc-items-add",
    `insert into gc_items (run_id, kind, repository, digest, size)
     select $1, kind, repository, digest, size
     from unnest($2::text[], $3::text[], $4::text[], $5::bigint[]) with ordinality as i (kind, repository, digest, size, at)
     order by at`,
    [
      run,
      items.map(({ kind }) => kind),
      items.map(({ repository }) => repository ?? null),
      items.map(({ digest }) => digest),
      items.map(({ size }) => size),
    ],
  );
}

function toRun(row: Row): GcRun {
  return {
    id: Number(row.id),
    dryRun: row.dry_run,
    startedAt: row.started_at,
    endedAt: row.ended_at ?? undefined,
    outcome: row.outcome ?? undefined,
    reason: row.reason ?? undefined,
    stage: row.stage,
    marked: Number(row.marked),
    deleted: Number(row.deleted),
    freedBytes: Number(row.freed_bytes),
    skipped: Number(row.skipped),
  };
}
