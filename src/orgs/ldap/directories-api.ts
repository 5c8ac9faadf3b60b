import { z } from "zod";
import { json } from "../../http/reply.ts";
import { operation, type RestOperation, readQuery } from "../../http/rest-operation.ts";
import type { Access, Handler } from "../../http/route.ts";
import { notFound, OrgsError } from "../errors.ts";
import { DirectoryAwayError } from "./directory.ts";
import type { Directories } from "./open-directories.ts";

export interface DirectoriesApiDeps {
  /** Undefined: none is configured. */
  readonly directories: Directories | undefined;
}

const names = z.array(z.string());
const diffSchema = z.object({
  directory: z.string(),
  create: names,
  suspend: names,
  restore: names,
  teams: z.array(z.object({ team: z.string(), add: names, remove: names })),
  owners: z.array(z.object({ org: z.string(), add: names, remove: names })),
  refused: names.describe("what cannot be done, and why"),
});
const lastSyncSchema = z.object({
  startedAt: z.iso.datetime(),
  endedAt: z.iso.datetime().nullable().describe("null while it is under way"),
  outcome: z.string().nullable().describe("done, or why not"),
});
const directorySchema = z.object({
  name: z.string(),
  url: z.string(),
  syncMinutes: z.int(),
  graceMinutes: z.int(),
  lastSync: lastSyncSchema.nullable().describe("null before the first"),
});
const querySchema = z.object({ dryRun: z.enum(["true", "false"]).optional() });

const SYSTEM_ADMIN: Access = { kind: "system-admin" };

/** Directories come from the server's configuration; here they are shown and synced. */
export const directoriesOperations = (deps: DirectoriesApiDeps): RestOperation[] => [
  operation(["directories-list", "GET", "/api/v1/directories", SYSTEM_ADMIN], {
    summary: "The directories that users sign in by.",
    answers: { 200: z.object({ directories: z.array(directorySchema) }) },
    act: async () => json(200, { directories: ((await deps.directories?.list()) ?? []).map(toWire) }),
  }),
  operation(["directory-sync", "POST", "/api/v1/directories/<directory>/sync", SYSTEM_ADMIN], {
    summary:
      "Bring users, teams and owners in line with a directory now; with dryRun=true only say what that would change.",
    query: querySchema,
    answers: { 200: diffSchema },
    act: syncDirectory(deps),
  }),
];

function syncDirectory({ directories }: DirectoriesApiDeps): Handler {
  return async (request) => {
    const dryRun = readQuery(request, querySchema).dryRun === "true";
    try {
      const diff = await directories?.sync(request.param("directory"), { dryRun });
      if (diff === undefined) throw notFound();
      return json(200, diff);
    } catch (cause) {
      if (cause instanceof DirectoryAwayError) throw new OrgsError("unavailable", cause.message, { cause });
      throw cause;
    }
  };
}

function toWire({ config, lastSync }: Awaited<ReturnType<Directories["list"]>>[number]) {
  const { name, url, syncMinutes, graceMinutes } = config;
  const { startedAt, endedAt, outcome } = lastSync ?? {};
  const last = startedAt && { startedAt: startedAt.toISOString(), endedAt: endedAt?.toISOString() ?? null, outcome };
  return { name, url, syncMinutes, graceMinutes, lastSync: last ?? null };
}
