import type { Mutant } from "../harness/mutate.ts";

const DELETION = "src/storage/gc/deletion.ts";
const BLOB_ROWS = "src/storage/blob-rows.ts";
const NOT_NEEDED = `.filter((digest) => !needed.has(digest))`;

/** Each breaks one rule of collecting while pushes go on: the explorer must find it. */
export const MUTANTS: readonly Mutant[] = [
  {
    name: "no-recheck",
    edits: [
      { file: DELETION, find: NOT_NEEDED, replace: "" },
      {
        // The mark is the other half of it: whoever attaches clears it.
        file: DELETION,
        find: `where digest = any($1::text[]) and unreferenced_at <= now() - make_interval(secs => $2)
     order by digest for update skip locked`,
        replace: `where digest = any($1::text[]) and $2::float8 is not null
     order by digest for update skip locked`,
      },
    ],
  },
  {
    name: "no-lock",
    edits: [
      {
        file: DELETION,
        find: `where digest = any($1::text[]) and unreferenced_at <= now() - make_interval(secs => $2)
     order by digest for update skip locked`,
        replace: `where digest = any($1::text[]) and unreferenced_at <= now() - make_interval(secs => $2)
     order by digest`,
      },
    ],
  },
  {
    name: "mark-not-committed-first",
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
    name: "attach-does-not-look",
    edits: [
      {
        file: BLOB_ROWS,
        find: `  else if (row?.fresh === true || row?.marked === true) await ensureBytes();`,
        replace: "",
      },
    ],
  },
  {
    name: "attach-looks-at-new-rows-only",
    edits: [{ file: BLOB_ROWS, find: `row?.fresh === true || row?.marked === true`, replace: `row?.fresh === true` }],
  },
  {
    name: "attach-keeps-the-mark",
    edits: [
      {
        file: BLOB_ROWS,
        find: "update blobs set size = $2, unreferenced_at = null, adopted_at = null, quarantined_at",
        replace: "update blobs set size = $2, adopted_at = null, quarantined_at",
      },
      {
        file: DELETION,
        find: NOT_NEEDED,
        replace: "",
      },
    ],
  },
  {
    name: "row-before-object",
    edits: [
      {
        file: DELETION,
        find: `        const bytes = await inventory.withdraw(digest);
        if (bytes !== undefined) withdrawn.push(bytes);
        await failpoint("gc.afterObject");`,
        replace: "",
      },
      {
        file: DELETION,
        find: `    while (withdrawn.length > 0)`,
        replace: `    await failpoint("gc.afterObject");
    for (const { digest } of deleted) await (await inventory.withdraw(digest))?.discard();
    while (withdrawn.length > 0)`,
      },
    ],
  },
  {
    name: "links-not-looked-at-again",
    edits: [
      {
        file: "src/storage/gc/doomed.ts",
        find: `       and not exists (
         select from manifest_blobs mb where`,
        replace: `       and not exists (
         select from manifest_blobs mb where false and`,
      },
      {
        file: DELETION,
        find: `    await failpoint("gc.afterLock");
    const gone`,
        replace: `    await failpoint("gc.afterLock");
    await sql.query("", \`delete from manifest_blobs mb using \${keys(1)}
      where mb.repository_id = k.repository_id and mb.blob_digest = k.digest\`, columns(locked));
    const gone`,
      },
    ],
  },
  {
    name: "manifests-not-looked-at-again",
    edits: [
      {
        // The mark is the other half of it: who tags a manifest clears it.
        file: DELETION,
        find: `       where m.unreferenced_at <= now() - make_interval(secs => $3)
       order by m.repository_id, m.digest for update`,
        replace: `       where $3::float8 is not null
       order by m.repository_id, m.digest for update`,
      },
      {
        file: DELETION,
        find: `or exists (select from tags t where t.repository_id = m.repository_id and t.manifest_digest = m.digest)`,
        replace: "",
      },
    ],
  },
  {
    name: "s3-row-before-object",
    edits: [
      {
        file: "src/storage/s3-removal.ts",
        find: `      await removeObject(parts, object);`,
        replace: `      await parts.objects.forget(object.key);
      await removeObject(parts, object);`,
      },
    ],
  },
  {
    name: "s3-pieces-of-a-push-destroyed",
    edits: [
      {
        file: "src/storage/s3-blob-inventory.ts",
        find: `withdrawn.filter(({ isSettled }) => isSettled)`,
        replace: `withdrawn`,
      },
    ],
  },
];
