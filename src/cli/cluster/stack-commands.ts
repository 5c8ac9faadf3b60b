import { isJsonObject, type Json, type JsonObject } from "../../oci/json.ts";
import type { Command, CommandCall, CommandOption, LocalCall } from "../command.ts";
import { CliError } from "../errors.ts";
import { type Columns, field, printable, toText, writeList } from "../table.ts";
import { orderOptions, sendOrder } from "./order.ts";
import { SERVICE_COLUMNS } from "./services-commands.ts";
import { readStack } from "./stack-file.ts";
import { clusterPath, environmentOption, queryOf, readView } from "./view.ts";

const composeFile: CommandOption = { type: "string", short: "c", value: "FILE", help: "the compose file" };
/** What the bridge takes of one order. */
const MAX_BODY_BYTES = 1024 * 1024;

const COLUMNS: Columns = {
  stack: field("name"),
  environment: field("environment"),
  services: field("services"),
  running: ({ running, wanted }) => `${toText(running)}/${toText(wanted)}`,
  networks: field("networks"),
  state: field("states"),
};

/** Stacks on the cluster behind the bridge. */
export const stackCommands: readonly Command[] = [
  {
    noun: "stack",
    verb: "deploy",
    args: ["NAME"],
    options: {
      "compose-file": composeFile,
      prune: { type: "boolean", help: "remove what the stack has, and the file has no longer" },
      ...orderOptions,
    },
    help: `Run all that a compose file describes, or nothing of it: every image must be signed. What fails to come up is
      rolled back by itself. Variables and files are those of this machine.`,
    run: deployStack,
  },
  {
    noun: "stack",
    verb: "config",
    args: ["NAME"],
    options: { "compose-file": composeFile },
    help: `Print a compose file as it would be signed and sent: with the values of variables and the content of files,
      secrets too. What a Swarm does not have is named. Nothing is sent.`,
    runLocally: printStack,
  },
  {
    noun: "stack",
    verb: "ls",
    args: [],
    options: environmentOption,
    help: "List stacks: their services and networks, and how many tasks run.",
    run: async (call) =>
      writeList(call, await readView(call, clusterPath("stacks"), "stacks", queryOf(call, ["environment"])), COLUMNS),
  },
  {
    noun: "stack",
    verb: "services",
    args: ["NAME"],
    options: environmentOption,
    help: "List the services of a stack.",
    run: async (call) => {
      const query = new URLSearchParams(queryOf(call, ["environment"]));
      query.set("stack", call.args[0] ?? "");
      writeList(call, await readView(call, clusterPath("services"), "services", query.toString()), SERVICE_COLUMNS);
    },
  },
  {
    noun: "stack",
    verb: "rm",
    args: ["NAME"],
    options: orderOptions,
    help: "Remove a stack: its services, then its networks, secrets and configs. Volumes stay.",
    run: removeStack,
  },
];

/** Prints each service's image by its digest. */
async function deployStack(call: CommandCall): Promise<void> {
  const { args, options, io } = call;
  const [name = ""] = args;
  const stack = await readAndNote(call, name);
  const body = Buffer.from(JSON.stringify({ ...stack, prune: options.prune === true }));
  if (body.length > MAX_BODY_BYTES) throw new CliError("the stack is larger than 1 MiB with the files that it names");
  const outcome = await sendOrder(call, { action: "stack.deploy", doing: `deploy the stack ${name}`, body });
  if (options.json === true) return;
  for (const what of listOf(outcome.removed)) io.stderr.write(`removed the ${printable(what)}\n`);
  for (const [service, one] of Object.entries(isJsonObject(outcome.services) ? outcome.services : {}))
    io.stdout.write(`${printable(service)} ${isJsonObject(one) ? toText(one.pinned) : "-"}\n`);
}

async function removeStack(call: CommandCall): Promise<void> {
  const { args, options, io } = call;
  const [name = ""] = args;
  const body = Buffer.from(JSON.stringify({ name }));
  const outcome = await sendOrder(call, { action: "stack.remove", doing: `remove the stack ${name}`, body });
  if (options.json === true) return;
  for (const what of listOf(outcome.removed)) io.stderr.write(`removed the ${printable(what)}\n`);
  for (const what of listOf(outcome.left)) io.stderr.write(`could not remove the ${printable(what)}\n`);
}

async function printStack(call: LocalCall): Promise<void> {
  const [name = ""] = call.args;
  call.io.stdout.write(`${JSON.stringify(await readAndNote(call, name), undefined, 2)}\n`);
}

async function readAndNote(call: LocalCall, name: string): Promise<JsonObject> {
  const { stack, notes } = await readStack(call, name);
  for (const note of notes) call.io.stderr.write(`note: ${printable(note)}\n`);
  return stack;
}

const listOf = (value: Json | undefined): string[] => (Array.isArray(value) ? value.map(toText) : []);
