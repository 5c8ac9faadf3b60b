import type { Admission } from "../oci/access.ts";
import type { Digest } from "../oci/digest.ts";
import { OciError } from "../oci/error.ts";
import type { Tag } from "../oci/reference.ts";
import { namespaceOf, type RepositoryName } from "../oci/repository-name.ts";
import type { Sql } from "../storage/database.ts";
import { recordImage } from "../storage/image-history.ts";
import { type CopiedImage, copyImage } from "../storage/manifest-copy.ts";
import { insertManifest } from "../storage/manifest-insert.ts";
import { pin } from "../storage/pins.ts";
import { ensureRepository } from "../storage/repository-store.ts";
import { together } from "../storage/statement-batch.ts";
import { lockTag } from "../storage/tag-rows.ts";
import type { GateVerdict, PromotionDeps } from "./deps.ts";
import { conflict } from "./errors.ts";
import { markDone, type Outcome, type Promotion } from "./promotions-store.ts";
import { enqueue } from "./queue-store.ts";
import { type Approver, PROMOTION_TYPE, promotionStatement, sealStatement, statementManifest } from "./statement.ts";

/** How long what a tag was before is kept for a reversal, where nothing else keeps it. */
export const reversibleDays = 30;
const dayMs = 86_400_000;

export interface CarryOut {
  readonly promotion: Promotion;
  readonly admission: Admission;
  readonly gates: readonly GateVerdict[];
  readonly approvers: readonly Approver[];
}

/**
 * The promotion, whole or not at all: image and all that refers to it, tag, trust data, statement, record. Of two into one
 * repository the second waits; locks are taken as a push takes them, trust data last.
 * @throws ProblemError immutable-tag, source-moved; whatever the trust data says against it
 */
export async function carryOut(deps: PromotionDeps, sql: Sql, work: CarryOut): Promise<Outcome> {
  const { promotion, admission } = work;
  const { destination, tag, digest, sourceId } = promotion;
  const [, , destinationId] = await together(
    holdDestination(sql, destination),
    mustStillBe(sql, promotion),
    ensureRepository(sql, destination, admission),
  );
  const image = await withRefusals(copyImage(sql, { sourceId, destinationId, digest, seeBytes: deps.seeBytes }));
  await deps.failpoint("promotion.afterCopy");
  const previous = await lockTag(sql, destinationId, tag);
  const { size } = image;
  const target = { repository: destination, repositoryId: destinationId, tags: [tag], digest, size };
  await withRefusals(deps.moveTags(sql, target));
  const now = deps.now();
  const outcome = await attest(deps, sql, work, { destinationId, previous, image, now });
  await withRefusals(deps.issueTarget(sql, { ...target, now }));
  await deps.failpoint("promotion.afterTarget");
  await writeDown(sql, promotion, outcome);
  await deps.failpoint("promotion.beforeCommit");
  return outcome;
}

/** Promotions into one repository go one after the other: they would only wait for each other's rows. */
export async function holdDestination(sql: Sql, destination: RepositoryName): Promise<void> {
  const text = "select pg_advisory_xact_lock(hashtextextended($1, 0))";
  await sql.query("promotion-hold", text, [`promotion ${destination}`]);
}

/** An approval is of one image: what the tag names by now is another question. */
async function mustStillBe(sql: Sql, { sourceId, source, sourceTag, digest }: Promotion): Promise<void> {
  if (sourceTag === undefined) return;
  const now = await holdTag(sql, sourceId, sourceTag);
  if (now !== digest)
    throw conflict("source-moved", `${source}:${sourceTag} is ${now ?? "no image"} by now, not ${digest}`);
}

/** It cannot be moved until the commit. */
export async function holdTag(sql: Sql, repositoryId: number, tag: Tag): Promise<Digest | undefined> {
  const [row] = await sql.query<{ digest: Digest }>(
    "tag-hold",
    "select manifest_digest as digest from tags where repository_id = $1 and name = $2 for share",
    [repositoryId, tag],
  );
  return row?.digest;
}

/** Says what stands against it in words of this room: the tag is fixed, or the trust data is not the server's to write. */
export async function withRefusals<T>(work: Promise<T>): Promise<T> {
  return work.catch((cause: unknown) => {
    const code = cause instanceof OciError ? codeOf(cause) : undefined;
    throw code === undefined || !(cause instanceof OciError) ? cause : conflict(code, cause.message);
  });
}

function codeOf({ code, detail }: OciError): string | undefined {
  // Somebody deleted it since it was looked up.
  if (code === "MANIFEST_UNKNOWN") return "source-moved";
  if (code !== "DENIED") return undefined;
  const has = (name: string): boolean => typeof detail === "object" && detail !== null && name in detail;
  if (has("tag")) return "immutable-tag";
  return has("trust") ? "trust-refused" : "refused";
}

interface Arrived {
  readonly destinationId: number;
  readonly previous: Digest | undefined;
  readonly image: CopiedImage;
  readonly now: Date;
}

/** Signs what was done, and lets it refer to the image. */
async function attest(deps: PromotionDeps, sql: Sql, work: CarryOut, arrived: Arrived): Promise<Outcome> {
  const { promotion, gates, approvers } = work;
  const { destinationId, previous, image, now } = arrived;
  const signer = await deps.openSigner(sql, namespaceOf(promotion.destination), now);
  const parts = { promotion, authority: deps.authority, previous, gates, approvers, at: now };
  const statement = sealStatement(promotionStatement(parts), signer);
  const subject = { mediaType: image.mediaType, digest: promotion.digest, size: image.size };
  const manifest = statementManifest(statement, subject, { predicateType: PROMOTION_TYPE, at: now });
  await insertManifest(sql, destinationId, manifest, { failpoint: deps.failpoint, seeBytes: deps.seeBytes });
  return { destinationId, previous, gates, statement, statementDigest: manifest.digest, at: now };
}

async function writeDown(sql: Sql, promotion: Promotion, outcome: Outcome): Promise<void> {
  const { id, destination, tag, digest, policy, via } = promotion;
  const { destinationId, previous, at } = outcome;
  const detail = { promotion: id, ...(previous === undefined ? {} : { previous }) };
  const by = { name: promotion.askedBy, userId: promotion.askedByUser };
  const event = { at, kind: "promoted", digest, tag, by, detail } as const;
  await together(
    markDone(sql, id, outcome),
    recordImage(sql, { ...event, repositoryId: destinationId }),
    enqueue(sql, {
      ...{ repositoryId: destinationId, tag, digest },
      via: policy === undefined ? via : [...via, policy.id],
    }),
  );
  if (previous === undefined || previous === digest) return;
  const until = new Date(at.getTime() + reversibleDays * dayMs);
  await pin(sql, { repository: destination, digest: previous, kind: "promotion", owner: String(id), until });
}
