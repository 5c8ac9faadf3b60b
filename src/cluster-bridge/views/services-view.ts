import { z } from "zod";
import { ProblemError } from "../../http/problem.ts";
import { json } from "../../http/reply.ts";
import { operation, type RestOperation, readQuery } from "../../http/rest-operation.ts";
import type { JsonObject } from "../../oci/json.ts";
import { environmentQuery, LOOK, listQuery, listView, text, type ViewDeps } from "./list-view.ts";
import { labelsOf, nameOf, readContext, readServices, serviceSchema, toService } from "./services.ts";
import { STACK, type Viewer } from "./viewer.ts";
import { at, filters, flagAt, listAt, numberAt, textAt, textsAt } from "./wire.ts";

const servicesQuery = listQuery.extend({ stack: text });

export function listServices(deps: ViewDeps): RestOperation {
  return listView(deps, {
    ...{ name: "services", summary: "Services", entry: serviceSchema, query: servicesQuery },
    keyOf: ({ name }) => name,
    read: async (viewer, { stack }) => {
      const [services, context] = await Promise.all([readServices(deps, viewer), readContext(deps)]);
      const fit = services.filter((service) => stack === undefined || labelsOf(service)[STACK] === stack);
      return { entries: fit.map((service) => toService(service, context)) };
    },
  });
}

const amounts = z.strictObject({ cpus: z.number().optional(), memoryBytes: z.number().optional() });
const mount = z.strictObject({ type: z.string(), source: z.string(), target: z.string(), readOnly: z.boolean() });

const detailSchema = serviceSchema.extend({
  entrypoint: z.array(z.string()),
  command: z.array(z.string()),
  user: z.string(),
  env: z.array(z.string()).describe("names alone: values may be secret"),
  secrets: z.array(z.string()),
  configs: z.array(z.string()),
  mounts: z.array(mount),
  constraints: z.array(z.string()),
  limits: amounts,
  reservations: amounts,
  errors: z.array(z.string()).describe("what tasks said that ended by themselves; the newest first"),
});

/** `GET /api/v1/cluster/services/NAME`: one service by its whole name, with what it is made of. */
export function getService(deps: ViewDeps): RestOperation {
  return operation(["cluster-service", "GET", "/api/v1/cluster/services/<service>", LOOK], {
    ...{ summary: "A service", query: environmentQuery, answers: { 200: detailSchema } },
    act: async (request) => {
      const { environment } = readQuery(request, environmentQuery);
      const viewer = await deps.viewers.find(request, environment);

      const service = await findVisible(deps, viewer, request.param("service"));
      const [context, errors] = await Promise.all([readContext(deps), readErrors(deps, service)]);

      return json(200, { ...toService(service, context), ...toDetail(service), errors });
    },
  });
}

/** @throws ProblemError 404, the same for what is hidden */
export async function findVisible(deps: ViewDeps, viewer: Viewer, name: string): Promise<JsonObject> {
  const found = (await readServices(deps, viewer)).find((service) => nameOf(service) === name);
  if (found === undefined) throw new ProblemError(404, "not-found", `there is no service ${name}`);
  return found;
}

const MAX_ERRORS = 5;

async function readErrors({ manager }: ViewDeps, service: JsonObject): Promise<string[]> {
  const tasks = await manager.list(`/tasks?filters=${filters({ service: [textAt(service, "ID")] })}`);
  const newest = tasks.toSorted((one, other) => (timeOf(one) < timeOf(other) ? 1 : -1));
  const errors = newest.map((task) => textAt(task, "Status", "Err")).filter((error) => error !== "");
  return [...new Set(errors)].slice(0, MAX_ERRORS);
}

const timeOf = (task: JsonObject): string => textAt(task, "Status", "Timestamp");

function toDetail(
  service: JsonObject,
): Omit<z.infer<typeof detailSchema>, keyof z.infer<typeof serviceSchema> | "errors"> {
  const template = at(service, "Spec", "TaskTemplate");
  const container = at(template, "ContainerSpec");
  const names = (what: string, field: string): string[] => listAt(container, what).map((entry) => textAt(entry, field));
  return {
    entrypoint: [...textsAt(container, "Command")],
    command: [...textsAt(container, "Args")],
    user: textAt(container, "User"),
    env: textsAt(container, "Env").map((entry) => entry.split("=")[0] ?? ""),
    secrets: names("Secrets", "SecretName"),
    configs: names("Configs", "ConfigName"),
    mounts: listAt(container, "Mounts").map(toMount),
    constraints: [...textsAt(template, "Placement", "Constraints")],
    limits: toAmounts(template, "Limits"),
    reservations: toAmounts(template, "Reservations"),
  };
}

function toMount(entry: JsonObject): z.infer<typeof mount> {
  const [type = "", source = "", target = ""] = ["Type", "Source", "Target"].map((field) => textAt(entry, field));
  return { type, source, target, readOnly: flagAt(entry, "ReadOnly") };
}

function toAmounts(template: JsonObject[string], what: string): z.infer<typeof amounts> {
  const [cpus, memoryBytes] = ["NanoCPUs", "MemoryBytes"].map((field) => numberAt(template, "Resources", what, field));
  return { ...(cpus && { cpus: cpus / 1e9 }), ...(memoryBytes && { memoryBytes }) };
}
