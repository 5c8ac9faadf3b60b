import { setTimeout as wait } from "node:timers/promises";
import { isJsonObject, type Json, type JsonObject } from "../oci/json.ts";
import type { Command, CommandCall } from "./command.ts";
import { CliError } from "./errors.ts";

const pollMs = 200;

export const gcCommands: readonly Command[] = [
  {
    noun: "gc",
    verb: "",
    args: [],
    options: {
      "dry-run": { type: "boolean", help: "delete nothing, only list what would be deleted" },
      "after-restore": { type: "boolean", help: "the database was put back from a backup, and is right" },
      json: { type: "boolean", help: "the answer as JSON" },
    },
    help: "Collect garbage now: manifests without a tag and bytes that nothing needs, once their time is over.",
    run: collect,
  },
];

async function collect({ client, options, io }: CommandCall): Promise<void> {
  const ask = { dryRun: options["dry-run"] === true, afterRestore: options["after-restore"] === true };
  const { body } = await client.call("POST", "/api/v1/gc", "collect garbage", ask);
  let run = body;
  while (run.state === "running") {
    await wait(pollMs);
    run = (await client.call("GET", `/api/v1/gc/${body.id}`, "ask about the collection")).body;
    showProgress(io, run);
  }
  endProgress(io);
  const items = await client.list(`/api/v1/gc/${body.id}/items`, "items", "list what was collected");
  if (options.json === true) io.stdout.write(`${JSON.stringify({ ...run, items }, null, 2)}\n`);
  else writeItems(io, items, run);
  if (run.state !== "done") throw new CliError(`the collection is ${run.state}: ${run.reason}`);
}

const CLEAR_LINE = "\r\u001b[K";

function showProgress({ stderr }: CommandCall["io"], { stage, deleted, marked }: JsonObject): void {
  if (stderr.isTTY === true) stderr.write(`${CLEAR_LINE}${stage}: ${marked} marked, ${deleted} to delete or deleted`);
}

function endProgress({ stderr }: CommandCall["io"]): void {
  if (stderr.isTTY === true) stderr.write(CLEAR_LINE);
}

function writeItems({ stdout }: CommandCall["io"], items: readonly Json[], run: JsonObject): void {
  for (const item of items) {
    if (!isJsonObject(item)) continue;
    const { kind, repository, digest, size } = item;
    stdout.write(`${String(kind).padEnd(8)}  ${String(size).padStart(12)}  ${digest}  ${repository ?? ""}`.trimEnd());
    stdout.write("\n");
  }
  const verb = run.dryRun === true ? "would be deleted" : "deleted";
  const left = Number(run.skipped) > 0 ? `, ${run.skipped} left for the next run` : "";
  stdout.write(`${run.deleted} ${verb} (${run.freedBytes} bytes)${left}; ${run.marked} newly marked\n`);
}
