import { isJsonObject, type JsonObject } from "../oci/json.ts";
import type { Command, CommandCall } from "./command.ts";
import { UsageError } from "./errors.ts";
import { printable } from "./table.ts";

const JSON_OPTION = { json: { type: "boolean", help: "the answer as JSON" } } as const;

export const whyCommands: readonly Command[] = [
  {
    noun: "why",
    verb: "",
    args: ["DECISION"],
    options: JSON_OPTION,
    help: "Show what was refused under the decision id of an error message, to whom and by what rule.",
    run: whyDecision,
  },
  {
    noun: "why",
    verb: "",
    args: ["USER", "ACTION", "REPOSITORY"],
    options: JSON_OPTION,
    help: "Show whether USER may pull, push, untag, delete, sign, promote, list, create or admin, and by what rule.",
    run: whyRight,
  },
];

async function whyDecision({ client, args: [id = ""], options, io }: CommandCall): Promise<void> {
  if (!/^[a-z2-9]{16}$/.test(id))
    throw new UsageError(`${JSON.stringify(id)} is no decision id: 16 letters and digits after the word decision`);
  const { body } = await client.call("GET", `/api/v1/explain/${id}`, `ask about decision ${id}`);
  if (options.json === true) return print(io, body);
  const { at, actor, action, target, source, says, detail } = body;
  const what = `${at}: ${actor === "" ? "nobody" : actor} was refused: ${action} ${target}`.trimEnd();
  io.stdout.write(`${printable(`${what}, from ${source}`)}\n${printable(String(says))}\n`);
  if (isJsonObject(detail)) writePath(io, detail.verdict);
}

async function whyRight({ client, args, options, io }: CommandCall): Promise<void> {
  const [user = "", action = "", repository = ""] = args;
  const query = new URLSearchParams({ user, action, repository });
  const { body } = await client.call("GET", `/api/v1/explain?${query}`, `ask why ${args.join(" ")}`);
  if (options.json === true) return print(io, body);
  io.stdout.write(`${body.allowed === true ? "allowed" : "refused"}: ${body.says}\n`);
}

function print({ stdout }: CommandCall["io"], body: JsonObject): void {
  stdout.write(`${JSON.stringify(body, null, 2)}\n`);
}

/** What gave some right at that moment, though not this one. */
function writePath({ stdout }: CommandCall["io"], verdict: JsonObject[string]): void {
  if (!isJsonObject(verdict) || !Array.isArray(verdict.via)) return;
  if (verdict.via.length === 0) stdout.write("no rule gave any right then\n");
  for (const via of verdict.via) if (isJsonObject(via)) stdout.write(`had: ${via.says}\n`);
}
