import type { RestOperation } from "../../http/rest-operation.ts";
import type { ViewDeps } from "./list-view.ts";
import { getLogs } from "./logs-view.ts";
import { listNetworks } from "./networks-view.ts";
import { listNodes } from "./nodes-view.ts";
import { listSealed } from "./sealed-view.ts";
import { getService, listServices } from "./services-view.ts";
import { listStacks } from "./stacks-view.ts";
import { listTasks, listTasksOfService } from "./tasks-view.ts";
import { listVolumes } from "./volumes-view.ts";

/** All that can be looked at, below `/api/v1/cluster/`. Nothing here changes anything. */
export const viewOperations = (deps: ViewDeps): RestOperation[] => [
  listNodes(deps),
  listServices(deps),
  getService(deps),
  listTasksOfService(deps),
  getLogs(deps),
  listTasks(deps),
  listStacks(deps),
  listNetworks(deps),
  listVolumes(deps),
  listSealed(deps, "secret"),
  listSealed(deps, "config"),
];
