import { isJsonObject, type Json, type JsonObject } from "../../oci/json.ts";

/** What engines answer, without believing its shape: whatever is not as it should be is as if it were not there. */
export function at(value: Json | undefined, ...path: readonly string[]): Json | undefined {
  return path.reduce<Json | undefined>((found, name) => (isJsonObject(found) ? found[name] : undefined), value);
}

/** Empty for what is no text. */
export function textAt(value: Json | undefined, ...path: readonly string[]): string {
  const found = at(value, ...path);
  return typeof found === "string" ? found : "";
}

/** Undefined for what is no text, or empty. */
export function findText(value: Json | undefined, ...path: readonly string[]): string | undefined {
  return textAt(value, ...path) || undefined;
}

/** 0 for what is no number: so do engines leave it out. */
export function numberAt(value: Json | undefined, ...path: readonly string[]): number {
  const found = at(value, ...path);
  return typeof found === "number" ? found : 0;
}

export function flagAt(value: Json | undefined, ...path: readonly string[]): boolean {
  return at(value, ...path) === true;
}

export function listAt(value: Json | undefined, ...path: readonly string[]): readonly JsonObject[] {
  const found = at(value, ...path);
  return Array.isArray(found) ? found.filter(isJsonObject) : [];
}

export function textsAt(value: Json | undefined, ...path: readonly string[]): readonly string[] {
  const found = at(value, ...path);
  return Array.isArray(found) ? found.filter((entry) => typeof entry === "string") : [];
}

export function labelsAt(value: Json | undefined, ...path: readonly string[]): Readonly<Record<string, string>> {
  const found = at(value, ...path);
  const entries = isJsonObject(found) ? Object.entries(found) : [];
  return Object.fromEntries(entries.filter((entry): entry is [string, string] => typeof entry[1] === "string"));
}

/** A query parameter of the engine's. */
export const filters = (value: Readonly<Record<string, readonly string[]>>): string =>
  encodeURIComponent(JSON.stringify(value));
