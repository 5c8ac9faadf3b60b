import { algorithmOf, type Digest, DigestHasher } from "../../oci/digest.ts";
import type { BlobInspector, InspectedBlob } from "../blob-inspector.ts";
import type { BlobReader, BlobStore } from "../blob-store.ts";
import type { Database, Sql } from "../database.ts";
import { type Failpoint, noFailpoint } from "../failpoint.ts";
import { isErrno } from "../file-errors.ts";
import { addToQuarantine, type Damage, findAsides, noteAside } from "./quarantine.ts";

export interface BlobCheckParts {
  readonly database: Database;
  readonly blobs: Pick<BlobStore, "open">;
  readonly inspector: BlobInspector;
  readonly failpoint?: Failpoint;
}

/** A row of `blobs`, as it was read a while ago. */
export interface CheckedBlob {
  readonly digest: Digest;
  /** Bytes. */
  readonly size: number;
  readonly quarantined: boolean;
}

export interface CheckOptions {
  /** Hash the bytes; else only their size is looked at. */
  readonly read: boolean;
  /** Put into quarantine what is damaged, and take out of it what is whole; else nothing is changed. */
  readonly repair: boolean;
  /** Awaited for each piece that is read: slows down, counts, ends by throwing. */
  readonly pace: (bytes: number) => Promise<void> | undefined;
  /** Told of damage before anything is done about it; throws where that is too much to be believed. */
  readonly beforeDamage?: (damage: Damage) => void;
}

export type Verdict =
  | { readonly kind: "good" }
  /** Deleted, or pushed again, while it was looked at. */
  | { readonly kind: "changed" }
  | { readonly kind: "damaged"; readonly damage: Damage; readonly quarantined: boolean }
  /** It was in quarantine, and is whole. Without repair it stays there. */
  | { readonly kind: "healthy"; readonly lifted: boolean };

interface Look {
  readonly there: InspectedBlob | undefined;
  readonly damage: Damage | undefined;
}

/**
 * Holds blobs against their digests. What seems to be damaged is looked at again while its row is locked, so that neither
 * a collection nor an upload makes it seem so; the mark is committed before anything is moved, so that whatever ends here
 * leaves the blob absent and never half there.
 */
export class BlobCheck {
  readonly #parts: BlobCheckParts;
  readonly #failpoint: Failpoint;

  constructor(parts: BlobCheckParts) {
    this.#parts = parts;
    this.#failpoint = parts.failpoint ?? noFailpoint;
  }

  /** @throws OciError UNAVAILABLE, and whatever else says that the store cannot be read now */
  check(blob: CheckedBlob, options: CheckOptions): Promise<Verdict> {
    return blob.quarantined ? this.#checkQuarantined(blob, options) : this.#checkLive(blob, options);
  }

