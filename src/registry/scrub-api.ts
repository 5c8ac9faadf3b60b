import { z } from "zod";
import { etagOf, preconditionOf } from "../http/precondition.ts";
import { json, type Reply } from "../http/reply.ts";
import type { Request } from "../http/request.ts";
import { bodyOperation, operation, type RestOperation } from "../http/rest-operation.ts";
import type { Access } from "../http/route.ts";
import type { Confirm } from "../storage/database.ts";
import type { ScrubStore } from "../storage/integrity/scrub-store.ts";

export interface ScrubApiDeps {
  readonly scrub: ScrubStore;
  /** Begins to scrub, where nobody does. */
  readonly wake: () => void;
  /** Of the change that a request makes. */
  readonly confirm: (request: Request) => Confirm;
  /** The protocol's. */
  readonly preconditionFailed: (message: string) => Error;
}

const SYSTEM_ADMIN: Access = { kind: "system-admin" };
const SCRUB = "/api/v1/scrub";
const maxBytesPerSecond = 10 * 1024 ** 3;

const settingsBody = z.strictObject({
  bytesPerSecond: z.int().min(0).max(maxBytesPerSecond).describe("0: the scrub is off"),
  everyDays: z.int().min(0).max(366).describe("nothing is read more often than that; 0: over and over"),
});

const scrubSchema = settingsBody.extend({
  objects: z.int().describe("blobs and manifests held against their digests, since ever"),
  bytes: z.int(),
  damaged: z.int().describe("of these"),
  lastAt: z.string().optional().describe("when something was last read"),
  oldestAt: z.string().optional().describe("when that was last read, or written, which was not read for longest"),
});

/** The slow check of everything that goes on by itself. */
export const scrubOperations = (deps: ScrubApiDeps): RestOperation[] => [
  operation(["scrub-get", "GET", SCRUB, SYSTEM_ADMIN], {
    summary: "How fast everything is read again in the background, and what came of it.",
    answers: { 200: scrubSchema },
    act: () => show(deps),
  }),
  bodyOperation(["scrub-put", "PUT", SCRUB, SYSTEM_ADMIN], {
    conditional: true,
    summary: "Change how fast, and how often. It is heeded at once.",
    body: settingsBody,
    answers: { 200: scrubSchema },
    act: async (request, settings) => {
      const check = preconditionOf(request, deps.preconditionFailed);
      await deps.scrub.put(settings, { check, confirm: deps.confirm(request) });
      deps.wake();
      return show(deps);
    },
  }),
];

async function show({ scrub }: ScrubApiDeps): Promise<Reply> {
  const { version, lastAt, oldestAt, ...state } = await scrub.read();
  const wire = {
    ...state,
    ...(lastAt === undefined ? {} : { lastAt: lastAt.toISOString() }),
    ...(oldestAt === undefined ? {} : { oldestAt: oldestAt.toISOString() }),
  };
  return json(200, wire, { ETag: etagOf(version) });
}
