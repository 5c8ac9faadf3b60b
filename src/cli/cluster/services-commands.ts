import type { Command, CommandCall } from "../command.ts";
import { type Columns, field, writeList } from "../table.ts";
import { LogPrinter } from "./log-printer.ts";
import { clusterPath, environmentOption, fieldOf, option, queryOf, readView, writeOne } from "./view.ts";

export const SERVICE_COLUMNS: Columns = {
  service: field("name"),
  environment: field("environment"),
  stack: field("stack"),
  running: ({ running, wanted }) => `${running}/${wanted ?? "?"}`,
  state: field("state"),
  update: ({ update }) => fieldOf(update, "state"),
  image: field("image"),
};

const TASK_COLUMNS: Columns = {
  task: field("name"),
  node: field("node"),
  desired: field("desired"),
  state: field("state"),
  since: field("at"),
  digest: field("digest"),
  error: field("error"),
};

const LOG_OPTIONS = {
  ...environmentOption,
  tail: option("N", "so many lines of each task (default: 100, or all since TIME)"),
  since: option("TIME", "only from then on, such as 2026-11-22T12:00:00Z"),
  follow: { type: "boolean", help: "go on with what is written from now on, for 15 minutes at most" },
} as const;

export const servicesCommands: readonly Command[] = [
  {
    noun: "services",
    verb: "ls",
    args: [],
    options: { ...environmentOption, stack: option("STACK", "only this one's") },
    help: "List services: how many tasks run, of which image, and what the watch says of them.",
    run: async (call) => {
      const query = queryOf(call, ["environment", "stack"]);
      writeList(call, await readView(call, clusterPath("services"), "services", query), SERVICE_COLUMNS);
    },
  },
  {
    noun: "services",
    verb: "inspect",
    args: ["SERVICE"],
    options: environmentOption,
    help: "Show a service with what it is made of; of its variables the names alone.",
    run: async (call) => {
      const [name = ""] = call.args;
      const path = `${clusterPath("services", name)}?${queryOf(call, ["environment"])}`;
      writeOne(call, (await call.client.call("GET", path, `look at the service ${name}`)).body);
    },
  },
  {
    noun: "services",
    verb: "ps",
    args: ["SERVICE"],
    options: { ...environmentOption, node: option("NODE", "only on this one") },
    help: "List the tasks of a service, also those that are past.",
    run: async (call) => {
      const [name = ""] = call.args;
      const query = queryOf(call, ["environment", "node"]);
      writeList(call, await readView(call, clusterPath("services", name, "tasks"), "tasks", query), TASK_COLUMNS);
    },
  },
  {
    noun: "services",
    verb: "logs",
    args: ["SERVICE"],
    options: LOG_OPTIONS,
    help: "Show what the tasks of a service wrote.",
    run: showLogs,
  },
];

async function showLogs(call: CommandCall): Promise<void> {
  const [name = ""] = call.args;
  const path = `${clusterPath("services", name, "logs")}?${queryOf(call, Object.keys(LOG_OPTIONS))}`;
  const printer = new LogPrinter(call.io, call.options.json === true);
  await call.client.stream(path, "application/x-ndjson", `read the log of ${name}`, printer);
  printer.finish();
}
