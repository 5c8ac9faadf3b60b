import { setTimeout as delay } from "node:timers/promises";
import type { JsonObject } from "../../oci/json.ts";
import type { ActionHandler, ActionTable, Ordered, Outcome } from "../actions.ts";
import type { Core } from "../core.ts";
import { BridgeError } from "../errors.ts";
import { ENVIRONMENT_LABEL, INTENT_LABEL } from "../managed-service.ts";
import { readBody } from "../order-body.ts";
import { findDifference } from "../same-definition.ts";
import { isRecent } from "../swarm.ts";
import { isOfCluster, type NetworkUser, readAttached, usersOf } from "../views/networks.ts";
import { isEncrypted } from "../views/networks-view.ts";
import { labelsAt, listAt, textAt } from "../views/wire.ts";
import { type NetworkBody, networkSchema, removeSchema } from "./bodies.ts";
import type { Change, ChangeJournal } from "./change-journal.ts";
import { requireOwn } from "./own.ts";
import { findSubnet, overlap } from "./subnet.ts";

const [SET_UP_MS, POLL_MS] = [15_000, 100] as const;

type Manager = ReturnType<Core["engines"]["manager"]>;

export function networkActions({ engines }: Pick<Core, "engines">, journal: ChangeJournal): ActionTable {
  const manager = engines.manager();
  return { "network.create": create(manager, journal), "network.remove": remove(manager, journal) };
}

/** `network.create`: an overlay network. */
function create(manager: Manager, journal: ChangeJournal): ActionHandler {
  return (order, bytes) => {
    const body = readBody(bytes, networkSchema, "the network");
    return journal.run(order, { kind: "network", name: body.name }, async (change) => {
      const networks = await readNetworks(manager);
      refuseTaken(body, networks);
      if (body.encrypted) await requireEncryption(manager);
      return make(manager, order, body, change);
    });
  };
}

async function make(manager: Manager, order: Ordered, body: NetworkBody, change: Change): Promise<Outcome> {
  const definition = toDefinition(body, { [ENVIRONMENT_LABEL]: order.environment, [INTENT_LABEL]: change.id });
  await change.tell(async () => {
    await manager.call("POST", "/networks/create", { body: Buffer.from(JSON.stringify(definition)) });
    const made = await readMade(manager, change.id);
    const difference = made === undefined ? "it is not there" : findNetworkDifference(body, definition, made);
    if (difference === undefined) return;
    if (made !== undefined) await manager.call("DELETE", `/networks/${textAt(made, "Id")}`, { expected: [404] });
    throw new BridgeError("ENGINE", `the engine holds another network than was ordered: ${difference}`);
  });
  return { kind: "done", network: body.name };
}

/** Its addresses, and whether it is encrypted, are told once the managers have set them up: a moment later. */
async function readMade(manager: Manager, id: string): Promise<JsonObject | undefined> {
  const endsMs = performance.now() + SET_UP_MS;
  for (;;) {
    const made = (await readNetworks(manager)).find((network) => labelsAt(network, "Labels")[INTENT_LABEL] === id);
    const isSetUp = listAt(made, "IPAM", "Config").length > 0;
    if (isSetUp || performance.now() > endsMs) return made;
    await delay(POLL_MS);
  }
}

function toDefinition(body: NetworkBody, own: Readonly<Record<string, string>>) {
  const { name, attachable, internal, encrypted, subnets, labels } = body;
  return {
    ...{ Name: name, CheckDuplicate: true, Driver: "overlay", Scope: "swarm" },
    ...{ Attachable: attachable, Internal: internal, Ingress: false },
    IPAM: { Driver: "default", Config: subnets.map((subnet) => ({ Subnet: subnet })) },
    Options: encrypted ? { encrypted: "true" } : {},
    Labels: { ...labels, ...own },
  };
}

/** What the engine adds of its own accord, such as the number of the VXLAN, makes no other network of it. */
function findNetworkDifference(
  { encrypted, subnets }: NetworkBody,
  sent: ReturnType<typeof toDefinition>,
  held: JsonObject,
): string | undefined {
  if (isEncrypted(held) !== encrypted) return "Options.encrypted";
  const heldSubnets = listAt(held, "IPAM", "Config").map((config) => textAt(config, "Subnet"));
  if (!subnets.every((subnet) => heldSubnets.includes(subnet))) return "IPAM.Config";
  const { Name, Driver, Scope, Attachable, Internal, Ingress, Labels } = sent;
  const shown = ["Name", "Driver", "Scope", "Attachable", "Internal", "Ingress", "Labels"];
  return findDifference(
    { Name, Driver, Scope, Attachable, Internal, Ingress, Labels },
    Object.fromEntries(shown.map((name) => [name, held[name]])),
  );
}

const readNetworks = async (manager: Manager): Promise<JsonObject[]> =>
  (await manager.list("/networks")).filter(isOfCluster);

/** Of subnets that overlap an engine says nothing, and lets tasks wait for an address for ever. @throws BridgeError CONFLICT */
function refuseTaken({ name, subnets }: NetworkBody, networks: readonly JsonObject[]): void {
  if (networks.some((network) => textAt(network, "Name") === name))
    throw new BridgeError("CONFLICT", `there is a network ${name} already`);
  const wanted = subnets.flatMap((text) => findSubnet(text) ?? []);
  if (wanted.some((one, index) => wanted.slice(index + 1).some((other) => overlap(one, other))))
    throw new BridgeError("SPEC", "the network's subnets overlap each other");
  for (const network of networks) {
    for (const config of listAt(network, "IPAM", "Config")) {
      const held = findSubnet(textAt(config, "Subnet"));
      if (held !== undefined && wanted.some((one) => overlap(one, held)))
        throw new BridgeError("CONFLICT", `${textAt(config, "Subnet")} is the network ${textAt(network, "Name")}'s`);
    }
  }
}

/** Each node encrypts by itself: one that is too old would send in the clear (CVE-2023-28840 to 28842, hardening C08). */
async function requireEncryption(manager: Manager): Promise<void> {
  const nodes = await manager.list("/nodes");
  const versionOf = (node: JsonObject): string => textAt(node, "Description", "Engine", "EngineVersion");
  const old = nodes.filter((node) => !isRecent(versionOf(node)));
  if (old.length === 0) return;
  const named = old.map((node) => `${textAt(node, "Description", "Hostname")} (${versionOf(node)})`).join(", ");
  throw new BridgeError("CONFLICT", `engines too old to encrypt: ${named}; 20.10.24 or 23.0.3 at least`);
}

/** `network.remove`: only when nobody uses it. */
function remove(manager: Manager, journal: ChangeJournal): ActionHandler {
  return (order, bytes) => {
    const { name } = readBody(bytes, removeSchema, "the order's body");
    return journal.run(order, { kind: "network", name }, async (change) => {
      const found = (await readNetworks(manager)).filter((network) => textAt(network, "Name") === name);
      const network = requireOwn({ kind: "network", name }, found, (one) => labelsAt(one, "Labels"), order);
      refuseUsed(name, usersOf(network, await readAttached(manager)));

      await change.tell(async () => {
        await manager.call("DELETE", `/networks/${textAt(network, "Id")}`, { expected: [404] });
      });
      return { kind: "done", network: name };
    });
  };
}

/** @throws BridgeError CONFLICT */
function refuseUsed(name: string, users: readonly NetworkUser[]): void {
  if (users.length === 0) return;
  const named = users.map((user) => `${user.kind} ${user.name}`).join(", ");
  throw new BridgeError("CONFLICT", `the network ${name} is used by ${named}`);
}
