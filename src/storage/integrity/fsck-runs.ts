import type { Row, Sql } from "../database.ts";

export type FsckMode = "sizes" | "sample" | "all";
export const FSCK_STAGES = ["quarantine", "sizes", "surplus", "manifests", "hashing", "over"] as const;
export type FsckStage = (typeof FSCK_STAGES)[number];

/** What an operator asks for. */
export interface FsckRequest {
  /** Whether bytes are only counted, hashed of a sample, or all hashed. */
  readonly mode: FsckMode;
  /** `1%`, or a number of blobs. */
  readonly sample: string | undefined;
  readonly repair: boolean;
  /** It may be that nearly everything is missing. */
  readonly acceptLoss: boolean;
}

/** Where a run is. */
export interface FsckProgress {
  readonly stage: FsckStage;
  readonly place: string;
  /** Of those that are hashed; where only sizes are looked at, of those. */
  readonly objects: number;
  readonly bytes: number;
  /** Could not be read just then. */
  readonly skipped: number;
}

export interface FsckRun extends FsckRequest, FsckProgress {
  readonly id: number;
  readonly startedAt: Date;
  readonly endedAt: Date | undefined;
  /** Undefined while it is under way. */
  readonly outcome: "done" | "failed" | undefined;
  readonly reason: string | undefined;
  readonly threshold: string | undefined;
  readonly totalObjects: number;
  readonly totalBytes: number;
  /** Without what was found to be whole again and is out of quarantine. */
  readonly findings: number;
}

export type FsckAction = "none" | "quarantined" | "lifted";

export interface FsckFinding {
  readonly kind: "blob" | "manifest" | "object" | "upload";
  /** Of a manifest. */
  readonly repository: string;
  /** A digest, or what the blob store calls it. */
  readonly name: string;
  /** Bytes. */
  readonly size: number;
  /** missing, size, digest, unreadable; quarantined: since earlier; healthy: so, but whole; surplus: no row. */
  readonly reason: string;
  readonly found: string;
  readonly action: FsckAction;
}

const RUN = `r.*, (select count(*) from fsck_findings f where f.run_id = r.id and f.action <> 'lifted') as findings`;
/** Runs whose rows and findings are kept. */
const keptRuns = 100;

/** Rows of `fsck_runs` and `fsck_findings`. */
export class FsckRuns {
  readonly #sql: Sql;

  constructor(sql: Sql) {
    this.#sql = sql;
  }

  /** Forgets the oldest. */
  async begin({ mode, sample, repair, acceptLoss }: FsckRequest): Promise<number> {
    await this.#sql.query(
      "fsck-runs-forget",
      "delete from fsck_runs where id <= (select id from fsck_runs order by id desc offset $1 limit 1)",
      [keptRuns],
    );
    const rows = await this.#sql.query<{ id: string }>(
      "fsck-run-begin",
      "insert into fsck_runs (mode, sample, repair, accept_loss, stage) values ($1, $2, $3, $4, $5) returning id",
      [mode, sample ?? null, repair, acceptLoss, FSCK_STAGES[0]],
    );
    return Number(rows[0]?.id);
  }

  async setTotals(
    id: number,
    threshold: string | undefined,
    totals: { objects: number; bytes: number },
  ): Promise<void> {
    await this.#sql.query(
      "fsck-run-totals",
      "update fsck_runs set threshold = $2, total_objects = $3, total_bytes = $4 where id = $1",
      [id, threshold ?? null, totals.objects, totals.bytes],
    );
  }

  async report(id: number, { stage, place, objects, bytes, skipped }: FsckProgress): Promise<void> {
    await this.#sql.query(
      "fsck-run-report",
      "update fsck_runs set stage = $2, place = $3, objects = $4, bytes = $5, skipped = $6 where id = $1",
      [id, stage, place, objects, bytes, skipped],
    );
  }

  async end(id: number, outcome: "done" | "failed", reason?: string): Promise<void> {
    await this.#sql.query(
      "fsck-run-end",
      "update fsck_runs set ended_at = now(), outcome = $2, reason = $3 where id = $1",
      [id, outcome, reason ?? null],
    );
  }

  async find(id: number): Promise<FsckRun | undefined> {
    const [row] = await this.#sql.query("fsck-run-find", `select ${RUN} from fsck_runs r where id = $1`, [id]);
    return row === undefined ? undefined : toRun(row);
  }

  /** The one that is under way, or waits for a process. */
  async findOpen(): Promise<FsckRun | undefined> {
    const [row] = await this.#sql.query(
      "fsck-run-open",
      `select ${RUN} from fsck_runs r where ended_at is null order by id desc limit 1`,
    );
    return row === undefined ? undefined : toRun(row);
  }

  /** Newest first. */
  async list(limit: number): Promise<FsckRun[]> {
    const rows = await this.#sql.query("fsck-runs", `select ${RUN} from fsck_runs r order by id desc limit $1`, [
      limit,
    ]);
    return rows.map(toRun);
  }

  /** What is found again, when a run goes on where it was, is found once. */
  async addFinding(run: number, finding: FsckFinding): Promise<void> {
    const { kind, repository, name, size, reason, found, action } = finding;
    await this.#sql.query(
      "fsck-finding",
      `insert into fsck_findings (run_id, kind, repository, name, size, reason, found, action)
       values ($1, $2, $3, $4, $5, $6, $7, $8) on conflict (run_id, kind, repository, name) do nothing`,
      [run, kind, repository, name, size, reason, found, action],
    );
  }

  /** In the order they were found, after the one that is `after`. */
  async listFindings(run: number, after: number, limit: number): Promise<(FsckFinding & { readonly id: number })[]> {
    const rows = await this.#sql.query(
      "fsck-findings",
      `select id, kind, repository, name, size, reason, found, action from fsck_findings
       where run_id = $1 and id > $2 order by id limit $3`,
      [run, after, limit],
    );
    return rows.map(({ id, kind, repository, name, size, reason, found, action }) => ({
      ...{ id: Number(id), kind, repository, name, size: Number(size), reason, found, action },
    }));
  }
}

function toRun(row: Row): FsckRun {
  return {
    ...{ id: Number(row.id), mode: row.mode, sample: row.sample ?? undefined },
    ...{ repair: row.repair, acceptLoss: row.accept_loss },
    ...{ startedAt: row.started_at, endedAt: row.ended_at ?? undefined },
    ...{ outcome: row.outcome ?? undefined, reason: row.reason ?? undefined },
    ...{ stage: row.stage, place: row.place, threshold: row.threshold ?? undefined },
    ...{ totalObjects: Number(row.total_objects), totalBytes: Number(row.total_bytes) },
    ...{ objects: Number(row.objects), bytes: Number(row.bytes), skipped: Number(row.skipped) },
    findings: Number(row.findings),
  };
}
