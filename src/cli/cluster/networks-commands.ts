import { isJsonObject, type Json } from "../../oci/json.ts";
import type { Command } from "../command.ts";
import { type Columns, field, toText, writeList } from "../table.ts";
import { orderChange } from "./change.ts";
import { orderOptions } from "./order.ts";
import { clusterPath, environmentOption, listOption, option, parsePairs, queryOf, readView } from "./view.ts";

const COLUMNS: Columns = {
  network: field("name"),
  environment: field("environment"),
  stack: field("stack"),
  subnets: ({ subnets }) => subnetsOf(subnets),
  "": ({ encrypted, internal, attachable, ingress }) =>
    Object.entries({ encrypted, internal, attachable, ingress })
      .flatMap(([name, is]) => (is === true ? [name] : []))
      .join(" "),
  "used by": ({ services, others }) => usersOf(services, others),
};

export const networksCommands: readonly Command[] = [
  {
    noun: "networks",
    verb: "ls",
    args: [],
    options: { ...environmentOption, stack: option("STACK", "only this one's") },
    help: "List the networks that span the cluster: subnets, whether they are encrypted, who uses them.",
    run: async (call) => {
      const query = queryOf(call, ["environment", "stack"]);
      writeList(call, await readView(call, clusterPath("networks"), "networks", query), COLUMNS);
    },
  },
  {
    noun: "networks",
    verb: "create",
    args: ["NETWORK"],
    options: {
      ...orderOptions,
      attachable: { type: "boolean", help: "containers that are run by hand may hang on it" },
      internal: { type: "boolean", help: "without a way out" },
      encrypted: { type: "boolean", help: "between nodes; every engine must be new enough" },
      subnets: option("SUBNETS", "such as 10.20.0.0/24, with commas between (default: the cluster chooses)"),
      labels: option("NAME=VALUE", "with commas between"),
    },
    help: "Make an overlay network, by an order that is signed here with your own key.",
    run: async (call) => {
      const [name = ""] = call.args;
      const { attachable = false, internal = false, encrypted = false } = call.options;
      const lists = { subnets: listOption(call, "subnets"), labels: parsePairs(listOption(call, "labels")) };
      const body = { name, attachable, internal, encrypted, ...lists };
      const said = { doing: `make the network ${name}`, did: `made the network ${name}` };
      await orderChange(call, { action: "network.create", body, ...said });
    },
  },
  {
    noun: "networks",
    verb: "rm",
    args: ["NETWORK"],
    options: orderOptions,
    help: "Remove a network that nobody uses; who uses it is said.",
    run: async (call) => {
      const [name = ""] = call.args;
      const said = { doing: `remove the network ${name}`, did: `removed the network ${name}` };
      await orderChange(call, { action: "network.remove", body: { name }, ...said });
    },
  },
];

function subnetsOf(subnets: Json | undefined): string {
  const all = Array.isArray(subnets) ? subnets.filter(isJsonObject).map(({ subnet }) => toText(subnet)) : [];
  return all.length === 0 ? "-" : all.join(",");
}

function usersOf(services: Json | undefined, others: Json | undefined): string {
  const seen = Array.isArray(services) ? services.map(toText) : [];
  const all = [...seen, ...(typeof others === "number" && others > 0 ? [`${others} more`] : [])];
  return all.length === 0 ? "nobody" : all.join(",");
}
