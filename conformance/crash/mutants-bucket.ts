import type { CrashMutant } from "./mutant.ts";

const WRITER = "src/storage/s3-object-writer.ts";
const DELETION = "src/storage/gc/deletion.ts";
const PUBLISH = "src/notary/publish.ts";

const BUCKET = ["--blobs", "s3"];
const BUCKET_COLLECTED = ["--blobs", "s3", "--collector"];
const COLLECTED = ["--blobs", "fs", "--collector"];
const REPLICAS = ["--blobs", "fs", "--replicas", "2", "--collector"];

/** Found on a bucket, beside a collector, or with two servers. */
export const BUCKET_MUTANTS: readonly CrashMutant[] = [
  {
    name: "s3-row-before-complete",
    args: BUCKET,
    at: ["mpu.beforeComplete"],
    edits: [
      {
        file: WRITER,
        find: `      await failpoint("mpu.beforeComplete");
      const upload = { key: this.#key, uploadId: this.#uploadId };
      await bucket.complete(upload, await objects.findParts(this.#key), this.#size);`,
        replace: `      const parts = await objects.findParts(this.#key);
      if (!(await objects.setWhole(this.#key, this.#size))) throw new OciError("BLOB_UPLOAD_UNKNOWN");
      await failpoint("mpu.beforeComplete");
      const upload = { key: this.#key, uploadId: this.#uploadId };
      await bucket.complete(upload, parts, this.#size);`,
      },
      {
        file: WRITER,
        find: `    if (!(await objects.setWhole(this.#key, this.#size))) throw new OciError("BLOB_UPLOAD_UNKNOWN");
  }`,
        replace: `    if (this.#uploadId !== undefined) return;
    if (!(await objects.setWhole(this.#key, this.#size))) throw new OciError("BLOB_UPLOAD_UNKNOWN");
  }`,
      },
    ],
  },
  {
    name: "s3-row-before-object",
    args: BUCKET,
    at: ["upload.afterSync"],
    edits: [
      {
        file: WRITER,
        find: `      await bucket.put(this.#key, this.#gathered());`,
        replace: `      await objects.setWhole(this.#key, this.#size);
      await failpoint("upload.afterSync");
      return bucket.put(this.#key, this.#gathered());`,
      },
    ],
  },
  {
    name: "s3-part-row-not-awaited",
    args: BUCKET,
    at: ["mpu.afterComplete"],
    edits: [
      {
        file: WRITER,
        find: `    if (!(await this.#parts.objects.addPart(this.#key, sent))) throw new OciError("BLOB_UPLOAD_UNKNOWN");`,
        replace: `    setTimeout(() => void this.#parts.objects.addPart(this.#key, sent).catch(() => undefined), part.number > 1 ? 500 : 0);`,
      },
    ],
  },
  {
    name: "s3-object-before-any-row",
    args: BUCKET,
    at: ["upload.afterSync"],
    edits: [
      {
        file: WRITER,
        find: `  await objects.begin(key);\n  return key;`,
        replace: `  return objects === undefined ? "" : key;`,
      },
      {
        file: WRITER,
        find: `      await bucket.put(this.#key, this.#gathered());`,
        replace: `      await bucket.put(this.#key, this.#gathered());
      await failpoint("upload.afterSync");
      await objects.begin(this.#key);`,
      },
    ],
  },
  {
    name: "s3-row-forgotten-before-object",
    args: BUCKET,
    at: ["del.afterUnlink", "mpu.afterAbort"],
    edits: [
      {
        file: "src/storage/s3-removal.ts",
        find: `    try {
      await removeObject(parts, object);`,
        replace: `    try {
      await parts.objects.forget(object.key);
      await parts.failpoint("del.afterUnlink");
      await removeObject(parts, object);`,
      },
    ],
  },
  {
    name: "gc-mark-skipped",
    args: COLLECTED,
    at: ["gc.afterObject", "gc.afterRow", "gc.beforeCommit"],
    edits: [
      {
        // Marked, if at all, with the deletion itself: whoever comes after a crash finds an innocent row.
        file: "src/storage/gc/marks.ts",
        find: `     update blobs b set unreferenced_at = now() from held where b.digest = held.digest returning 1`,
        replace: `     select 1 from held`,
      },
      {
        file: "src/storage/gc/doomed.ts",
        find: `dryRun ? "true" : "unreferenced_at is not null"`,
        replace: `dryRun ? "true" : "true"`,
      },
      {
        file: DELETION,
        find: `where digest = any($1::text[]) and unreferenced_at <= now() - make_interval(secs => $2)
     order by digest for update skip locked`,
        replace: `where digest = any($1::text[]) and $2::float8 is not null
     order by digest for update skip locked`,
      },
    ],
  },
  {
    name: "gc-object-after-row",
    args: COLLECTED,
    at: ["gc.afterRow", "gc.beforeCommit"],
    edits: [
      {
        file: DELETION,
        find: `      for (const digest of digests) {
        const bytes = await inventory.withdraw(digest);
        if (bytes !== undefined) withdrawn.push(bytes);
        await failpoint("gc.afterObject");
      }
`,
        replace: "",
      },
      {
        // With a window in which a push of the same bytes comes between.
        file: DELETION,
        find: `    while (withdrawn.length > 0)
      await`,
        replace: `    await new Promise((done) => setTimeout(done, 100));
    for (const { digest } of deleted) await (await inventory.withdraw(digest as Digest))?.discard();
    while (withdrawn.length > 0)
      await`,
      },
    ],
  },
  {
    name: "gc-overlooks-tags",
    args: BUCKET_COLLECTED,
    at: ["gc.beforeCommit"],
    edits: [
      {
        file: "src/storage/gc/marks.ts",
        find: "select repository_id, manifest_digest as digest from tags where repository_id",
        replace: "select repository_id, manifest_digest as digest from tags where false and repository_id",
      },
      {
        file: DELETION,
        find: `or exists (select from tags t where t.repository_id = m.repository_id and t.manifest_digest = m.digest)`,
        replace: "",
      },
    ],
  },
  {
    name: "attach-does-not-look",
    args: COLLECTED,
    at: ["gc.afterObject", "gc.afterRow"],
    edits: [
      {
        file: "src/storage/blob-rows.ts",
        find: `  else if (row?.fresh === true || row?.marked === true) await ensureBytes();`,
        replace: "",
      },
    ],
  },
  {
    name: "tuf-timestamp-first",
    at: ["tuf.afterCommit"],
    edits: [
      {
        file: PUBLISH,
        find: `interface Publish extends`,
        replace: `const later = new Map<string, () => Promise<void>>();\n\ninterface Publish extends`,
      },
      {
        file: PUBLISH,
        find: `    insertFiles(sql, collection, files, now),\n`,
        replace: `    insertFiles(sql, collection, files.filter(({ role }) => role === "timestamp"), now),\n`,
      },
      {
        file: PUBLISH,
        find: `  await deps.failpoint("tuf.afterSign");`,
        replace: `  await deps.failpoint("tuf.afterSign");
  const others = files.filter(({ role }) => role !== "timestamp");
  later.set(gun, () => deps.database.transaction((again) => insertFiles(again, collection, others, now)));`,
      },
      {
        file: PUBLISH,
        find: `  await failpoint("tuf.afterCommit");`,
        replace: `  await failpoint("tuf.afterCommit");\n  await later.get(update.gun)?.();`,
      },
      {
        file: "src/notary/metadata-store.ts",
        find: `  if (version === undefined || sha256 === undefined) throw new Error("trust data is never stored without a timestamp");`,
        replace: `  if (version === undefined || sha256 === undefined) return;`,
      },
    ],
  },
  {
    name: "rights-remembered",
    args: REPLICAS,
    edits: [
      {
        file: "src/orgs/access-lookup.ts",
        find: `      if (rights?.version === known.version && rights.now < known.goodUntil) return known.facts;`,
        replace: `      if (rights !== undefined) return known.facts;`,
      },
    ],
  },
  {
    // Nobody was told that it ended, and its blob is loose: only the collector may have taken it.
    name: "upload-ends-before-its-blob",
    args: REPLICAS,
    edits: [
      {
        file: "src/storage/upload-store.ts",
        find: `      if (rows.length === 0) throw new OciError("BLOB_UPLOAD_UNKNOWN");
      await linkBlob(sql,`,
        replace: `      if (rows.length === 0) throw new OciError("BLOB_UPLOAD_UNKNOWN");
    });
    await new Promise((done) => setTimeout(done, 20));
    await this.#database.transaction(async (sql) => {
      await linkBlob(sql,`,
      },
    ],
  },
  {
    name: "append-not-awaited-between-replicas",
    args: REPLICAS,
    edits: [
      {
        file: "src/registry/upload-chunks.ts",
        find: `  const next = segment.size === 0 ? undefined : await deps.uploads.append(session, segment);`,
        replace: `  const next = segment.size === 0 ? undefined : { ...session, size: session.size + segment.size, digest: undefined, segments: [...session.segments, segment.name] };
  setTimeout(() => void (next && deps.uploads.append(session, segment).catch(() => undefined)), 20);`,
      },
    ],
  },
];
