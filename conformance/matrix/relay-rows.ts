/** Routes that lead to a bridge. None is behind this server: whoever is let through finds nothing, as at any path that leads nowhere. */
import type { Row } from "./rest-rows.ts";

const relayed = (method: string, path: string): Row => ({
  ...{ who: "signed-in", method, path: () => `/api/v1/${path}`, ok: 404 },
  ...(method === "POST" ? { body: {} } : {}),
});

export const RELAY_ROWS: Readonly<Record<string, Row>> = {
  "deployment-order": relayed("POST", "deployments?environment=prod"),
  "cluster-order": relayed("POST", "cluster/orders?environment=prod&action=service.remove"),
  "cluster-nodes": relayed("GET", "cluster/nodes"),
  "cluster-services": relayed("GET", "cluster/services"),
  "cluster-service": relayed("GET", "cluster/services/web"),
  "cluster-service-tasks": relayed("GET", "cluster/services/web/tasks"),
  "cluster-service-logs": relayed("GET", "cluster/services/web/logs"),
  "cluster-tasks": relayed("GET", "cluster/tasks"),
  "cluster-networks": relayed("GET", "cluster/networks"),
  "cluster-volumes": relayed("GET", "cluster/volumes"),
  "cluster-secrets": relayed("GET", "cluster/secrets"),
  "cluster-configs": relayed("GET", "cluster/configs"),
  "cluster-stacks": relayed("GET", "cluster/stacks"),
};
