import type { CrashMutant } from "./mutant.ts";

const FILES = "src/storage/fs-blob-store.ts";
const SETUP_FILES = "src/setup/files.ts";

const POWER_CUTS = ["--power-cuts", "75"];

/** What only a power cut shows: a sync that is missing, or an answer before it. */
export const POWER_MUTANTS: readonly CrashMutant[] = (
  [
    {
      name: "commits-not-synced",
      edits: [
        {
          file: "src/setup/postmaster.ts",
          find: `["synchronous_commit", "on"]`,
          replace: `["synchronous_commit", "off"]`,
        },
        {
          file: "src/prepare.ts",
          find: `if (faults.length > 0) throw new Error(faults.map(`,
          replace: `if (faults.length > 99) throw new Error(faults.map(`,
        },
      ],
    },
    {
      name: "segment-bytes-not-synced",
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
      edits: [{ file: FILES, find: `      await syncFolder(join(this.#root, "uploads"));`, replace: "" }],
    },
    {
      name: "blob-name-not-synced",
      edits: [{ file: FILES, find: `    await syncFolder(join(target, ".."));`, replace: "" }],
    },
    {
      name: "blob-copied-not-linked",
      edits: [
        {
          file: FILES,
          find: `import { type FileHandle, link,`,
          replace: `import { readFile, writeFile, type FileHandle, link,`,
        },
        {
          file: FILES,
          find: `  await link(source, target).catch(async`,
          replace: `  await writeFile(target, await readFile(source), { flag: "wx" }).catch(async`,
        },
      ],
    },
    {
      name: "folders-not-synced",
      edits: [{ file: FILES, find: `      await syncFolder(folder);\n    }`, replace: `    }` }],
    },
    {
      name: "setup-file-not-synced",
      edits: [{ file: SETUP_FILES, find: `    await handle.sync();\n    await rename`, replace: `    await rename` }],
    },
    {
      name: "setup-name-not-synced",
      // All three: whoever comes last in the data folder makes the names of those before last too.
      edits: [
        { file: SETUP_FILES, find: `  await syncFolder(dirname(file));`, replace: "" },
        { file: "src/setup/postgres-cluster.ts", find: `  await syncFolder(dirname(place.cluster));`, replace: "" },
        { file: FILES, find: `[join(root, "blobs"), root, join(root, "..")]`, replace: `[join(root, "blobs"), root]` },
      ],
    },
    {
      name: "grant-delete-not-awaited",
      args: [...POWER_CUTS, "--after", "grant.delete"],
      edits: [
        {
          file: "src/orgs/grants-api.ts",
          find: `    await deps.grants.delete(grantKey(request), changeOf(deps, request));`,
          replace: `    setTimeout(() => void deps.grants.delete(grantKey(request), changeOf(deps, request)).catch(() => undefined), 100);`,
        },
      ],
    },
    {
      name: "user-delete-not-awaited",
      args: [...POWER_CUTS, "--after", "user.delete"],
      edits: [
        {
          file: "src/orgs/users-api.ts",
          find: `    await deps.users.delete(nameParam(request, "user"), changeOf(deps, request));`,
          replace: `    const gone = () => deps.users.delete(nameParam(request, "user"), changeOf(deps, request));
    setTimeout(() => void gone().catch(() => undefined), 100);`,
        },
      ],
    },
    {
      name: "trust-delete-not-awaited",
      args: [...POWER_CUTS, "--after", "trust.delete"],
      edits: [
        {
          file: "src/notary/server-keys.ts",
          find: `    await deps.database.transaction(async (sql) => {
      await deps.confirm(request)(sql);
      const [at,`,
          replace: `    const wait = (ms: number) => new Promise((done) => setTimeout(done, ms));
    void deps.database.transaction(async (sql) => {
      await wait(100);
      await deps.confirm(request)(sql);
      const [at,`,
        },
      ],
    },
  ] satisfies CrashMutant[]
).map((mutant) => ({ args: POWER_CUTS, ...mutant }));
