import { z } from "zod";
import type { RestOperation } from "../../http/rest-operation.ts";
import type { JsonObject } from "../../oci/json.ts";
import { listQuery, listView, text, type ViewDeps } from "./list-view.ts";
import { toNode } from "./node-engines.ts";
import { digestOf, nameOf, readServices } from "./services.ts";
import { findVisible } from "./services-view.ts";
import type { Viewer } from "./viewer.ts";
import { filters, findText, numberAt, textAt } from "./wire.ts";

const taskSchema = z.strictObject({
  id: z.string(),
  name: z.string().describe("SERVICE.SLOT, or SERVICE.NODE of a global service"),
  service: z.string(),
  slot: z.int().optional(),
  node: z.string().optional().describe("absent: none was found for it yet"),
  image: z.string(),
  digest: z.string().optional(),
  desired: z.string().describe("running, or shutdown for what is past"),
  state: z.string(),
  message: z.string(),
  error: z.string().optional(),
  container: z.string().optional(),
  at: z.string().describe("since when it is in this state"),
});
type Task = z.infer<typeof taskSchema>;

const taskQuery = listQuery.extend({
  node: text.describe("host name or id"),
  state: text,
  desired: z.enum(["running", "shutdown"]).optional(),
});

/** Services whose tasks are asked for, by id. */
type Names = ReadonlyMap<string, string>;

export function listTasks(deps: ViewDeps): RestOperation {
  return listView(deps, {
    ...{ name: "tasks", summary: "Tasks of all services", entry: taskSchema, query: taskQuery, keyOf },
    read: async (viewer, query) => readTasks(deps, await namesOf(deps, viewer), query),
  });
}

/** `GET /api/v1/cluster/services/NAME/tasks`: also those that are past, as far as the cluster remembers. */
export function listTasksOfService(deps: ViewDeps): RestOperation {
  return listView(deps, {
    ...{ name: "tasks", path: "services/<service>/tasks", summary: "Tasks of a service" },
    ...{ entry: taskSchema, query: taskQuery, keyOf },
    read: async (viewer, query, request) => {
      const service = await findVisible(deps, viewer, request.param("service"));
      return readTasks(deps, new Map([[textAt(service, "ID"), nameOf(service)]]), query);
    },
  });
}

async function namesOf(deps: ViewDeps, viewer: Viewer): Promise<Names> {
  const services = await readServices(deps, viewer);
  return new Map(services.map((service) => [textAt(service, "ID"), nameOf(service)]));
}

/** Slots of a service stand in the order of their numbers. */
const keyOf = ({ service, slot = 0, id }: Task): string => `${service}/${String(slot).padStart(10, "0")}/${id}`;

async function readTasks({ manager }: ViewDeps, names: Names, query: z.infer<typeof taskQuery>) {
  const [only] = names.size === 1 ? names.keys() : [];
  const path = only === undefined ? "/tasks" : `/tasks?filters=${filters({ service: [only] })}`;
  const [tasks, nodes] = await Promise.all([manager.list(path), manager.list("/nodes")]);
  const nodeNames = new Map(nodes.map(toNode).map(({ id, name }) => [id, name]));
  const { node, state, desired } = query;
  const isAsked = (task: JsonObject): boolean =>
    names.has(textAt(task, "ServiceID")) &&
    (node === undefined || [nodeNames.get(textAt(task, "NodeID")), textAt(task, "NodeID")].includes(node)) &&
    (state === undefined || textAt(task, "Status", "State") === state) &&
    (desired === undefined || textAt(task, "DesiredState") === desired);
  return { entries: tasks.filter(isAsked).map((task) => toTask(task, names, nodeNames)) };
}

function toTask(task: JsonObject, names: Names, nodeNames: Names): Task {
  const service = names.get(textAt(task, "ServiceID")) ?? "";
  const nodeId = findText(task, "NodeID");
  const node = nodeId && (nodeNames.get(nodeId) ?? nodeId);
  const slot = numberAt(task, "Slot");
  const image = textAt(task, "Spec", "ContainerSpec", "Image");
  const digest = digestOf(image);
  const [error, container] = [
    findText(task, "Status", "Err"),
    findText(task, "Status", "ContainerStatus", "ContainerID"),
  ];
  return {
    ...{ id: textAt(task, "ID"), name: `${service}.${slot || (node ?? "-")}`, service, ...(slot > 0 && { slot }) },
    ...(node && { node }),
    ...{ image, ...(digest && { digest }) },
    desired: textAt(task, "DesiredState"),
    state: textAt(task, "Status", "State"),
    message: textAt(task, "Status", "Message"),
    ...(error && { error }),
    ...(container && { container }),
    at: textAt(task, "Status", "Timestamp"),
  };
}
