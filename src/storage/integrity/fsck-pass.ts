import { type Digest, parseDigest } from "../../oci/digest.ts";
import type { Session } from "../database.ts";
import { GcRuns } from "../gc/runs.ts";
import { eachAtOnce } from "../in-groups.ts";
import type { BlobCheck, CheckedBlob, Verdict } from "./blob-check.ts";
import { countDone, listBlobs, listBlobsInQuarantine, noteChecked, type Sample } from "./blob-rows-to-check.ts";
import type { FsckOptions } from "./fsck.ts";
import { FSCK_STAGES, type FsckFinding, type FsckRun, type FsckRuns, type FsckStage } from "./fsck-runs.ts";
import {
  judgeEach,
  listManifests,
  type ManifestKey,
  type ManifestVerdict,
  passManifests,
  quarantineManifests,
} from "./manifest-check.ts";
import type { Damage } from "./quarantine.ts";
import { Streak, StreakError } from "./streak.ts";
import { findSurplus } from "./surplus.ts";

export interface FsckPassParts extends FsckOptions {
  readonly check: BlobCheck;
  readonly session: Session;
  readonly runs: FsckRuns;
  /** As far as it came. */
  readonly run: FsckRun;
}

const rowsAtOnce = 500;
const manifestsAtOnce = 200;
/** What is in hand at once; what is lost of a run with its process is at most so much. */
const blobsAtOnce = 64;
const bytesAtOnce = 256 * 1024 * 1024;
/** Waiting for a disk or a bucket, mostly. */
const width = 8;
const reportMs = 500;

/** One run, as far as this process brings it. Each stage goes through its rows in their order, and remembers where it is. */
export class FsckPass {
  readonly #parts: FsckPassParts;
  readonly #sample: Sample;
  readonly #streak: Streak;
  readonly #progress: { stage: FsckStage; place: string; objects: number; bytes: number; skipped: number };
  readonly #notes: string[] = [];
  #reportedAt = 0;

  constructor(parts: FsckPassParts) {
    const { id, threshold, acceptLoss, stage, place, objects, bytes, skipped } = parts.run;
    this.#parts = parts;
    this.#sample = { seed: id, threshold };
    this.#streak = new Streak(acceptLoss || !parts.run.repair);
    this.#progress = { stage, place, objects, bytes, skipped };
  }