  async #checkLive(blob: CheckedBlob, options: CheckOptions): Promise<Verdict> {
    const look = await this.#look(blob, options);
    if (look.damage === undefined) return { kind: "good" };
    const { damage } = look;
    options.beforeDamage?.(damage);
    if (!options.repair) {
      const still = await this.#parts.database.transaction((sql) => this.#isStill(sql, blob, look));
      return still ? { kind: "damaged", damage, quarantined: false } : { kind: "changed" };
    }
    const id = await this.#mark(blob, look, damage);
    if (id === undefined) return { kind: "changed" };
    await this.#failpoint("fsck.afterMark");
    await this.#moveAside(blob.digest, look.there, id);
    return { kind: "damaged", damage, quarantined: true };
  }

  async #checkQuarantined(blob: CheckedBlob, options: CheckOptions): Promise<Verdict> {
    const reading = { ...options, read: true };
    const { there, damage } = await this.#look(blob, reading);
    if (damage === undefined) {
      const lifted = options.repair && (await this.#lift(blob.digest, async () => this.#isSame(blob.digest, there)));
      return { kind: "healthy", lifted };
    }
    if (there === undefined) {
      const aside = await this.#findHealthyAside(blob, reading);
      if (aside !== undefined) {
        const putBack = () => this.#parts.inspector.putBack(aside, blob.digest);
        return { kind: "healthy", lifted: options.repair && (await this.#lift(blob.digest, putBack)) };
      }
    } else if (options.repair) {
      // Marked, and then the process died; or somebody put other bytes there.
      const id = await addToQuarantine(this.#parts.database, blob.digest, damage);
      await this.#moveAside(blob.digest, there, id);
    }
    return { kind: "damaged", damage, quarantined: true };
  }

  /** Read twice before it is believed that the bytes are wrong: memory and cables err too. */
  async #look(blob: CheckedBlob, options: CheckOptions): Promise<Look> {
    const first = await this.#lookOnce(blob, options);
    return first.damage?.reason === "digest" || first.damage?.reason === "unreadable"
      ? this.#lookOnce(blob, options)
      : first;
  }

  async #lookOnce({ digest, size }: CheckedBlob, { read, pace }: CheckOptions): Promise<Look> {
    const there = await this.#parts.inspector.inspect(digest);
    if (there === undefined) return { there, damage: { reason: "missing", found: "nothing" } };
    if (there.size !== size) return { there, damage: { reason: "size", found: `${there.size} bytes` } };
    if (!read) return { there, damage: undefined };
    const reader = await this.#parts.blobs.open(digest);
    // Gone since: whoever looks under the lock sees what it is.
    if (reader === undefined) return { there: undefined, damage: { reason: "missing", found: "nothing" } };
    return { there, damage: await findDamage(reader, digest, pace) };
  }

  async #findHealthyAside({ digest, size }: CheckedBlob, { pace }: CheckOptions): Promise<string | undefined> {
    for (const aside of await findAsides(this.#parts.database, digest)) {
      const reader = await this.#parts.inspector.openAside(aside);
      if (reader === undefined) continue;
      if (reader.size !== size) await reader.close();
      else if ((await findDamage(reader, digest, pace)) === undefined) return aside;
    }
    return undefined;
  }

  /** The id of its record; undefined when it is not so any more. */
  #mark(blob: CheckedBlob, look: Look, damage: Damage): Promise<number | undefined> {
    return this.#parts.database.transaction(async (sql) => {
      if (!(await this.#isStill(sql, blob, look))) return undefined;
      await sql.query("blob-quarantine", "update blobs set quarantined_at = now() where digest = $1", [blob.digest]);
      return addToQuarantine(sql, blob.digest, damage);
    });
  }

  async #moveAside(digest: Digest, there: InspectedBlob | undefined, id: number): Promise<void> {
    if (there === undefined) return;
    await this.#parts.database.transaction(async (sql) => {
      const [row] = await lockBlob(sql, digest);
      // Pushed again meanwhile: what is there now is good.
      if (row?.quarantined !== true || !(await this.#isSame(digest, there))) return;
      const aside = await this.#parts.inspector.setAside(digest);
      await this.#failpoint("fsck.afterAside");
      if (aside !== undefined) await noteAside(sql, id, aside);
    });
  }

  /** `makeSure` runs while the row is locked; false: it is not to be lifted after all. */
  #lift(digest: Digest, makeSure: () => Promise<boolean>): Promise<boolean> {
    return this.#parts.database.transaction(async (sql) => {
      const [row] = await lockBlob(sql, digest);
      if (row?.quarantined !== true || !(await makeSure())) return false;
      await sql.query("blob-lift", "update blobs set quarantined_at = null, checked_at = now() where digest = $1", [
        digest,
      ]);
      return true;
    });
  }

  /** Locks the row. The bytes of a candidate for deletion may be gone: that is no damage. */
  async #isStill(sql: Sql, blob: CheckedBlob, { there, damage }: Look): Promise<boolean> {
    const [row] = await lockBlob(sql, blob.digest);
    if (row === undefined || row.quarantined || Number(row.size) !== blob.size) return false;
    if (damage?.reason === "missing" && row.candidate) return false;
    return this.#isSame(blob.digest, there);
  }

  async #isSame(digest: Digest, there: InspectedBlob | undefined): Promise<boolean> {
    return (await this.#parts.inspector.inspect(digest))?.identity === there?.identity;
  }
}

/** Against whoever deletes it or pushes it again; a mount goes on. */
function lockBlob(sql: Sql, digest: Digest): Promise<{ size: string; candidate: boolean; quarantined: boolean }[]> {
  return sql.query(
    "blob-check-lock",
    `select size, unreferenced_at is not null as candidate, quarantined_at is not null as quarantined
     from blobs where digest = $1 for no key update`,
    [digest],
  );
}

/** Undefined when the bytes hash to `digest`. Closes the reader. */
async function findDamage(reader: BlobReader, digest: Digest, pace: CheckOptions["pace"]): Promise<Damage | undefined> {
  const hasher = new DigestHasher(algorithmOf(digest));
  try {
    for await (const chunk of reader.chunks(0, reader.size - 1)) {
      hasher.update(chunk);
      await pace(chunk.length);
    }
  } catch (error) {
    if (!isErrno(error, "EIO")) throw error;
    return { reason: "unreadable", found: "the disk cannot read it (EIO)" };
  } finally {
    await reader.close();
  }
  const found = hasher.digest();
  return found === digest ? undefined : { reason: "digest", found };
}
