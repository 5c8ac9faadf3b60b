import { setTimeout as wait } from "node:timers/promises";
import { z } from "zod";
import { bytes, json } from "../http/reply.ts";
import type { Request } from "../http/request.ts";
import { bodyOperation, operation, type RestOperation } from "../http/rest-operation.ts";
import { pageQuery, pageSchema, replyPage } from "../http/rest-page.ts";
import type { Access } from "../http/route.ts";
import { isSame } from "../storage/integrity/fsck.ts";
import type { FsckFinding, FsckRequest, FsckRun, FsckRuns } from "../storage/integrity/fsck-runs.ts";
import { type Quarantined, quarantineKey } from "../storage/integrity/quarantine.ts";

export interface FsckApiDeps {
  readonly runs: FsckRuns;
  /** The id of a run that goes on after the answer; undefined where one is under way already. */
  readonly begin: (request: FsckRequest) => Promise<number | undefined>;
  readonly listQuarantined: (after: string, limit: number) => Promise<Quarantined[]>;
  /** The protocol's. */
  readonly notFound: () => Error;
}

const SYSTEM_ADMIN: Access = { kind: "system-admin" };
const RUNS = "/api/v1/fsck";
const shownRuns = 20;
/** One that has ended is about to let go of its lock. */
const maxBegins = 20;
const beginEveryMs = 25;
/** A share of all, with up to two decimals, or so many. */
const SAMPLE = /^(?:(?:100|\d{1,2}(?:\.\d{1,2})?)%|[1-9]\d{0,9})$/;

const runBody = z
  .strictObject({
    sample: z.string().regex(SAMPLE, "a sample is a share such as 1% or 0.25%, or a number of blobs").optional(),
    all: z.boolean().optional().describe("hash every blob; without it and a sample only sizes are compared"),
    repair: z.boolean().optional().describe("put into quarantine what is damaged, and take out what is whole"),
    acceptLoss: z.boolean().optional().describe("it may be that nearly every blob is missing"),
  })
  .refine(({ sample, all }) => sample === undefined || all !== true, "a sample, or all");

const runSchema = z.strictObject({
  id: z.int(),
  mode: z.enum(["sizes", "sample", "all"]),
  sample: z.string().optional(),
  repair: z.boolean(),
  acceptLoss: z.boolean(),
  state: z.enum(["running", "done", "failed"]),
  reason: z.string().optional().describe("why it failed, or what to know of it"),
  stage: z.enum(["quarantine", "sizes", "surplus", "manifests", "hashing", "over"]),
  startedAt: z.string(),
  endedAt: z.string().optional(),
  totalObjects: z.int().describe("blobs to be looked at"),
  totalBytes: z.int(),
  objects: z.int().describe("blobs looked at so far"),
  bytes: z.int(),
  findings: z.int().describe("without what was lifted"),
  skipped: z.int().describe("could not be read just then"),
});

const findingSchema = z.strictObject({
  id: z.string(),
  kind: z.enum(["blob", "manifest", "object", "upload"]).describe("objects and uploads are of a bucket"),
  repository: z.string().optional(),
  name: z.string().describe("a digest, or the key in the bucket"),
  size: z.int().describe("bytes it should have"),
  reason: z.enum(["missing", "size", "digest", "unreadable", "quarantined", "healthy", "surplus"]),
  found: z.string(),
  action: z.enum(["none", "quarantined", "lifted"]),
});

const quarantinedSchema = z.strictObject({
  kind: z.enum(["blob", "manifest"]),
  digest: z.string(),
  size: z.int().describe("bytes it should have"),
  repositories: z.array(z.string()).describe("up to five of those that have it"),
  reason: z.enum(["missing", "size", "digest", "unreadable"]),
  found: z.string(),
  since: z.string(),
  aside: z.string().optional().describe("where the blob store keeps what was there"),
});

