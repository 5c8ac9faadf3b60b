import { isJsonObject, type Json } from "../oci/json.ts";
import type { Command, CommandCall } from "./command.ts";
import { field, printable, toText, writeList } from "./table.ts";

export const directoryCommands: readonly Command[] = [
  {
    noun: "directory",
    verb: "list",
    args: [],
    help: "List the directories (LDAP) that users sign in by, and how the last sync of each ended.",
    run: async (call: CommandCall) => {
      const { body } = await call.client.call("GET", "/api/v1/directories", "list directories");
      writeList(call, list(body.directories), {
        directory: field("name"),
        url: field("url"),
        "last sync": ({ lastSync }) => (isJsonObject(lastSync) ? toText(lastSync.endedAt ?? "under way") : "never"),
        outcome: ({ lastSync }) => (isJsonObject(lastSync) ? toText(lastSync.outcome) : ""),
      });
    },
  },
  {
    noun: "directory",
    verb: "sync",
    args: ["NAME"],
    options: {
      "dry-run": { type: "boolean", help: "change nothing, only say what would change" },
      json: { type: "boolean", help: "the answer as JSON" },
    },
    help: "Bring users, teams and owners in line with a directory now.",
    run: syncDirectory,
  },
];

async function syncDirectory({ client, args: [name = ""], options, io }: CommandCall): Promise<void> {
  const dryRun = options["dry-run"] === true;
  const path = `/api/v1/directories/${encodeURIComponent(name)}/sync?dryRun=${dryRun}`;
  const { body } = await client.call("POST", path, `sync directory ${name}`);
  if (options.json === true) {
    io.stdout.write(`${JSON.stringify(body, null, 2)}\n`);
    return;
  }
  for (const user of list(body.create)) io.stdout.write(`+ user ${user}\n`);
  for (const user of list(body.suspend)) io.stdout.write(`- user ${user} (suspended)\n`);
  for (const user of list(body.restore)) io.stdout.write(`+ user ${user} (no longer suspended)\n`);
  for (const team of list(body.teams)) {
    if (!isJsonObject(team)) continue;
    for (const user of list(team.add)) io.stdout.write(`+ team ${team.team} ${user}\n`);
    for (const user of list(team.remove)) io.stdout.write(`- team ${team.team} ${user}\n`);
  }
  for (const owners of list(body.owners)) {
    if (!isJsonObject(owners)) continue;
    for (const user of list(owners.add)) io.stdout.write(`+ owner of ${owners.org} ${user}\n`);
    for (const user of list(owners.remove)) io.stdout.write(`- owner of ${owners.org} ${user}\n`);
  }
  for (const why of list(body.refused)) io.stderr.write(`refused: ${printable(String(why))}\n`);
  io.stderr.write(dryRun ? "nothing was changed: this was a dry run\n" : `${name} is synced\n`);
}

function list(value: Json | undefined): readonly Json[] {
  return Array.isArray(value) ? value : [];
}
