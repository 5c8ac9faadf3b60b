import { isJsonObject, type Json, type JsonObject } from "../oci/json.ts";
import type { CommandCall } from "./command.ts";

/** Heading → what stands under it. */
export type Columns = Readonly<Record<string, (entry: JsonObject) => string>>;

/** A list: a table for people, with a heading only at a terminal; with `--json` one object a line. */
export function writeList(
  { io, options }: Pick<CommandCall, "io" | "options">,
  entries: readonly Json[],
  columns: Columns,
) {
  const objects = entries.filter(isJsonObject);
  if (options.json === true) {
    for (const entry of objects) io.stdout.write(`${JSON.stringify(entry)}\n`);
    return;
  }
  const rows = objects.map((entry) => Object.values(columns).map((read) => read(entry)));
  const heading = Object.keys(columns).map((name) => name.toUpperCase());
  const all = io.stdout.isTTY === true ? [heading, ...rows] : rows;
  const widths = heading.map((_, index) => Math.max(...all.map((row) => (row[index] ?? "").length), 0));
  for (const row of all)
    io.stdout.write(
      `${row
        .map((text, index) => text.padEnd(widths[index] ?? 0))
        .join("  ")
        .trimEnd()}\n`,
    );
}

/** The fields of an entry that are text, or a dash for what is not there. */
export function field(name: string): (entry: JsonObject) => string {
  return (entry) => toText(entry[name]);
}

export function toText(value: Json | undefined): string {
  if (value === undefined || value === null) return "-";
  if (Array.isArray(value)) return value.map(toText).join(",");
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}