/** Holding bytes against their digests, by hand: it also happens by itself, see scrub-api.ts. */
export const fsckOperations = (deps: FsckApiDeps): RestOperation[] => [
  bodyOperation(["fsck-start", "POST", RUNS, SYSTEM_ADMIN], {
    summary: `Hold the blob store and the manifests against the rows. Without repair nothing is changed. Answers once it has
      begun; asked for the same while it is under way, answers that.`,
    body: runBody,
    answers: { 202: runSchema },
    act: startRun(deps),
  }),
  operation(["fsck-list", "GET", RUNS, SYSTEM_ADMIN], {
    summary: "The latest checks, newest first.",
    answers: { 200: z.strictObject({ runs: z.array(runSchema) }) },
    act: async () => json(200, { runs: (await deps.runs.list(shownRuns)).map(toWire) }),
  }),
  operation(["fsck-get", "GET", `${RUNS}/<run>`, SYSTEM_ADMIN], {
    summary: "One check, and how far it is.",
    answers: { 200: runSchema },
    act: async (request) => json(200, toWire(await getRun(deps, request))),
  }),
  operation(["fsck-findings", "GET", `${RUNS}/<run>/findings`, SYSTEM_ADMIN], {
    summary: "What a check found, and what was done about it.",
    query: pageQuery,
    answers: { 200: pageSchema("findings", findingSchema) },
    act: listFindings(deps),
  }),
  operation(["quarantine-list", "GET", "/api/v1/quarantine", SYSTEM_ADMIN], {
    summary: "What is damaged and counts as absent until somebody pushes it again.",
    query: pageQuery,
    answers: { 200: pageSchema("quarantine", quarantinedSchema) },
    act: listQuarantine(deps),
  }),
];

function startRun(deps: FsckApiDeps) {
  return async (_: Request, { sample, all = false, repair = false, acceptLoss = false }: z.infer<typeof runBody>) => {
    const mode = all ? "all" : sample === undefined ? "sizes" : "sample";
    const request: FsckRequest = { mode, sample, repair, acceptLoss };
    const run = await findOrBegin(deps, request);
    if (run === undefined || !isSame(run, request)) return busy();
    return json(202, toWire(run), { Location: `${RUNS}/${run.id}` });
  };
}

/** The run that is under way, or one that begins. Undefined where one seems to be ending all the time. */
async function findOrBegin({ runs, begin }: FsckApiDeps, request: FsckRequest): Promise<FsckRun | undefined> {
  for (let attempt = 1; attempt <= maxBegins; attempt++) {
    const id = await begin(request);
    const run = id === undefined ? await runs.findOpen() : await runs.find(id);
    if (run !== undefined) return run;
    await wait(beginEveryMs);
  }
  return undefined;
}

function listFindings(deps: FsckApiDeps) {
  return async (request: Request) => {
    const { id: run } = await getRun(deps, request);
    return replyPage<FsckFinding & { readonly id: number }>(request, {
      name: "findings",
      keyOf: ({ id }) => String(id),
      toWire: ({ id, repository, ...finding }) => ({
        ...{ ...finding, id: String(id) },
        ...(repository === "" ? {} : { repository }),
      }),
      read: ({ after, limit }) => {
        if (!/^\d{0,15}$/.test(after)) throw request.badRequest("after is what an answer called next");
        return deps.runs.listFindings(run, Number(after), limit);
      },
    });
  };
}

function listQuarantine({ listQuarantined }: FsckApiDeps) {
  return (request: Request) =>
    replyPage<Quarantined>(request, {
      name: "quarantine",
      keyOf: quarantineKey,
      toWire: ({ since, aside, ...one }) => ({
        ...{ ...one, since: since.toISOString() },
        ...(aside === undefined ? {} : { aside }),
      }),
      read: ({ after, limit }) => listQuarantined(after, limit),
    });
}

/** Throws the protocol's not found. */
async function getRun({ runs, notFound }: FsckApiDeps, request: Request): Promise<FsckRun> {
  const text = request.param("run");
  const run = /^[1-9]\d{0,14}$/.test(text) ? await runs.find(Number(text)) : undefined;
  if (run === undefined) throw notFound();
  return run;
}

function busy() {
  const detail = "another check is under way; GET /api/v1/fsck tells how far it is";
  const problem = { type: "about:blank", title: "checking", status: 409, code: "checking", detail };
  return bytes(409, "application/problem+json", Buffer.from(JSON.stringify(problem)));
}

function toWire({ outcome, reason, sample, startedAt, endedAt, place: _, threshold: __, ...run }: FsckRun) {
  return {
    ...run,
    state: outcome ?? "running",
    startedAt: startedAt.toISOString(),
    ...(endedAt === undefined ? {} : { endedAt: endedAt.toISOString() }),
    ...(reason === undefined ? {} : { reason }),
    ...(sample === undefined ? {} : { sample }),
  };
}
