import { z } from "zod";
import type { JsonObject } from "../../oci/json.ts";
import { ENVIRONMENT_LABEL } from "../managed-service.ts";
import type { ViewDeps } from "./list-view.ts";
import { maySee, STACK, type Viewer } from "./viewer.ts";
import { at, filters, findText, labelsAt, listAt, numberAt, textAt } from "./wire.ts";

const portSchema = z.strictObject({
  target: z.int(),
  published: z.int().optional(),
  protocol: z.string(),
  mode: z.string(),
});

export const serviceSchema = z.strictObject({
  id: z.string(),
  name: z.string(),
  environment: z.string().optional().describe("absent: the bridge did not make it"),
  stack: z.string().optional(),
  image: z.string(),
  digest: z.string().optional(),
  mode: z.string().describe("replicated, global, or what the engine calls it"),
  wanted: z.int().optional().describe("tasks; of a global service as many as nodes fit"),
  running: z.int(),
  state: z.string().optional().describe("what the watch says: trusted, trust-lost, drifted, unmanaged or unknown"),
  reason: z.string().optional().describe("of that state"),
  update: z.strictObject({ state: z.string(), message: z.string() }).optional(),
  labels: z.record(z.string(), z.string()),
  networks: z.array(z.string()),
  ports: z.array(portSchema),
  createdAt: z.string(),
  updatedAt: z.string(),
});
export type Service = z.infer<typeof serviceSchema>;

export const labelsOf = (object: JsonObject): Readonly<Record<string, string>> => labelsAt(object, "Spec", "Labels");
export const nameOf = (object: JsonObject): string => textAt(object, "Spec", "Name");

/** Where something belongs. */
export function placeOf(labels: Readonly<Record<string, string>>) {
  const { [ENVIRONMENT_LABEL]: environment, [STACK]: stack } = labels;
  return { ...(environment && { environment }), ...(stack && { stack }) };
}

/** Services as the engine has them that the viewer may see. */
export async function readServices({ manager }: ViewDeps, viewer: Viewer): Promise<JsonObject[]> {
  const services = await manager.list("/services");
  return services.filter((service) => maySee(viewer, labelsOf(service)));
}

/** `running` of the engine alone would count the lost tasks of a dead node: only those that shall run. */
export const readWantedTasks = ({ manager }: Pick<ViewDeps, "manager">): Promise<JsonObject[]> =>
  manager.list(`/tasks?filters=${filters({ "desired-state": ["running"] })}`);

export interface ServiceContext {
  /** Those that shall run, of all services. */
  readonly tasks: readonly JsonObject[];
  readonly networks: readonly JsonObject[];
  readonly watch: ViewDeps["watch"];
}

export async function readContext(deps: ViewDeps): Promise<ServiceContext> {
  const [tasks, networks] = await Promise.all([readWantedTasks(deps), deps.manager.list("/networks")]);
  return { tasks, networks, watch: deps.watch };
}

export function toService(service: JsonObject, { tasks, networks, watch }: ServiceContext): Service {
  const id = textAt(service, "ID");
  const own = tasks.filter((task) => textAt(task, "ServiceID") === id);
  const image = textAt(service, "Spec", "TaskTemplate", "ContainerSpec", "Image");
  const digest = digestOf(image);
  const judged = watch.states().services.find((one) => one.id === id);
  const update = findText(service, "UpdateStatus", "State");
  const { mode, wanted } = modeOf(service, own.length);
  return {
    ...{ id, name: nameOf(service), ...placeOf(labelsOf(service)), image, ...(digest && { digest }), mode },
    ...(wanted !== undefined && { wanted }),
    running: own.filter((task) => textAt(task, "Status", "State") === "running").length,
    ...(judged && { state: judged.state, ...(judged.reason !== "" && { reason: judged.reason }) }),
    ...(update && { update: { state: update, message: textAt(service, "UpdateStatus", "Message") } }),
    labels: labelsOf(service),
    networks: networksOf(service).map((target) => nameOfNetwork(networks, target)),
    ports: listAt(service, "Spec", "EndpointSpec", "Ports").map(toPort),
    createdAt: textAt(service, "CreatedAt"),
    updatedAt: textAt(service, "UpdatedAt"),
  };
}

export const digestOf = (image: string): string | undefined => /@(sha256:[0-9a-f]{64})$/.exec(image)?.[1];

/** Ids or names, as whoever made the service wrote them. */
export function networksOf(service: JsonObject): string[] {
  const attached = [listAt(service, "Spec", "TaskTemplate", "Networks"), listAt(service, "Spec", "Networks")].flat();
  return [...new Set(attached.map((network) => textAt(network, "Target")))];
}

function nameOfNetwork(networks: readonly JsonObject[], target: string): string {
  const found = networks.find((network) => textAt(network, "Id") === target);
  return findText(found, "Name") ?? target;
}

function modeOf(service: JsonObject, tasks: number): { readonly mode: string; readonly wanted: number | undefined } {
  const mode = at(service, "Spec", "Mode");
  const [name = ""] = typeof mode === "object" && mode !== null ? Object.keys(mode) : [];
  const wanted = name === "Replicated" ? numberAt(mode, "Replicated", "Replicas") : undefined;
  const kebab = name.replace(/(?<=[a-z])[A-Z]/g, (letter) => `-${letter}`).toLowerCase();
  return { mode: kebab, wanted: name === "Global" ? tasks : wanted };
}

function toPort(port: JsonObject): z.infer<typeof portSchema> {
  const published = numberAt(port, "PublishedPort");
  return {
    ...{ target: numberAt(port, "TargetPort"), protocol: textAt(port, "Protocol"), mode: textAt(port, "PublishMode") },
    ...(published > 0 && { published }),
  };
}
