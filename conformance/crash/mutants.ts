import type { CrashMutant } from "./mutant.ts";
import { BUCKET_MUTANTS } from "./mutants-bucket.ts";
import { POWER_MUTANTS } from "./mutants-power.ts";

const UPLOADS = "src/registry/uploads.ts";
const CHUNKS = "src/registry/upload-chunks.ts";
const MANIFESTS = "src/registry/manifests.ts";
const MANIFEST_STORE = "src/storage/manifest-store.ts";
const DATABASE = "src/storage/database.ts";

/** Found by kills of one server on a folder. */
const KILL_MUTANTS: readonly CrashMutant[] = [
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
        find: `      await deps.manifests.put({
        ...{ repository, admission, manifest: row, tags, confirm: deps.confirm(request) },
        by: authorOf(request.actor),
      });`,
        replace: `      setImmediate(() => void deps.manifests.put({
        ...{ repository, admission, manifest: row, tags, confirm: deps.confirm(request) },
        by: authorOf(request.actor),
      }).catch(() => undefined));`,
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
    name: "signed-after-the-push",
    at: ["tag.beforeCommit", "manifest.beforeCommit", "tag.afterCommit"],
    edits: [
      {
        file: MANIFEST_STORE,
        find: `    if (tags.length > 0) await this.#tagSigner.sign(sql, { ...move, tags });`,
        replace: `    const sign = () => this.#database.transaction((later) => this.#tagSigner.sign(later, { ...move, tags }));
    if (tags.length > 0) setTimeout(() => void sign().catch(() => undefined), 300);`,
      },
    ],
  },
  {
    name: "entry-stays-with-no-tag",
    edits: [
      {
        file: MANIFEST_STORE,
        find: `    if (row?.signed === true) await this.#tagSigner.withdraw(`,
        replace: `    if (row?.signed === true && row.digest === "") await this.#tagSigner.withdraw(`,
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
    name: "rights-answered-before-commit",
    at: ["acl.beforeCommit"],
    edits: [
      {
        file: "src/orgs/change-rights.ts",
        find: `  const result = await database.transaction(async (sql) => {
    const changed = await work(sql);`,
        replace: `  const told = Promise.withResolvers<T>();
  const done = database.transaction(async (sql) => {
    const changed = await work(sql);
    told.resolve(changed);
    await new Promise((resolve) => setTimeout(resolve, 20));`,
      },
      {
        file: "src/orgs/change-rights.ts",
        find: `  await failpoint("acl.afterEpoch");`,
        replace: `  done.catch(told.reject);
  const result = await told.promise;`,
      },
    ],
  },
  {
    name: "commit-not-awaited",
    edits: [
      {
        file: DATABASE,
        find: `await ask("commit", "commit");`,
        replace: `void ask("commit", "commit").catch(() => undefined);`,
      },
    ],
  },
  {
    name: "tag-delete-not-awaited",
    at: ["del.beforeRow"],
    edits: [
      {
        file: MANIFESTS,
        find: `    await manifests.deleteTag(repository, reference.tag, confirm(request));`,
        replace: `    setImmediate(() => void manifests.deleteTag(repository, reference.tag, confirm(request)).catch(() => undefined));`,
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
];

/** With each of them the crash suite must go red, or it proves nothing. */
export const MUTANTS: readonly CrashMutant[] = [...KILL_MUTANTS, ...BUCKET_MUTANTS, ...POWER_MUTANTS];