  /** What is to be said of the run, if anything. */
  async go(): Promise<string | undefined> {
    await this.#recount();
    const stages: Record<FsckStage, () => Promise<void>> = {
      quarantine: () => this.#lookIntoQuarantine(),
      sizes: () => this.#compareSizes(),
      surplus: () => this.#findSurplus(),
      manifests: () => this.#hashManifests(),
      hashing: () => this.#hashBlobs(),
      over: async () => undefined,
    };
    for (const stage of FSCK_STAGES.slice(FSCK_STAGES.indexOf(this.#progress.stage))) {
      await stages[stage]();
      const next = FSCK_STAGES[FSCK_STAGES.indexOf(stage) + 1];
      if (next !== undefined) await this.#moveOn({ stage: next, place: "" });
    }
    return this.#notes.length === 0 ? undefined : this.#notes.join("; ");
  }

  /** What was in hand when the last process went away is done again, and counted once. */
  async #recount(): Promise<void> {
    const { session, run } = this.#parts;
    const isCounting = run.stage === (run.mode === "sizes" ? "sizes" : "hashing");
    if (!isCounting) return;
    const done = await countDone(session, this.#sample, { place: run.place, since: run.startedAt });
    Object.assign(this.#progress, done);
  }

  async #lookIntoQuarantine(): Promise<void> {
    const { session } = this.#parts;
    const list = (after: string) => listBlobsInQuarantine(session, { after, limit: rowsAtOnce });
    await this.#eachGroup(list, (blobs) => this.#checkAll(blobs, { read: true, counts: false }));
  }

  async #compareSizes(): Promise<void> {
    const all: Sample = { seed: this.#sample.seed, threshold: undefined };
    const list = (after: string) => listBlobs(this.#parts.session, all, { after, limit: rowsAtOnce });
    const counts = this.#parts.run.mode === "sizes";
    await this.#eachGroup(list, (blobs) => this.#checkAll(blobs, { read: false, counts }));
  }

  async #hashBlobs(): Promise<void> {
    if (this.#parts.run.mode === "sizes") return;
    const list = async (after: string) => {
      const blobs = await listBlobs(this.#parts.session, this.#sample, { after, limit: blobsAtOnce });
      return takeBytes(blobs, bytesAtOnce);
    };
    await this.#eachGroup(list, async (blobs) => {
      const good = await this.#checkAll(blobs, { read: true, counts: true });
      await noteChecked(this.#parts.session, good);
    });
  }

  /** Returns those that are good. */
  async #checkAll(blobs: readonly CheckedBlob[], how: { read: boolean; counts: boolean }): Promise<Digest[]> {
    const good: Digest[] = [];
    await eachAtOnce(blobs, width, async (blob) => {
      const verdict = await this.#checkOne(blob, how);
      if (verdict?.kind === "good") good.push(blob.digest);
      if (how.counts) {
        this.#progress.objects++;
        if (!how.read) this.#progress.bytes += blob.size;
      }
    });
    return good;
  }

  async #checkOne(
    blob: CheckedBlob,
    { read, counts }: { read: boolean; counts: boolean },
  ): Promise<Verdict | undefined> {
    const { check, run, signal } = this.#parts;
    const pace = async (bytes: number): Promise<void> => {
      signal?.throwIfAborted();
      if (counts) this.#progress.bytes += bytes;
      await this.#reportSometimes();
    };
    const options = {
      read,
      repair: run.repair,
      pace,
      beforeDamage: (damage: Damage) => this.#streak.isDamaged(damage),
    };
    signal?.throwIfAborted();
    const verdict = await check.check(blob, options).catch((error: unknown) => this.#skip(blob, error));
    if (verdict === undefined) return undefined;
    if (verdict.kind !== "damaged" || verdict.damage.reason !== "missing") this.#streak.isThere();
    await this.#note(blob, verdict);
    return verdict;
  }

  #skip({ digest }: { readonly digest: Digest }, error: unknown): undefined {
    if (this.#parts.signal?.aborted === true || error instanceof StreakError) throw error;
    this.#parts.observe?.({ kind: "error", digest, error });
    this.#progress.skipped++;
    this.#streak.isUnreadable(error);
  }

  async #note({ digest, size, quarantined }: CheckedBlob, verdict: Verdict): Promise<void> {
    const { observe } = this.#parts;
    const finding = { kind: "blob", repository: "", name: digest, size } as const;
    if (verdict.kind === "damaged") {
      const action = verdict.quarantined && !quarantined ? "quarantined" : "none";
      if (verdict.quarantined && !quarantined)
        observe?.({ kind: "damaged", of: "blob", digest, reason: verdict.damage.reason });
      const reason = quarantined ? "quarantined" : verdict.damage.reason;
      await this.#add({ ...finding, reason, found: verdict.damage.found, action });
    } else if (verdict.kind === "healthy") {
      if (verdict.lifted) observe?.({ kind: "lifted", of: "blob", digest });
      await this.#add({ ...finding, reason: "healthy", found: digest, action: verdict.lifted ? "lifted" : "none" });
    }
  }

  async #hashManifests(): Promise<void> {
    for (let after = toKey(this.#progress.place); ; ) {
      this.#parts.signal?.throwIfAborted();
      const keys = await listManifests(this.#parts.session, after, manifestsAtOnce);
      const last = keys.at(-1);
      if (last === undefined) return;
      await this.#checkManifests(keys);
      after = last;
      await this.#moveOn({ stage: "manifests", place: `${last.repositoryId} ${last.digest}` });
    }
  }

  async #checkManifests(keys: readonly ManifestKey[]): Promise<void> {
    const { session, run, observe } = this.#parts;
    const verdicts = await judgeEach(session, keys, (key, error) => this.#skip(key, error));
    const damaged = verdicts.filter(({ isWhole }) => !isWhole);
    const healthy = verdicts.filter(({ isWhole, quarantined }) => isWhole && quarantined);
    if (run.repair) await quarantineManifests(session, damaged);
    // Without repair those in quarantine stay as they are.
    const whole = verdicts.filter(({ isWhole, quarantined }) => isWhole && (run.repair || !quarantined));
    await passManifests(session, whole);
    for (const one of damaged) {
      if (run.repair && !one.quarantined)
        observe?.({ kind: "damaged", of: "manifest", digest: one.digest, reason: "digest" });
      const action = run.repair && !one.quarantined ? "quarantined" : "none";
      await this.#add({ ...toFinding(one), reason: one.quarantined ? "quarantined" : "digest", action });
    }
    for (const one of healthy) {
      if (run.repair) observe?.({ kind: "lifted", of: "manifest", digest: one.digest });
      await this.#add({ ...toFinding(one), reason: "healthy", action: run.repair ? "lifted" : "none" });
    }
  }

  /**
   * The collector deletes it when its time is over. But in a database that was put back from a backup it may be what was
   * pushed since then: a repair holds the collector until an operator says that it is garbage.
   */
  async #findSurplus(): Promise<void> {
    const surplus = await findSurplus(this.#parts.session, this.#parts);
    for (const { digest, size } of surplus) await this.#add({ ...SURPLUS, kind: "blob", name: digest, size });
    await this.#findStrays();
    if (surplus.length === 0 || !this.#parts.run.repair) return;
    const known = await new GcRuns(this.#parts.session).readMark();
    await this.#parts.inventory.writeMark(known + 1);
    this.#notes.push(
      `${surplus.length} blobs have no row: the leavings of a crash, or this database is older than they are. The ` +
        "collector waits until you run goldseal gc --after-restore, which lets it delete them",
    );
  }

  async #findStrays(): Promise<void> {
    try {
      for await (const { kind, name, size } of this.#parts.inspector.listStrays()) {
        this.#parts.signal?.throwIfAborted();
        await this.#add({ ...SURPLUS, kind, name, size });
      }
    } catch (error) {
      if (this.#parts.signal?.aborted === true) throw error;
      this.#parts.observe?.({ kind: "error", digest: "", error });
      this.#notes.push(
        "the bucket could not be listed (that takes the right s3:ListBucket): objects without rows are unknown",
      );
    }
  }

  async #eachGroup(
    list: (after: string) => Promise<readonly CheckedBlob[]>,
    act: (blobs: readonly CheckedBlob[]) => Promise<unknown>,
  ): Promise<void> {
    for (let after = this.#progress.place; ; ) {
      this.#parts.signal?.throwIfAborted();
      const blobs = await list(after);
      const last = blobs.at(-1);
      if (last === undefined) return;
      await act(blobs);
      after = last.digest;
      await this.#moveOn({ place: after });
      await this.#parts.failpoint?.("fsck.afterBatch");
    }
  }

  async #add(finding: FsckFinding): Promise<void> {
    await this.#parts.runs.addFinding(this.#parts.run.id, finding);
  }

  async #moveOn(to: { readonly stage?: FsckStage; readonly place: string }): Promise<void> {
    Object.assign(this.#progress, to);
    await this.#report();
  }

  async #reportSometimes(): Promise<void> {
    if (performance.now() - this.#reportedAt > reportMs) await this.#report();
  }

  async #report(): Promise<void> {
    this.#reportedAt = performance.now();
    await this.#parts.runs.report(this.#parts.run.id, this.#progress);
  }
}

const SURPLUS = { repository: "", reason: "surplus", found: "no row", action: "none" } as const;

/** The first of them, at least one, up to so many bytes. */
function takeBytes(blobs: readonly CheckedBlob[], most: number): readonly CheckedBlob[] {
  let bytes = 0;
  const end = blobs.findIndex(({ size }) => {
    bytes += size;
    return bytes > most;
  });
  return end < 0 ? blobs : blobs.slice(0, Math.max(end, 1));
}

function toKey(place: string): ManifestKey | undefined {
  if (place === "") return undefined;
  const [id, digest] = place.split(" ");
  return { repositoryId: Number(id), digest: parseDigest(digest) };
}

function toFinding({ repository, digest, size, found }: ManifestVerdict) {
  return { kind: "manifest", repository, name: digest, size, found } as const;
}
