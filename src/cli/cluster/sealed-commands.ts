import { randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import type { Command, CommandCall } from "../command.ts";
import { CliError } from "../errors.ts";
import { type Columns, field, writeList } from "../table.ts";
import { orderChange } from "./change.ts";
import { orderOptions } from "./order.ts";
import { clusterPath, environmentOption, listOption, option, pairs, parsePairs, queryOf, readView } from "./view.ts";

const COLUMNS = (kind: string): Columns => ({
  [kind]: field("name"),
  environment: field("environment"),
  stack: field("stack"),
  created: field("createdAt"),
  "used by": field("services"),
  labels: ({ labels }) => pairs(labels),
});

/** What is in them is written, and never shown again. */
export const sealedCommands: readonly Command[] = [...commandsFor("secret"), ...commandsFor("config")];

function commandsFor(kind: "secret" | "config"): Command[] {
  const noun = `${kind}s`;
  return [
    {
      ...{ noun, verb: "ls", args: [], options: environmentOption },
      help: `List ${noun}: names, labels, dates, and who uses them; never what is in them.`,
      run: async (call) => {
        const query = queryOf(call, ["environment"]);
        writeList(call, await readView(call, clusterPath(noun), noun, query), COLUMNS(kind));
      },
    },
    {
      ...{ noun, verb: "create", args: ["NAME", "FILE"] },
      options: { ...orderOptions, labels: option("NAME=VALUE", "with commas between") },
      help: `Write a ${kind}: what is in FILE, byte for byte; - is standard input. By an order that is signed here.`,
      run: (call) => create(call, kind),
    },
    {
      ...{ noun, verb: "rm", args: ["NAME"], options: orderOptions },
      help: `Remove a ${kind} that no service uses.`,
      run: async (call) => {
        const [name = ""] = call.args;
        const said = { doing: `remove the ${kind} ${name}`, did: `removed the ${kind} ${name}` };
        await orderChange(call, { action: `${kind}.remove`, body: { name }, ...said });
      },
    },
  ];
}

async function create(call: CommandCall, kind: string): Promise<void> {
  const [name = "", file = ""] = call.args;
  const data = (await readContent(call, file)).toString("base64");
  // The order's hash is for all to see: a short secret could be guessed by it.
  const body = {
    name,
    data,
    labels: parsePairs(listOption(call, "labels")),
    salt: randomBytes(16).toString("base64url"),
  };
  const said = { doing: `write the ${kind} ${name}`, did: `wrote the ${kind} ${name}` };
  await orderChange(call, { action: `${kind}.create`, body, ...said });
}

async function readAll(input: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  for await (const piece of input) pieces.push(piece);
  return Buffer.concat(pieces);
}

/** @throws CliError */
async function readContent({ io }: CommandCall, file: string): Promise<Buffer> {
  try {
    return file === "-" ? await readAll(io.stdin) : await readFile(file);
  } catch (cause) {
    throw new CliError(`cannot read ${file}`, { cause });
  }
}
