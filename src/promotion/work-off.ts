import { ProblemError } from "../http/problem.ts";
import type { Digest } from "../oci/digest.ts";
import type { Tag } from "../oci/reference.ts";
import type { RepositoryName } from "../oci/repository-name.ts";
import type { Sql } from "../storage/database.ts";
import { type Author, findArrival } from "../storage/image-history.ts";
import { beginOrDo, mustBeInForce, pendingDays } from "./ask.ts";
import { holdDestination } from "./carry-out.ts";
import { type Course, courseOf } from "./covering.ts";
import type { GateVerdict, PromotionDeps } from "./deps.ts";
import { listInForce } from "./policies-store.ts";
import { endPromotion, findLatest, insertPromotion, type NewPromotion, supersede } from "./promotions-store.ts";
import { deleteTask, type Task, takeDue } from "./queue-store.ts";
import { reasonOf, recordDeed } from "./settle.ts";

const dayMs = 86_400_000;

/**
 * Holds one tag that moved, or was signed, against the policies of its repository. What it leads to is done in transactions of
 * its own; only when all of it is done, the task is gone: after a crash it is done again, and what was done already is seen to
 * be so. False where nothing is due.
 */
export async function workOff(deps: PromotionDeps): Promise<boolean> {
  const task = await takeDue(deps.database);
  if (task === undefined) return false;
  await deps.failpoint("promotion.afterTake");
  for (const arrived of await findArrived(deps.database, task)) await holdAgainst(deps, arrived, task.via);
  await deps.failpoint("promotion.beforeDequeue");
  await deleteTask(deps.database, task.id);
  return true;
}

/** A tag that names the image still. */
interface Arrived {
  readonly sourceId: number;
  readonly source: RepositoryName;
  readonly tag: Tag;
  readonly digest: Digest;
}

function findArrived(sql: Sql, { repositoryId, tag, digest }: Task): Promise<Arrived[]> {
  return sql.query(
    "promotion-arrived",
    `select r.id::int as "sourceId", r.name as source, t.name as tag, t.manifest_digest as digest
     from repositories r join tags t on t.repository_id = r.id
     where r.id = $1 and t.manifest_digest = $2 and ($3::text is null or t.name = $3) order by t.name`,
    [repositoryId, digest, tag ?? null],
  );
}

async function holdAgainst(deps: PromotionDeps, arrived: Arrived, via: readonly number[]): Promise<void> {
  const { sourceId, tag, digest } = arrived;
  const at = deps.now();
  await supersede(deps.database, { sourceId, tag, digest, at });
  for (const policy of await listInForce(deps.database, sourceId)) {
    const course = via.includes(policy.id) ? undefined : courseOf(policy, tag, at);
    if (course !== undefined) await follow(deps, arrived, course, via);
  }
}

/** An image that does not meet the gates yet is looked at again when somebody signs it. */
async function follow(deps: PromotionDeps, arrived: Arrived, course: Course, via: readonly number[]): Promise<void> {
  if (await isOver(deps.database, arrived, course)) return;
  const { source, tag: sourceTag, digest, sourceId } = arrived;
  const { destination, policy } = course;
  const gates = await deps.judgeGates({ source, sourceTag, destination, digest, require: policy.terms.require });
  if (gates.some(({ allowed }) => !allowed)) return;
  const by = (await findArrival(deps.database, { repositoryId: sourceId, tag: sourceTag, digest })) ?? NOBODY;
  const asked = toPromotion(deps, { arrived, course, by, via });
  await deps.database
    .transaction((sql) => begin(deps, sql, { arrived, course, asked, gates }))
    .catch(async (error: unknown) => {
      if (error instanceof ProblemError && PASSING.has(error.code)) return;
      const reason = reasonOf(deps, error);
      if (reason === undefined) throw error;
      await leaveFailed(deps, arrived, asked, reason);
    });
  await deps.failpoint("promotion.afterCommit");
}

/** What was so a moment ago is otherwise now, and somebody sees to it already. */
const PASSING = new Set(["already-asked", "source-moved", "policy-changed"]);
/** The image was there before anybody kept a record of who brings what. */
const NOBODY: Author = { name: "goldseal", userId: undefined };

/** This very image went, or waits, or somebody did not want it: another signature changes nothing about that. */
async function isOver(sql: Sql, { tag, digest }: Arrived, { policy }: Course): Promise<boolean> {
  const latest = await findLatest(sql, policy.id, tag);
  return latest?.digest === digest && latest.state !== "failed" && latest.state !== "superseded";
}

interface Beginning {
  readonly arrived: Arrived;
  readonly course: Course;
  readonly asked: NewPromotion;
  readonly gates: readonly GateVerdict[];
}

/** Of two who took the same task the second sees here what the first one did. */
async function begin(deps: PromotionDeps, sql: Sql, { arrived, course, asked, gates }: Beginning): Promise<void> {
  await holdDestination(sql, asked.destination);
  if (await isOver(sql, arrived, course)) return;
  const targetId = await mustBeInForce(sql, course);
  const promotion = await insertPromotion(sql, asked);
  await beginOrDo(deps, sql, { promotion, targetId, gates });
  await recordDeed(deps, sql, promotion, promotion.terms.approvals.length > 0 ? "promotion-asked" : "promotion-done");
}

function toPromotion(
  deps: PromotionDeps,
  { arrived, course, by, via }: { arrived: Arrived; course: Course; by: Author; via: readonly number[] },
): NewPromotion {
  const { sourceId, source, tag: sourceTag, digest } = arrived;
  const { policy, destination, tag } = course;
  const { approvals, require } = policy.terms;
  const askedAt = deps.now();
  return {
    ...{ sourceId, source, sourceTag, digest, destination, tag, via, askedAt },
    ...{ policy: { id: policy.id, name: policy.name }, terms: { approvals, require } },
    ...{ askedBy: by.name, askedByUser: by.userId, expiresAt: new Date(askedAt.getTime() + pendingDays * dayMs) },
  };
}

/** So that whoever wonders why nothing came through finds out. */
async function leaveFailed(deps: PromotionDeps, { tag }: Arrived, asked: NewPromotion, reason: string): Promise<void> {
  await deps.database.transaction(async (sql) => {
    const latest = asked.policy && (await findLatest(sql, asked.policy.id, tag));
    if (latest?.state === "failed" && latest.digest === asked.digest && latest.reason === reason) return;
    const { id } = await insertPromotion(sql, asked);
    await endPromotion(sql, id, { state: "failed", reason, at: deps.now() });
  });
}
