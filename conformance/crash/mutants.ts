import type { Mutant } from "../harness/mutate.ts";

const UPLOADS = "src/registry/uploads.ts";
const CHUNKS = "src/registry/upload-chunks.ts";
const MANIFESTS = "src/registry/manifests.ts";
const MANIFEST_STORE = "src/storage/manifest-store.ts";
const DATABASE = "src/storage/database.ts";
const FILES = "src/storage/fs-blob-store.ts";

export interface CrashMutant extends Mutant {
  /** The part of the suite that shows it; default: kills of one server on a folder. */
  readonly args?: readonly string[];
}

const POWER_CUTS = ["--power-cuts", "60"];

/** With each of them the crash suite must go red, or it proves nothing. */
export const MUTANTS: readonly CrashMutant[] = [
  {
    name: "blob-row-before-bytes",
    at: ["blob.afterHash", "blob.beforeCommit"],
    edits: [
      {
        file: UPLOADS,
        find: `    const blob = await publish(deps, [segment.name], digest, segment.digest);
    await deps.failpoint("blob.beforeCommit");
    await deps.uploads.linkWhole({ repository, admission, ...blob, confirm: deps.confirm(request) });`,
        replace: `    const blob = { digest, size: segment.size, ensureBytes: async () => undefined };
    await deps.uploads.linkWhole({ repository, admission, ...blob, confirm: deps.confirm(request) });
    await deps.failpoint("blob.beforeCommit");
    await publish(deps, [segment.name], digest, segment.digest);`,
      },
    ],
  },
  {
    name: "upload-row-before-bytes",
    at: ["blob.afterHash", "blob.beforeCommit"],
    edits: [
      {
        file: UPLOADS,
        find: `    const blob = await publish(deps, all, digest, known);
    await deps.failpoint("blob.beforeCommit");
    await deps.uploads.finish(session, { ...blob, confirm: deps.confirm(request) });`,
        replace: `    const later = { digest, size: session.size, ensureBytes: async () => undefined };
    const blob = own.length > 0 ? await publish(deps, all, digest, known) : later;
    await deps.uploads.finish(session, { ...blob, confirm: deps.confirm(request) });
    await deps.failpoint("blob.beforeCommit");
    if (own.length === 0) await publish(deps, all, digest, known);`,
      },
    ],
  },
  {
    name: "pieces-discarded-before-row",
    at: ["del.afterUnlink", "blob.beforeCommit"],
    edits: [
      {
        file: UPLOADS,
        find: `    await deps.uploads.finish(session, { ...blob, confirm: deps.confirm(request) });`,
        replace: `    await deps.blobs.discard(all);
    await deps.uploads.finish(session, { ...blob, confirm: deps.confirm(request) });`,
      },
    ],
  },
  {
    name: "cancel-discards-before-row",
    at: ["del.afterUnlink"],
    edits: [
      {
        file: UPLOADS,
        find: `    if (!(await deps.uploads.remove(session.id)))`,
        replace: `    await deps.blobs.discard(session.segments);
    if (!(await deps.uploads.remove(session.id)))`,
      },
    ],
  },
  {
    name: "patch-answered-before-row",
    edits: [
      {
        file: CHUNKS,
        find: `  const next = segment.size === 0 ? undefined : await deps.uploads.append(session, segment);`,
        replace: `  if (segment.size > 0) setImmediate(() => void deps.uploads.append(session, segment).catch(() => undefined));
  const next = segment.size === 0 ? undefined : { ...session, size: session.size + segment.size };`,
      },
    ],
  },
  {
    name: "manifest-put-not-awaited",
    edits: [
      {
        file: MANIFESTS,
        find: `    await deps.manifests.put({ repository, admission, manifest: row, tags, confirm: deps.confirm(request) });`,
        replace: `    const put = { repository, admission, manifest: row, tags, confirm: deps.confirm(request) };
    setImmediate(() => void deps.manifests.put(put).catch(() => undefined));`,
      },
    ],
  },
  {
    name: "tag-after-the-transaction",
    at: ["tag.beforeCommit", "manifest.beforeCommit"],
    edits: [
      {
        file: MANIFEST_STORE,
        find: `      if (tags.length > 0) {`,
        replace: `    }); await this.#database.transaction(async (sql) => {\n      const repositoryId = await ensureRepository(sql, repository, admission);\n      if (tags.length > 0) {`,
      },
    ],
  },
  {
    name: "manifest-without-transaction",
    at: ["manifest.afterInsert", "manifest.afterLock", "tag.beforeCommit"],
    edits: [
      {
        file: MANIFEST_STORE,
        find: `    await this.#database.transaction(async (sql) => {
      await confirm(sql);
      const repositoryId`,
        replace: `    const sql = this.#database;
    await (async () => {
      const repositoryId`,
      },
      {
        file: MANIFEST_STORE,
        find: `    });
    await this.#failpoint("manifest.afterCommit");`,
        replace: `    })();
    await this.#failpoint("manifest.afterCommit");`,
      },
    ],
  },
  {
    name: "commit-not-awaited",
    edits: [
      {
        file: DATABASE,
        find: `await drive(client.query("commit"));`,
        replace: `void client.query("commit").catch(() => undefined);`,
      },
    ],
  },
  {
    name: "tag-delete-not-awaited",
    at: ["del.beforeRow"],
    edits: [
      {
        file: MANIFESTS,
        find: `      await manifests.deleteTag(repository, reference.tag, confirm(request));`,
        replace: `      setImmediate(() => void manifests.deleteTag(repository, reference.tag, confirm(request)).catch(() => undefined));`,
      },
    ],
  },
  {
    name: "commits-not-synced",
    args: POWER_CUTS,
    edits: [
      {
        file: "src/setup/postmaster.ts",
        find: `["synchronous_commit", "on"]`,
        replace: `["synchronous_commit", "off"]`,
      },
      {
        file: "src/app.ts",
        find: `if (faults.length > 0) throw new Error(faults.join("\\n"));`,
        replace: `if (faults.length > 99) throw new Error(faults.join("\\n"));`,
      },
    ],
  },
  {
    name: "no-restart-of-postgres",
    edits: [
      {
        file: "src/setup/postgres.ts",
        find: `if (stopping.signal.aborted) return;\n      options`,
        replace: `if (postmaster.pid > 0) return;\n      options`,
      },
    ],
  },
  {
    name: "segment-bytes-not-synced",
    args: POWER_CUTS,
    edits: [
      {
        file: "src/storage/file-writer.ts",
        find: `    await this.#handle.datasync();\n  }`,
        replace: `  }`,
      },
    ],
  },
  {
    name: "segment-name-not-synced",
    args: POWER_CUTS,
    edits: [{ file: FILES, find: `      await syncFolder(join(this.#root, "uploads"));`, replace: "" }],
  },
  {
    name: "blob-name-not-synced",
    args: POWER_CUTS,
    edits: [{ file: FILES, find: `    await syncFolder(join(target, ".."));`, replace: "" }],
  },
  {
    name: "blob-copied-not-linked",
    args: POWER_CUTS,
    edits: [
      { file: FILES, find: `import { type FileHandle, link,`, replace: `import { copyFile, type FileHandle, link,` },
      {
        file: FILES,
        find: `return await link(source, target);`,
        replace: `return await copyFile(source, target, constants.COPYFILE_EXCL);`,
      },
    ],
  },
  {
    name: "folders-not-synced",
    args: POWER_CUTS,
    edits: [{ file: FILES, find: `      await syncFolder(folder);\n    }`, replace: `    }` }],
  },
];
