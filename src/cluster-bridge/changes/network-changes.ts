import { setTimeout as delay } from "node:timers/promises";
import type { JsonObject } from "../../oci/json.ts";
import type { ActionHandler, ActionTable, Ordered, Outcome } from "../actions.ts";
import type { Core } from "../core.ts";
import { BridgeError } from "../errors.ts";
import { ENVIRONMENT_LABEL, INTENT_LABEL } from "../managed-service.ts";
import { readBody } from "../order-body.ts";
import { findDifference } from "../same-definition.ts";
import { isOfCluster, type NetworkUser, readAttached, usersOf } from "../views/networks.ts";
import { isEncrypted } from "../views/networks-view.ts";
import { labelsAt, listAt, textAt } from "../views/wire.ts";
import { type NetworkBody, networkSchema, removeSchema } from "./bodies.ts";
import type { Change, ChangeJournal } from "./change-journal.ts";
import { findTakenAddresses, overlapEachOther, whyUnencrypted } from "./network-rules.ts";
import { requireOwn } from "./own.ts";

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
  if (!subnets.every((subnet) => subnetsOf(held).includes(subnet))) return "IPAM.Config";
  const { Name, Driver, Scope, Attachable, Internal, Ingress, Labels } = sent;
  const shown = ["Name", "Driver", "Scope", "Attachable", "Internal", "Ingress", "Labels"];
  return findDifference(
    { Name, Driver, Scope, Attachable, Internal, Ingress, Labels },
    Object.fromEntries(shown.map((name) => [name, held[name]])),
  );
}

const readNetworks = async (manager: Manager): Promise<JsonObject[]> =>
  (await manager.list("/networks")).filter(isOfCluster);

/** @throws BridgeError CONFLICT; SPEC where it is in its own way */
function refuseTaken({ name, subnets }: NetworkBody, networks: readonly JsonObject[]): void {
  if (networks.some((network) => textAt(network, "Name") === name))
    throw new BridgeError("CONFLICT", `there is a network ${name} already`);
  if (overlapEachOther(subnets)) throw new BridgeError("SPEC", "the network's subnets overlap each other");
  const [taken] = findTakenAddresses(subnets, networks.map(toAddressed));
  if (taken !== undefined) throw new BridgeError("CONFLICT", taken);
}

const toAddressed = (network: JsonObject) => ({ name: textAt(network, "Name"), subnets: subnetsOf(network) });
const subnetsOf = (network: JsonObject): string[] =>
  listAt(network, "IPAM", "Config").map((config) => textAt(config, "Subnet"));

/** @throws BridgeError CONFLICT */
async function requireEncryption(manager: Manager): Promise<void> {
  const why = whyUnencrypted(await manager.list("/nodes"));
  if (why !== undefined) throw new BridgeError("CONFLICT", why);
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
