import { isJsonObject, type Json, type JsonObject } from "../../oci/json.ts";
import type { CommandCall } from "../command.ts";
import { UsageError } from "../errors.ts";
import { apiPath } from "../paths.ts";
import { printable, toText } from "../table.ts";

/** `name` stands for the option in the query, `value` for what it takes in the help. */
export const option = (value: string, help: string) => ({ type: "string", value, help }) as const;

export const environmentOption = { environment: option("ENV", "only what belongs to this environment") } as const;

export const clusterPath = (...parts: readonly string[]): string => apiPath("cluster", ...parts);

/** The options of these names that were given, as a query. */
export function queryOf({ options }: Pick<CommandCall, "options">, names: readonly string[]): string {
  const given = names.flatMap((name) => {
    const value = options[name];
    return value === undefined || value === false ? [] : [[name, String(value)]];
  });
  return new URLSearchParams(Object.fromEntries(given)).toString();
}

/**
 * All entries of a view of the cluster, page after page; the nodes that did not answer are said, for what is not shown is not
 * known.
 * @param name of the field that holds them
 */
export async function readView(call: CommandCall, path: string, name: string, query: string): Promise<Json[]> {
  const entries: Json[] = [];
  const unreachable = new Map<string, string>();
  for (let next: string | undefined = `${path}?${query}${query && "&"}limit=1000`; next !== undefined; ) {
    const { body }: { readonly body: JsonObject } = await call.client.call("GET", next, `look at the ${name}`);
    entries.push(...listOf(body[name]));
    for (const one of listOf(body.unreachable)) unreachable.set(fieldOf(one, "node"), fieldOf(one, "reason"));
    next = typeof body.next === "string" ? body.next : undefined;
  }
  for (const [node, reason] of unreachable)
    call.io.stderr.write(
      `node ${printable(node)} did not answer, and what it holds is not shown: ${printable(reason)}\n`,
    );
  return entries;
}

const listOf = (value: Json | undefined): readonly Json[] => (Array.isArray(value) ? value : []);

export const fieldOf = (value: Json | undefined, name: string): string =>
  isJsonObject(value) ? toText(value[name]) : "-";

/** `a=b,c=d`, of an object with texts. */
export function pairs(value: Json | undefined): string {
  if (!isJsonObject(value)) return "-";
  const texts = Object.entries(value).map(([name, text]) => (text === "" ? name : `${name}=${toText(text)}`));
  return texts.length === 0 ? "-" : texts.join(",");
}

/** One thing, a line for each thing to say of it; with `--json` as it came. */
export function writeOne({ io, options }: Pick<CommandCall, "io" | "options">, entry: JsonObject): void {
  if (options.json === true) {
    io.stdout.write(`${JSON.stringify(entry)}\n`);
    return;
  }
  const names = Object.keys(entry);
  const width = Math.max(...names.map((name) => name.length));
  for (const name of names) io.stdout.write(`${name.padEnd(width)}  ${printable(shortly(entry[name]))}\n`);
}

function shortly(value: Json | undefined): string {
  if (Array.isArray(value) && value.length === 0) return "-";
  if (Array.isArray(value)) return value.map(shortly).join(", ");
  return isJsonObject(value) ? pairs(value) : toText(value);
}

/** `a,b,c` of an option; none where it is not given. */
export function listOption({ options }: Pick<CommandCall, "options">, name: string): string[] {
  const value = options[name];
  return typeof value === "string" && value !== "" ? value.split(",") : [];
}

/** `a=b` → `{a: "b"}`. @throws UsageError */
export function parsePairs(texts: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    texts.map((text) => {
      const equals = text.indexOf("=");
      if (equals > 0) return [text.slice(0, equals), text.slice(equals + 1)];
      throw new UsageError(`${JSON.stringify(text)} is no label: it is NAME=VALUE`);
    }),
  );
}
