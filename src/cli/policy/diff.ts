import type { Json } from "../../oci/json.ts";
import { diffPolicies, type PolicyChange } from "../../trust/policy-diff.ts";
import type { PolicyDocument } from "../../trust/policy-document.ts";
import type { CommandCall, LocalCall } from "../command.ts";
import { printable, toText } from "../table.ts";
import { describeRow } from "./describe.ts";
import { getServerPolicy, type PolicyFile, readPolicyFile } from "./policy-file.ts";

export async function diffWithServer(call: CommandCall): Promise<void> {
  const next = await readPolicyFile(call.args[0] ?? "");
  diff(call, await getServerPolicy(call.client), next);
}

export async function diffFiles(call: LocalCall): Promise<void> {
  const [before = "", after = ""] = call.args;
  diff(call, await readPolicyFile(before), await readPolicyFile(after));
}

function diff({ io, options }: Pick<LocalCall, "io" | "options">, before: PolicyFile, after: PolicyFile): void {
  const changes = diffPolicies(before.json, after.json);
  if (options.json === true) {
    for (const change of changes) io.stdout.write(`${JSON.stringify(change)}\n`);
    return;
  }
  const sentences = [
    ...changes.filter(({ path }) => !isOfRules(path)).map((change) => explain(change, before.document, after.document)),
    ...explainRules(before.document, after.document),
  ];
  for (const sentence of sentences) io.stdout.write(`${printable(sentence)}\n`);
  if (sentences.length === 0) io.stderr.write(`${before.name} and ${after.name} say the same\n`);
}

/** Rules have no names, only places: they are compared as a whole. */
function isOfRules(path: readonly string[]): boolean {
  return path[0] === "environments" && path[2] === "require";
}

function explainRules(before: PolicyDocument, after: PolicyDocument): string[] {
  return [...after.environments].flatMap(([name, { require }]) => {
    const old = before.environments.get(name)?.require;
    if (old === undefined) return [];
    const [was, is] = [new Set(old.map(describeRow)), new Set(require.map(describeRow))];
    return [
      ...[...is].filter((row) => !was.has(row)).map((row) => `environment ${name} asks for signatures of ${row}`),
      ...[...was]
        .filter((row) => !is.has(row))
        .map((row) => `environment ${name} NO LONGER asks for signatures of ${row}`),
    ];
  });
}

function explain({ path, before, after }: PolicyChange, old: PolicyDocument, fresh: PolicyDocument): string {
  const [part = "", name = "", field = "", entry] = path;
  if (part === "teams") return explainTeam(name, field, before, after);
  if (part === "keys") return explainKey(name, field, { before, after });
  if (part === "environments" && field === "") {
    return `environment ${name} ${before === undefined ? "is new: see goldseal policy show" : "is gone"}`;
  }
  if (part === "environments") {
    const of = ofEnvironment({ path: [field, ...path.slice(3)], before, after });
    if (field === "operators" && entry !== undefined) {
      const user = (after === undefined ? old : fresh).keys.get(entry)?.user;
      return `environment ${name}: orders by ${user}'s key ${entry} ${after === undefined ? "no longer count" : "count"}`;
    }
    return `environment ${name}: ${of}`;
  }
  return changed(path.join("."), before, after);
}

function explainTeam(team: string, user: string, before: Json | undefined, after: Json | undefined): string {
  if (user !== "") return `${user} ${after === undefined ? "leaves" : "joins"} team ${team}`;
  return after === undefined
    ? `team ${team} is gone; it was ${toText(before)}`
    : `team ${team} is new: ${toText(after)}`;
}

function explainKey(keyId: string, field: string, { before, after }: Pick<PolicyChange, "before" | "after">): string {
  if (field !== "") return changed(`key ${keyId}: its ${field}`, before, after);
  const [entry, verb] = after === undefined ? [before, "loses"] : [after, "gets"];
  const user = typeof entry === "object" && entry !== null && "user" in entry ? toText(entry.user) : "-";
  return `${user} ${verb} the key ${keyId}`;
}

/** @param path within the environment */
function ofEnvironment({ path, before, after }: PolicyChange): string {
  const [field = "", entry = "", constraint] = path;
  if (field === "images" && entry !== "") return `${entry} ${after === undefined ? "no longer runs" : "may run"} there`;
  if (field === "rights" && entry !== "" && (before === undefined || after === undefined))
    return `team ${entry} ${after === undefined ? `may no longer ${toText(before)}` : `may ${toText(after)}`}`;
  if (field === "rights" && entry !== "") return `team ${entry} may ${toText(after)} instead of ${toText(before)}`;
  if (field === "placement" && constraint !== undefined)
    return `services ${after === undefined ? "no longer " : ""}${entry === "require" ? "have to ask for" : "get"} ${constraint}`;
  return changed(path.join(" "), before, after);
}

function changed(what: string, before: Json | undefined, after: Json | undefined): string {
  if (before === undefined) return `${what} is new: ${toText(after)}`;
  return after === undefined
    ? `${what} is gone; it was ${toText(before)}`
    : `${what} is ${toText(after)} instead of ${toText(before)}`;
}
