import { z } from "zod";
import type { RestOperation } from "./rest-operation.ts";
import type { Access } from "./route.ts";

export interface OpenApiOptions {
  readonly publicUrl: string;
  readonly version: string;
  readonly operations: readonly RestOperation[];
}

const problem = z.object({
  type: z.string(),
  title: z.string(),
  status: z.int(),
  code: z.string().describe("stable; for programs"),
  detail: z.string().describe("one sentence for people"),
  decision: z.string().optional().describe("of a refusal: the id to ask explain about"),
});

/** The document at `/api/v1/openapi.json`, made of the same schemas that check what comes in. */
export function toOpenApi({ publicUrl, version, operations }: OpenApiOptions): Record<string, unknown> {
  const paths: Record<string, Record<string, unknown>> = {};
  for (const operation of operations) {
    const path = operation.route.path.replace(/<([a-z]+)>/g, "{$1}");
    paths[path] = { ...paths[path], [operation.route.method.toLowerCase()]: toOperation(operation) };
  }
  return {
    openapi: "3.1.0",
    info: { title: "Goldseal", version },
    servers: [{ url: publicUrl }],
    security: [{ basic: [] }, { token: [] }],
    paths,
    components: {
      schemas: { Problem: toSchema(problem) },
      securitySchemes: {
        basic: { type: "http", scheme: "basic" },
        token: { type: "http", scheme: "bearer", description: "a personal token, or a robot's secret" },
      },
    },
  };
}

/** Of a change that its sender may make to depend on what is there. @see RFC 9110 section 13.1 */
const CONDITIONS = [
  { name: "If-Match", description: "an ETag, or * for: it must be there; 412 when that does not hold" },
  { name: "If-None-Match", description: "only *: it must not be there; 412 when that does not hold" },
].map((header) => ({ ...header, in: "header", required: false, schema: { type: "string" } }));

function toOperation(operation: RestOperation): Record<string, unknown> {
  const { route, summary, body, query, answers, conditional, lines } = operation;
  const inPath = [...route.path.matchAll(/<([a-z]+)>/g)].map(([, name]) => ({
    name,
    in: "path",
    required: true,
    schema: { type: "string" },
  }));
  return {
    operationId: route.id,
    summary,
    description: describeAccess(route.access),
    ...(route.access.kind === "open" ? { security: [] } : {}),
    parameters: [...inPath, ...toQueryParameters(query), ...(conditional === true ? CONDITIONS : [])],
    ...(body === undefined ? {} : { requestBody: { required: true, content: jsonContent(body, "input") } }),
    responses: {
      ...Object.fromEntries(Object.entries(answers).map(([status, schema]) => [status, toAnswer(schema, lines)])),
      default: {
        description: "refused, or failed",
        content: { "application/problem+json": { schema: { $ref: "#/components/schemas/Problem" } } },
      },
    },
  };
}

function toAnswer(schema: z.ZodType | undefined, lines: z.ZodType | undefined) {
  if (schema === undefined && lines === undefined) return { description: "done" };
  const inLines = lines === undefined ? {} : { "application/x-ndjson": { schema: toSchema(lines) } };
  return { description: "done", content: { ...(schema && jsonContent(schema, "output")), ...inLines } };
}

function toQueryParameters(query: z.ZodObject | undefined) {
  if (query === undefined) return [];
  return Object.entries(query.shape).map(([name, schema]) => ({
    name,
    in: "query",
    required: false,
    schema: toSchema(schema as z.ZodType, "input"),
  }));
}

function jsonContent(schema: z.ZodType, io: "input" | "output") {
  return { "application/json": { schema: toSchema(schema, io) } };
}

function toSchema(schema: z.ZodType, io: "input" | "output" = "output") {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { io });
  return rest;
}

function describeAccess(access: Access): string {
  switch (access.kind) {
    case "open":
      return "Anyone.";
    case "user":
      return "Whoever signs in; what is shown and let depends on who it is.";
    case "system-admin":
      return "System administrators.";
    case "auditor":
      return "System administrators and auditors.";
    case "org":
      return access.right === "view" ? "Members of the organization." : "Owners of the organization.";
    case "team":
      return "Owners of the organization and administrators of the team.";
    case "grant":
      return "Whoever administers what is granted: one repository, or the organization.";
    case "org-admin":
      return `Whoever administers all of the organization${access.right === "view" ? ", and auditors" : ""}.`;
    case "org-repository":
      return `Whoever has the right ${access.action} on the repository.`;
    default:
      return "";
  }
}
