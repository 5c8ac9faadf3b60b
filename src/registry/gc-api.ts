import { z } from "zod";
import { bytes, json } from "../http/reply.ts";
import type { Request } from "../http/request.ts";
import { bodyOperation, operation, type RestOperation } from "../http/rest-operation.ts";
import { pageQuery, pageSchema, replyPage } from "../http/rest-page.ts";
import type { Access } from "../http/route.ts";
import type { GcItem, GcRun, GcRuns } from "../storage/gc/runs.ts";

export interface GcApiDeps {
  readonly runs: GcRuns;
  /** The id of a run that goes on after the answer; undefined where one is under way already. */
  readonly begin: (options: {
    readonly dryRun: boolean;
    readonly afterRestore: boolean;
  }) => Promise<number | undefined>;
  /** The protocol's. */
  readonly notFound: () => Error;
}

const SYSTEM_ADMIN: Access = { kind: "system-admin" };
const RUNS = "/api/v1/gc";
const shownRuns = 20;

const runBody = z.strictObject({
  dryRun: z.boolean().optional().describe("delete nothing, only list what would be deleted"),
  afterRestore: z.boolean().optional().describe("this database is right, though the blob store has seen a later one"),
});

const runSchema = z.strictObject({
  id: z.int(),
  dryRun: z.boolean(),
  state: z.enum(["running", "done", "held", "failed"]),
  reason: z.string().optional(),
  stage: z.string(),
  startedAt: z.string(),
  endedAt: z.string().optional(),
  marked: z.int().describe("rows found with nothing that leads to them"),
  deleted: z.int().describe("manifests, links and blobs"),
  freedBytes: z.int(),
  skipped: z.int().describe("left for the next run: somebody used them, or deleting them failed"),
});

const itemSchema = z.strictObject({
  id: z.string(),
  kind: z.enum(["manifest", "link", "blob"]).describe("a link lets a repository serve a blob; a blob is the bytes"),
  repository: z.string().optional(),
  digest: z.string(),
  size: z.int().describe("bytes"),
});

/** Garbage collection, by hand: it also runs by itself. */
export const gcOperations = (deps: GcApiDeps): RestOperation[] => [
  bodyOperation(["gc-start", "POST", RUNS, SYSTEM_ADMIN], {
    summary: "Collect garbage now, or with dryRun only list it. Answers once the run has begun.",
    body: runBody,
    answers: { 202: runSchema },
    act: startRun(deps),
  }),
  operation(["gc-list", "GET", RUNS, SYSTEM_ADMIN], {
    summary: "The latest collections, newest first.",
    answers: { 200: z.strictObject({ runs: z.array(runSchema) }) },
    act: async () => json(200, { runs: (await deps.runs.list(shownRuns)).map(toWire) }),
  }),
  operation(["gc-get", "GET", `${RUNS}/<run>`, SYSTEM_ADMIN], {
    summary: "One collection, and how far it is.",
    answers: { 200: runSchema },
    act: async (request) => json(200, toWire(await getRun(deps, request))),
  }),
  operation(["gc-items", "GET", `${RUNS}/<run>/items`, SYSTEM_ADMIN], {
    summary: "What a collection deleted or, dry, would delete.",
    query: pageQuery,
    answers: { 200: pageSchema("items", itemSchema) },
    act: listItems(deps),
  }),
];

function startRun({ runs, begin }: GcApiDeps) {
  return async (_: Request, { dryRun = false, afterRestore = false }: z.infer<typeof runBody>) => {
    const id = await begin({ dryRun, afterRestore });
    const run = id === undefined ? undefined : await runs.find(id);
    if (run === undefined) return busy();
    return json(202, toWire(run), { Location: `${RUNS}/${run.id}` });
  };
}

function listItems(deps: GcApiDeps) {
  return async (request: Request) => {
    const { id: run } = await getRun(deps, request);
    return replyPage<GcItem & { readonly id: number }>(request, {
      name: "items",
      keyOf: ({ id }) => String(id),
      toWire: ({ id, ...item }) => ({ ...item, id: String(id) }),
      read: ({ after, limit }) => {
        if (!/^\d{0,15}$/.test(after)) throw request.badRequest("after is what an answer called next");
        return deps.runs.listItems(run, Number(after), limit);
      },
    });
  };
}

/** Throws the protocol's not found. */
async function getRun({ runs, notFound }: GcApiDeps, request: Request): Promise<GcRun> {
  const text = request.param("run");
  const run = /^[1-9]\d{0,14}$/.test(text) ? await runs.find(Number(text)) : undefined;
  if (run === undefined) throw notFound();
  return run;
}

function busy() {
  const detail = "a collection is under way already; GET /api/v1/gc tells how far it is";
  const problem = { type: "about:blank", title: "collecting", status: 409, code: "collecting", detail };
  return bytes(409, "application/problem+json", Buffer.from(JSON.stringify(problem)));
}

function toWire({ outcome, reason, startedAt, endedAt, ...run }: GcRun) {
  return {
    ...run,
    state: outcome ?? "running",
    startedAt: startedAt.toISOString(),
    ...(endedAt === undefined ? {} : { endedAt: endedAt.toISOString() }),
    ...(reason === undefined ? {} : { reason }),
  };
}
