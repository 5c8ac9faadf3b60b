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
  const rows = objects.map((entry) => Object.values(columns).map((read) => printable(read(entry))));
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

/** What is shown this once: alone on a line, or with `--json` with all that was answered. */
export function writeSecret({ io, options }: Pick<CommandCall, "io" | "options">, body: JsonObject): void {
  io.stdout.write(`${options.json === true ? JSON.stringify(body) : toText(body.secret)}\n`);
}

/** The fields of an entry that are text, or a dash for what is not there. */
export function field(name: string): (entry: JsonObject) => string {
  return (entry) => toText(entry[name]);
}

/** A name that somebody else typed must not move the cursor, hide a line or begin a new one. */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Bidi_Control}]/gu, (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

export function toText(value: Json | undefined): string {
  if (value === undefined || value === null) return "-";
  if (Array.isArray(value)) return value.map(toText).join(",");
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}
