import { isJsonObject, type JsonObject } from "../../oci/json.ts";
import type { EngineClient } from "../engine-client.ts";
import type { Engines } from "../engines.ts";
import { BridgeError } from "../errors.ts";
import type { Node } from "./cluster.ts";
import { toNode } from "./cluster-reader.ts";
import { USERNS, USERNS_LABEL } from "./need.ts";

const INFO_MS = 5_000;
const ATTEMPTS = 5;

/** Of each node whether its engine maps users; undefined where it cannot be asked, or is another node's. */
export type UsernsStates = ReadonlyMap<string, boolean | undefined>;

/** Only a node's own engine tells it; the managers know nothing of it. @see docker userns-remap, `GET /info` */
export async function readUserns(
  engines: Pick<Engines, "find" | "refresh">,
  nodes: readonly Node[],
): Promise<UsernsStates> {
  if (nodes.some((node) => engines.find(node) === undefined)) await engines.refresh();
  const ask = async (node: Node) => [node.id, await findUserns(engines.find(node)?.client, node.id)] as const;
  return new Map(await Promise.all(nodes.map(ask)));
}

async function findUserns(engine: EngineClient | undefined, id: string): Promise<boolean | undefined> {
  const info = await engine?.getObject("/info", { timeoutMs: INFO_MS }).catch((error: unknown) => {
    if (error instanceof BridgeError) return undefined;
    throw error;
  });
  const { Swarm, SecurityOptions } = info ?? {};
  if (!isJsonObject(Swarm) || Swarm.NodeID !== id) return undefined;
  return Array.isArray(SecurityOptions) && SecurityOptions.some((option) => /^name=userns(?:,|$)/.test(String(option)));
}

/**
 * Nodes carry what their engines say as a label, because the engine that places tasks knows nothing else of it. Nodes that
 * cannot be asked keep theirs: whoever deploys now is kept from them another way, and what runs there goes on.
 * @throws BridgeError ENGINE, SILENT
 */
export async function writeUserns(manager: EngineClient, nodes: readonly Node[], states: UsernsStates): Promise<void> {
  for (const { id, labels } of nodes) {
    const isOn = states.get(id);
    if (isOn !== undefined && (labels.get(USERNS_LABEL) === USERNS) !== isOn) await writeLabel(manager, id, isOn);
  }
}

/**
 * A node that maps users no more loses the label that says so, deployment or not; the engine then moves what must not run there.
 * @throws BridgeError ENGINE, SILENT
 */
export async function refreshUserns(engines: Pick<Engines, "manager" | "find" | "refresh">): Promise<void> {
  const manager = engines.manager();
  const nodes = (await manager.list("/nodes")).map(toNode);
  const labelled = nodes.filter(({ labels }) => labels.get(USERNS_LABEL) === USERNS);
  if (labelled.length > 0) await writeUserns(manager, labelled, await readUserns(engines, labelled));
}

/** Somebody else may change the node meanwhile: it is read again then. */
async function writeLabel(manager: EngineClient, id: string, isOn: boolean): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    const node = await manager.getObject(`/nodes/${id}`);
    const version = isJsonObject(node.Version) ? node.Version.Index : undefined;
    const body = Buffer.from(JSON.stringify(withLabel(node, isOn)));
    const call = manager.call("POST", `/nodes/${id}/update?version=${version}`, { body });
    const isDone = await call.then(
      () => true,
      (error: unknown) => {
        if (attempt < ATTEMPTS && error instanceof BridgeError && /out of sequence/.test(error.message)) return false;
        throw error;
      },
    );
    if (isDone) return;
  }
}

function withLabel({ Spec }: JsonObject, isOn: boolean): JsonObject {
  const spec = isJsonObject(Spec) ? Spec : {};
  const { [USERNS_LABEL]: _before, ...labels } = isJsonObject(spec.Labels) ? spec.Labels : {};
  return { ...spec, Labels: isOn ? { ...labels, [USERNS_LABEL]: USERNS } : labels };
}
