/** What the cluster asks of every network that the bridge makes, ordered alone or in a stack. */
import { setTimeout as delay } from "node:timers/promises";
import type { JsonObject } from "../../oci/json.ts";
import { isRecent } from "../swarm.ts";
import { isOfCluster } from "../views/networks.ts";
import { listAt, textAt } from "../views/wire.ts";
import { overlap, parseSubnet } from "./subnet.ts";

/** A network with the subnets that it has or shall have. */
export interface Addressed {
  readonly name: string;
  readonly subnets: readonly string[];
}

const [SET_UP_MS, POLL_MS] = [15_000, 100] as const;

/**
 * A network that was just made; undefined: it is not there. Its addresses, and whether it is encrypted, are told once the
 * managers have set them up: a moment later.
 */
export async function readMadeNetwork(
  manager: { list(path: string): Promise<JsonObject[]> },
  isIt: (network: JsonObject) => boolean,
): Promise<JsonObject | undefined> {
  const endsMs = performance.now() + SET_UP_MS;
  for (;;) {
    // A manager shows its own node's networks too, which may have the same names.
    const made = (await manager.list("/networks")).filter(isOfCluster).find(isIt);
    const isSetUp = listAt(made, "IPAM", "Config").length > 0;
    if (isSetUp || performance.now() > endsMs) return made;
    await delay(POLL_MS);
  }
}

/** Subnets of others that overlap one of these, with whose they are. Engines say nothing, and let tasks wait for an address for ever. */
export function findTakenAddresses(subnets: readonly string[], others: readonly Addressed[]): string[] {
  const wanted = subnets.flatMap((text) => parseSubnet(text) ?? []);
  return others.flatMap(({ name, subnets: held }) =>
    held.flatMap((text) => {
      const subnet = parseSubnet(text);
      const isTaken = subnet !== undefined && wanted.some((one) => overlap(one, subnet));
      return isTaken ? [`${text} is the network ${name}'s: choose other addresses`] : [];
    }),
  );
}

export function overlapEachOther(subnets: readonly string[]): boolean {
  const parsed = subnets.flatMap((text) => parseSubnet(text) ?? []);
  return parsed.some((one, index) => parsed.slice(index + 1).some((other) => overlap(one, other)));
}

/**
 * Why the cluster would not encrypt a network; undefined: it would. Each node encrypts by itself: one that is too old would send in
 * the clear (CVE-2023-28840 to 28842, hardening C08).
 */
export function whyUnencrypted(nodes: readonly JsonObject[]): string | undefined {
  const versionOf = (node: JsonObject): string => textAt(node, "Description", "Engine", "EngineVersion");
  const old = nodes.filter((node) => !isRecent(versionOf(node)));
  const named = old.map((node) => `${textAt(node, "Description", "Hostname")} (${versionOf(node)})`).join(", ");
  return old.length === 0 ? undefined : `engines too old to encrypt: ${named}; 20.10.24 or 23.0.3 at least`;
}
