import { z } from "zod";
import { ProblemError } from "../../http/problem.ts";
import { bytes } from "../../http/reply.ts";
import { operation, type RestOperation, readQuery } from "../../http/rest-operation.ts";
import type { JsonObject } from "../../oci/json.ts";
import { ENVIRONMENT_LABEL } from "../managed-service.ts";
import { environmentQuery, LOOK, type ViewDeps } from "./list-view.ts";
import { LogTail } from "./log-tail.ts";
import { labelsOf } from "./services.ts";
import { findVisible } from "./services-view.ts";
import { flagAt, textAt } from "./wire.ts";

const logsQuery = environmentQuery.extend({
  tail: z
    .string()
    .regex(/^(?:0|[1-9]\d{0,4})$/, "a whole number below 100000")
    .optional()
    .describe("so many lines of each task; default 100, or all since the time that is given, 10000 at most"),
  since: z.iso.datetime({ offset: true }).optional(),
  follow: z.enum(["true", "false"]).default("false").describe("goes on for 15 minutes at most"),
});

const lineSchema = z.union([
  z.strictObject({
    ...{ at: z.string(), stream: z.enum(["stdout", "stderr"]), task: z.string(), name: z.string(), node: z.string() },
    ...{ text: z.string(), partial: z.boolean().describe("the line goes on with the next one of its task and stream") },
  }),
  z.strictObject({ error: z.string().describe("what could not be shown, such as the log of a node that is away") }),
  z.strictObject({ end: z.string().describe("why there is no more: ask again, since the last line's time") }),
]);

/** Each holds a connection to the manager. */
const MAX_OPEN = 64;
const [WHOLE_MS, FOLLOW_MS] = [60_000, 900_000] as const;

/**
 * `GET /api/v1/cluster/services/NAME/logs`: a line of JSON for each line that a task wrote. An empty line means only that the
 * connection lives.
 */
export function getLogs(deps: ViewDeps): RestOperation {
  const open = new Set<LogTail>();
  return operation(["cluster-service-logs", "GET", "/api/v1/cluster/services/<service>/logs", LOOK], {
    ...{ summary: "What a service's tasks wrote", query: logsQuery, answers: { 200: z.unknown() }, lines: lineSchema },
    act: async (request) => {
      const query = readQuery(request, logsQuery);
      const viewer = await deps.viewers.find(request, query.environment);
      const service = await findVisible(deps, viewer, request.param("service"));
      if (open.size >= MAX_OPEN)
        throw new ProblemError(409, "too-many", `${MAX_OPEN} logs are being read already: try again`);

      const follow = query.follow === "true";
      const tail = new LogTail(deps.manager, service, {
        path: toPath(service, query),
        isTerminal: flagAt(service, "Spec", "TaskTemplate", "ContainerSpec", "TTY"),
        limitMs: follow ? FOLLOW_MS : WHOLE_MS,
        onClose: () => void open.delete(tail),
      });
      open.add(tail);
      await tail.open();

      // For the registry's record of who read what.
      const environment = labelsOf(service)[ENVIRONMENT_LABEL];
      const headers = environment === undefined ? {} : { "Goldseal-Environment": environment };
      return bytes(200, "application/x-ndjson", tail, headers);
    },
  });
}

function toPath(service: JsonObject, { tail, since, follow }: z.infer<typeof logsQuery>): string {
  const parameters = new URLSearchParams({
    stdout: "true",
    stderr: "true",
    timestamps: "true",
    details: "true",
    follow,
  });
  parameters.set("tail", tail ?? (since === undefined ? "100" : "10000"));
  if (since !== undefined) parameters.set("since", String(Date.parse(since) / 1000));
  return `/services/${textAt(service, "ID")}/logs?${parameters}`;
}
