import { isJsonObject, type Json } from "../oci/json.ts";
import type { Command, CommandCall } from "./command.ts";
import { printable } from "./table.ts";

const FILTERS = {
  actor: { type: "string", help: "NAME: who did it, or tried to" },
  action: { type: "string", help: "NAME: sign-in, pull, push, untag, delete, … or a route such as user-put" },
  target: { type: "string", help: "NAME: a repository or a path; with * at its end all that begin so" },
  outcome: { type: "string", help: "done or refused" },
  since: { type: "string", help: "TIME: from then on, such as 2026-11-22 or 2026-11-22T12:00:00Z" },
  until: { type: "string", help: "TIME: before then" },
  limit: { type: "string", help: "N: at most so many" },
} as const;

export const auditCommands: readonly Command[] = [
  {
    noun: "audit",
    verb: "search",
    args: [],
    options: { ...FILTERS, json: { type: "boolean", help: "the answer as JSON" } },
    help: "Show who did what, and who was refused what, newest first.",
    run: searchAudit,
  },
  {
    noun: "audit",
    verb: "export",
    args: [],
    options: FILTERS,
    help: "Write everything that fits to standard output, one JSON object a line.",
    run: exportAudit,
  },
];

async function searchAudit({ client, options, io }: CommandCall): Promise<void> {
  const { body } = await client.call("GET", `/api/v1/audit${toQuery(options)}`, "search the audit");
  if (options.json === true) {
    io.stdout.write(`${JSON.stringify(body, null, 2)}\n`);
    return;
  }
  const entries = Array.isArray(body.entries) ? body.entries.map(toCells) : [];
  const widths = [0, 1, 2, 3].map((column) => Math.max(0, ...entries.map((cells) => cells[column]?.length ?? 0)));
  for (const cells of entries) {
    io.stdout.write(`${cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join("  ")}\n`);
  }
  if (typeof body.next === "string")
    io.stderr.write("there is more: narrow the search, or use goldseal audit export\n");
}

async function exportAudit({ client, options, io }: CommandCall): Promise<void> {
  await client.stream(`/api/v1/audit${toQuery(options)}`, "application/x-ndjson", "export the audit", io.stdout);
}

function toQuery(options: CommandCall["options"]): string {
  const given = Object.keys(FILTERS).flatMap((name) => {
    const value = options[name];
    return typeof value === "string" ? [[name, value] as [string, string]] : [];
  });
  return given.length === 0 ? "" : `?${new URLSearchParams(given)}`;
}

function toCells(entry: Json): string[] {
  if (!isJsonObject(entry)) return [];
  const { at, outcome, actor, action, target, source, decision } = entry;
  const cells = [at, outcome, actor, action].map(String);
  const rest = [target, `from ${source}`, decision].filter((part) => part !== undefined).join("  ");
  return [...cells, rest].map(printable);
}
