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
import { findTakenAddresses, overlapEachOther, readMadeNetwork, whyUnencrypted } from "./network-rules.ts";
import { requireOwn } from "./own.ts";

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
  const tell = async (): Promise<void> => {
    await manager.call("POST", "/networks/create", { body: Buffer.from(JSON.stringify(definition)) });
    const fault = await findMadeFault(manager, change.id, definition);
    if (fault !== undefined) throw new BridgeError("ENGINE", fault);
  };
  await change.tell(tell, { wanted: definition });
  return { kind: "done", network: body.name };
}

/**
 * Why a network was not made as it was ordered; undefined: it was. What is another one than that is taken away again.
 * @param id of the change, which stands in its labels
 * @param wanted what the engine was told
 * @throws BridgeError ENGINE, SILENT
 */
export async function findMadeFault(
  manager: Pick<Manager, "list" | "call">,
  id: string,
  wanted: JsonObject,
): Promise<string | undefined> {
  const made = await readMadeNetwork(manager, (network) => labelsAt(network, "Labels")[INTENT_LABEL] === id);
  if (made === undefined) return "the engine made no network";
  const difference = findNetworkDifference(wanted, made);
  if (difference === undefined) return undefined;
  await manager.call("DELETE", `/networks/${textAt(made, "Id")}`, { expected: [404] });
  return `the engine holds another network than was ordered: ${difference}`;
}

function toDefinition(body: NetworkBody, own: Readonly<Record<string, string>>): JsonObject {
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
function findNetworkDifference(sent: JsonObject, held: JsonObject): string | undefined {
  if (isEncrypted(held) !== isEncrypted(sent)) return "Options.encrypted";
  if (!subnetsOf(sent).every((subnet) => subnetsOf(held).includes(subnet))) return "IPAM.Config";
  const [ordered, shown] = [sent, held].map((network) =>
    Object.fromEntries(COMPARED.map((name) => [name, network[name] ?? null])),
  );
  return findDifference(ordered, shown);
}

const COMPARED = ["Name", "Driver", "Scope", "Attachable", "Internal", "Ingress", "Labels"];

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
