import { z } from "zod";
import type { RestOperation } from "../../http/rest-operation.ts";
import type { JsonObject } from "../../oci/json.ts";
import { listQuery, listView, type ViewDeps } from "./list-view.ts";
import { askEach, toNode } from "./node-engines.ts";
import { at, filters, findText, flagAt, labelsAt, listAt, numberAt, textAt, textsAt } from "./wire.ts";

const amount = z.strictObject({ total: z.number(), reserved: z.number(), free: z.number() });
const labels = z.record(z.string(), z.string());

const nodeSchema = z.strictObject({
  id: z.string(),
  name: z.string(),
  state: z.string().describe("ready, down, unknown or disconnected"),
  message: z.string().optional(),
  address: z.string(),
  role: z.string().describe("manager or worker"),
  leader: z.boolean(),
  reachability: z.string().optional().describe("of a manager: reachable, unreachable or unknown"),
  availability: z.string().describe("active, pause or drain"),
  labels,
  engineLabels: labels.describe("as the node's own engine claims them"),
  engine: z.string().describe("its version"),
  platform: z.string(),
  tasks: z.int().describe("that shall run there"),
  cpus: amount,
  memoryBytes: amount,
  volumeDrivers: z.array(z.string()),
  userns: z.enum(["on", "off", "unknown"]).describe("user namespaces, as the node's own engine says"),
  certificate: z.enum(["ready", "needs-rotation", "unknown"]).describe("against the cluster's present CA"),
});
type Node = z.infer<typeof nodeSchema>;

/** Nodes belong to every environment: whoever may view one sees all of them. */
export function listNodes(deps: ViewDeps): RestOperation {
  return listView(deps, {
    ...{ name: "nodes", summary: "Nodes", entry: nodeSchema, query: listQuery },
    keyOf: ({ name, id }) => `${name}/${id}`,
    read: async () => {
      const [nodes, tasks, swarm] = await Promise.all([
        deps.manager.list("/nodes"),
        deps.manager.list(`/tasks?filters=${filters({ "desired-state": ["running"] })}`),
        deps.manager.getObject("/swarm"),
      ]);
      const asked = await askEach(deps.engines, nodes.map(toNode), async (_engine, info) => info);
      const infos = new Map(asked.answers.map(({ node, answer }) => [node.id, answer]));
      const entries = nodes.map((node) => toView(node, { tasks, swarm, info: infos.get(textAt(node, "ID")) }));
      return { entries, unreachable: asked.unreachable };
    },
  });
}

interface Around {
  readonly tasks: readonly JsonObject[];
  readonly swarm: JsonObject;
  /** Of the node's own engine. */
  readonly info: JsonObject | undefined;
}

function toView(node: JsonObject, { tasks, swarm, info }: Around): Node {
  const own = tasks.filter((task) => textAt(task, "NodeID") === textAt(node, "ID"));
  const reserved = (what: string): number =>
    own.reduce((sum, task) => sum + numberAt(task, "Spec", "Resources", "Reservations", what), 0);
  const total = (what: string): number => numberAt(node, "Description", "Resources", what);
  const platform = ["OS", "Architecture"].map((part) => textAt(node, "Description", "Platform", part));
  const message = findText(node, "Status", "Message");
  const reachability = findText(node, "ManagerStatus", "Reachability");
  return {
    ...toNode(node),
    state: textAt(node, "Status", "State"),
    ...(message && { message }),
    address: textAt(node, "Status", "Addr"),
    role: textAt(node, "Spec", "Role"),
    leader: flagAt(node, "ManagerStatus", "Leader"),
    ...(reachability && { reachability }),
    availability: textAt(node, "Spec", "Availability"),
    labels: labelsAt(node, "Spec", "Labels"),
    engineLabels: labelsAt(node, "Description", "Engine", "Labels"),
    engine: textAt(node, "Description", "Engine", "EngineVersion"),
    platform: platform.join("/"),
    tasks: own.length,
    cpus: toAmount(total("NanoCPUs") / 1e9, reserved("NanoCPUs") / 1e9),
    memoryBytes: toAmount(total("MemoryBytes"), reserved("MemoryBytes")),
    volumeDrivers: volumeDriversOf(node),
    userns: usernsOf(info),
    certificate: certificateOf(node, swarm),
  };
}

/** To a millionth, of CPUs. */
function toAmount(total: number, reserved: number): z.infer<typeof amount> {
  const round = (value: number): number => Math.round(value * 1e6) / 1e6;
  return { total: round(total), reserved: round(reserved), free: round(total - reserved) };
}

function volumeDriversOf(node: JsonObject): string[] {
  const plugins = listAt(node, "Description", "Engine", "Plugins");
  return plugins.filter((plugin) => textAt(plugin, "Type") === "Volume").map((plugin) => textAt(plugin, "Name"));
}

/** @see Docker Engine API 1.41, SystemInfo.SecurityOptions: managers do not know it */
function usernsOf(info: JsonObject | undefined): Node["userns"] {
  if (info === undefined) return "unknown";
  return textsAt(info, "SecurityOptions").some((option) => /^name=userns(,|$)/.test(option)) ? "on" : "off";
}

/** After the cluster's CA was rotated a node needs a new certificate, as `docker node ls` says it. */
function certificateOf(node: JsonObject, swarm: JsonObject): Node["certificate"] {
  const fields = ["TrustRoot", "CertIssuerSubject", "CertIssuerPublicKey"];
  const [own, cluster] = [at(node, "Description", "TLSInfo"), at(swarm, "TLSInfo")].map((tls) =>
    fields.map((field) => textAt(tls, field)).join("\n"),
  );
  if (own?.trim() === "" || cluster?.trim() === "") return "unknown";
  return own === cluster ? "ready" : "needs-rotation";
}
