import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Loose } from "../../notary/tuf/testing/loose.ts";

const OF_CHANGES = ["change", "changed", "not-changed", "refused"];

/** What a bridge's journal says of changes that are no deployments, oldest first. */
export async function readChanges(store: string): Promise<Loose[]> {
  const text = await readFile(join(store, "journal"), "utf8");
  const lines = text.split("\n").slice(0, -1);
  return lines.map((line) => JSON.parse(line)).filter(({ event }) => OF_CHANGES.includes(event));
}
