import { z } from "zod";

interface View {
  readonly path: string;
  readonly summary: string;
  /** For openapi.json: what is taken is for the bridge to say. */
  readonly query: z.ZodObject;
}

const text = (what: string) => z.string().optional().describe(what);
const one = z.object({ environment: text("of the policy document: only what belongs to it") });
const list = one.extend({
  after: text("where the page before ended"),
  limit: z.coerce.number().int().min(1).max(1000).optional(),
});
const stack = text("only this one's");
const node = text("only on this one: its host name or id");
const tasks = list.extend({
  node,
  state: text("such as running"),
  desired: z.enum(["running", "shutdown"]).optional(),
});
const volumes = list.extend({
  ...{ name: text("a part of it"), label: text("NAME, or NAME=VALUE"), driver: text("only of this one"), stack, node },
  orphaned: z.enum(["true", "false"]).optional().describe("whether no container mounts it"),
});
const logs = one.extend({
  tail: text("so many lines of each task"),
  since: z.iso.datetime({ offset: true }).optional(),
  follow: z.enum(["true", "false"]).optional().describe("15 minutes at most"),
});

/** What can be looked at on the bridge, by the id of its route here. */
export const VIEWS: Readonly<Record<string, View>> = {
  "cluster-nodes": { path: "nodes", summary: "The nodes of the cluster.", query: list },
  "cluster-services": {
    ...{ path: "services", summary: "The services of the environments that you may view." },
    query: list.extend({ stack }),
  },
  "cluster-service": { path: "services/<service>", summary: "One service.", query: one },
  "cluster-service-tasks": { path: "services/<service>/tasks", summary: "The tasks of a service.", query: tasks },
  "cluster-service-logs": {
    ...{
      path: "services/<service>/logs",
      summary: "What the tasks of a service print, a line of JSON each.",
      query: logs,
    },
  },
  "cluster-tasks": { path: "tasks", summary: "The tasks of the services that you may view.", query: tasks },
  "cluster-networks": { path: "networks", summary: "The networks of the cluster.", query: list.extend({ stack }) },
  "cluster-volumes": { path: "volumes", summary: "The volumes of all nodes.", query: volumes },
  "cluster-secrets": {
    ...{ path: "secrets", summary: "The names of the secrets; what they hold nobody is shown.", query: list },
  },
  "cluster-configs": { path: "configs", summary: "The names of the configs.", query: list },
  "cluster-stacks": { path: "stacks", summary: "The stacks of the environments that you may view.", query: list },
};
