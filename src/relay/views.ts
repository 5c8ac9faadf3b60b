/** What can be looked at on the bridge, by the id of its route here. */
export const VIEWS: Readonly<Record<string, { readonly path: string; readonly summary: string }>> = {
  "cluster-nodes": { path: "nodes", summary: "The nodes of the cluster." },
  "cluster-services": { path: "services", summary: "The services of the environments that you may view." },
  "cluster-service": { path: "services/<service>", summary: "One service." },
  "cluster-service-tasks": { path: "services/<service>/tasks", summary: "The tasks of a service." },
  "cluster-service-logs": { path: "services/<service>/logs", summary: "What the tasks of a service print." },
  "cluster-tasks": { path: "tasks", summary: "The tasks of the services that you may view." },
  "cluster-networks": { path: "networks", summary: "The networks of the cluster." },
  "cluster-volumes": { path: "volumes", summary: "The volumes of all nodes." },
  "cluster-secrets": { path: "secrets", summary: "The names of the secrets; what they hold nobody is shown." },
  "cluster-configs": { path: "configs", summary: "The names of the configs." },
  "cluster-stacks": { path: "stacks", summary: "The stacks of the environments that you may view." },
};
