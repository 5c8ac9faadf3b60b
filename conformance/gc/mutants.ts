import type { Mutant } from "../harness/mutate.ts";

const DELETION = "src/storage/gc/deletion.ts";
const BLOB_ROWS = "src/storage/blob-rows.ts";

/** Each breaks one rule of collecting while pushes go on: the explorer must find it. */
export const MUTANTS: readonly Mutant[] = [
  {
    name: "no-recheck",
    edits: [
      { file: DELETION, find: `  return links.length === 0;`, replace: `  return links.length >= 0;` },
      {
        // The mark is the other half of it: whoever attaches clears it.
        file: DELETION,
        find: `where digest = $1 and unreferenced_at <= now() - make_interval(secs => $2)
     for update skip locked`,
        replace: `where digest = $1 and $2::float8 is not null
     for update skip locked`,
      },
    ],
  },
  {
    name: "no-lock",
    edits: [
      {
        file: DELETION,
        find: `where digest = $1 and unreferenced_at <= now() - make_interval(secs => $2)
     for update skip locked`,
        replace: `where digest = $1 and unreferenced_at <= now() - make_interval(secs => $2)`,
      },
    ],
  },
  {
    name: "mark-not-committed-first",
    edits: [
      {
        // Marked, if at all, with the deletion itself: whoever comes after a crash finds an innocent row.
        file: "src/storage/gc/marks.ts",
        find: `       update blobs b set unreferenced_at = now() from changed c where b.digest = c.digest returning 1`,
        replace: `       select 1 from changed`,
      },
      {
        file: "src/storage/gc/doomed.ts",
        find: `dryRun ? "true" : "b.unreferenced_at is not null"`,
        replace: `dryRun ? "true" : "true"`,
      },
      {
        file: DELETION,
        find: `where digest = $1 and unreferenced_at <= now() - make_interval(secs => $2)
     for update skip locked`,
        replace: `where digest = $1 and $2::float8 is not null
     for update skip locked`,
      },
    ],
  },
  {
    name: "attach-does-not-look",
    edits: [
      { file: BLOB_ROWS, find: `  if (row?.fresh === true || row?.marked === true) await ensureBytes();`, replace: "" },
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
        find: `"update blobs set size = $2, unreferenced_at = null where digest = $1"`,
        replace: `"update blobs set size = $2 where digest = $1"`,
      },
      {
        file: DELETION,
        find: `  return links.length === 0;`,
        replace: `  return links.length >= 0;`,
      },
    ],
  },
  {
    name: "row-before-object",
    edits: [
      {
        file: DELETION,
        find: `      const bytes = await inventory.withdraw(item.digest);
      if (bytes !== undefined) withdrawn.push(bytes);
      await failpoint("gc.afterObject");`,
        replace: "",
      },
      {
        file: DELETION,
        find: `    for (const bytes of withdrawn) await bytes.discard();`,
        replace: `    await failpoint("gc.afterObject");
    if (deleted) await (await inventory.withdraw(item.digest))?.discard();`,
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
    await sql.query("", "delete from manifest_blobs where repository_id = $1 and blob_digest = any($2::text[])", [
      repositoryId,
      rows.map(({ digest }) => digest),
    ]);
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
        find: `select digest from manifests
       where repository_id = $1 and digest = any($2::text[]) and unreferenced_at <= now() - make_interval(secs => $3)
       order by digest for update skip locked`,
        replace: `select digest from manifests
       where repository_id = $1 and digest = any($2::text[]) and $3::float8 is not null
       order by digest for update skip locked`,
      },
      {
        file: DELETION,
        find: `or exists (select from tags t where t.repository_id = $1 and t.manifest_digest = m.digest)`,
        replace: "",
      },
    ],
  },
];
