/**
 * A Swarm of real engines on this machine, each in namespaces of its own, on a switch in another: made and removed by one
 * call, several at a time. Root alone can.
 */
import { chmodSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { missingTools } from "../harness/tools.ts";
import { makeAuthority } from "./lab/authority.ts";
import { removeCgroups } from "./lab/cgroups.ts";
import { askEngine, listOf, until } from "./lab/engine.ts";
import { type Network, openNetwork } from "./lab/network.ts";
import { LabNode } from "./lab/node.ts";

export type { LabNode } from "./lab/node.ts";

export interface LabOptions {
  /** Default 1. */
  readonly managers?: number;
  /** Default 2. */
  readonly workers?: number;
  /** The engines' API over mutual TLS too. */
  readonly tls?: boolean;
  /** More for dockerd, by the node's name. */
  readonly args?: Readonly<Record<string, readonly string[]>>;
}

export interface Lab {
  /** `gsl7`: in the name of everything that the lab made on this machine. */
  readonly name: string;
  readonly folder: string;
  /** This machine's address on the switch: what listens here, the nodes reach. */
  readonly gateway: string;
  /** `m1`, `m2`, …, `w1`, `w2`, … */
  readonly nodes: readonly LabNode[];
  readonly managers: readonly LabNode[];
  readonly workers: readonly LabNode[];
  /** @throws Error for a name that is no node's */
  node(name: string): LabNode;
  /** The first that runs. @throws Error when none does */
  manager(): LabNode;
  /** The engines believe a registry (`host:port`) by this CA (a PEM file), and it alone. */
  trustRegistry(host: string, caPath: string): void;
  /** As a running manager sees it. Resolves when all of these (default: all) are ready. */
  ready(names?: readonly string[]): Promise<void>;
  /**
   * As a running manager sees it. Resolves when a node that was stopped is given up. Who starts it sooner may have it start in that
   * very moment, and then Swarm holds it for down as long as its engine runs: the dispatcher writes that it is ready, then that it is
   * down, and only then takes note of the new session (swarmkit, manager/dispatcher, register and markNodeNotReady).
   */
  down(name: string): Promise<void>;
  close(): Promise<void>;
}

/** What the lab needs and this machine lacks, a line each. */
export function findMissing(): string[] {
  const tools = [
    "dockerd",
    "containerd",
    "runc",
    "docker-20.10",
    "ip",
    "iptables",
    "nsenter",
    "unshare",
    "setpriv",
    "openssl",
  ];
  const missing = missingTools([...tools, "busybox"]).map((tool) => `${tool} not found`);
  return [...missing, ...(process.getuid?.() === 0 ? [] : ["engines of our own need root"])];
}

/** @throws Error with an engine's log when it does not come up; nothing is left then */
export async function openLab(options: LabOptions = {}): Promise<Lab> {
  const network = await openNetwork();
  await removeRemains(network.name);
  const folder = mkdtempSync(join(tmpdir(), `${network.name}-`));
  // An engine that maps users must pass here as one of them.
  chmodSync(folder, 0o711);
  const nodes = await makeNodes(options, network, folder);
  const lab = toLab(network, folder, nodes);
  try {
    await Promise.all(nodes.map((node) => node.start()));
    await makeSwarm(nodes);
    await lab.ready();
    return lab;
  } catch (error) {
    await lab.close();
    throw error;
  }
}

/** Of a lab of this name that was killed, and could not: its nodes went along. */
async function removeRemains(name: string): Promise<void> {
  await removeCgroups(name);
  const folders = readdirSync(tmpdir()).filter((entry) => entry.startsWith(`${name}-`));
  for (const folder of folders) rmSync(join(tmpdir(), folder), { recursive: true, force: true });
}

function toLab(network: Network, folder: string, nodes: readonly LabNode[]): Lab {
  const { name, gateway } = network;
  const managers = nodes.filter((node) => node.name.startsWith("m"));
  const manager = (): LabNode => {
    const found = managers.find(({ isRunning }) => isRunning);
    if (found === undefined) throw new Error("no manager of the lab runs");
    return found;
  };
  return {
    ...{ name, folder, gateway, nodes, managers, manager },
    workers: nodes.filter((node) => !managers.includes(node)),
    node: (wanted) => {
      const found = nodes.find((node) => node.name === wanted);
      if (found === undefined) throw new Error(`the lab has no node ${wanted}`);
      return found;
    },
    trustRegistry: (host, caPath) => {
      for (const node of nodes) node.trustRegistry(host, caPath);
    },
    ready: (names = nodes.map((node) => node.name)) =>
      until(`${names.join(", ")} are ready`, async () => {
        const states = await statesOf(manager());
        return names.every((name) => states.some((seen) => seen.name === name && seen.state === "ready"));
      }).then(() => undefined),
    down: (wanted) =>
      until(`${wanted} is down`, async () => {
        const own = (await statesOf(manager())).filter(({ name }) => name === wanted);
        return own.every(({ state }) => state === "down");
      }).then(() => undefined),
    close: async () => {
      await Promise.all(nodes.map((node) => node.kill()));
      await network.close();
      await removeCgroups(name);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function makeNodes(options: LabOptions, network: Network, folder: string): Promise<LabNode[]> {
  const { managers = 1, workers = 2, tls = false, args = {} } = options;
  const count = (letter: string, number: number) => Array.from({ length: number }, (_, at) => `${letter}${at + 1}`);
  const names = [...count("m", managers), ...count("w", workers)];
  const authority = tls ? await makeAuthority(join(folder, "tls")) : undefined;
  return Promise.all(
    names.map(async (name, at) => {
      const host = 11 + at;
      const issued = await authority?.issue(name, network.addressOf(host));
      const all = [...(issued?.args ?? []), ...(args[name] ?? [])];
      return new LabNode({ network, name, host, folder: join(folder, name), args: all, tls: issued?.endpoint });
    }),
  );
}

/**
 * That a node is gone is seen after three heartbeats: after nine seconds, not fifteen. After fewer it would fall together with the
 * workers' return to a manager that was started again, for which they wait up to eight (see `down`).
 */
const HEARTBEAT_NS = 3_000_000_000;

async function makeSwarm(nodes: readonly LabNode[]): Promise<void> {
  const [first, ...others] = nodes;
  if (first === undefined) throw new Error("a lab needs a manager");
  const listen = { ListenAddr: "0.0.0.0:2377" };
  const spec = { Dispatcher: { HeartbeatPeriod: HEARTBEAT_NS } };
  await askEngine(first.socketPath, "POST", "/swarm/init", { ...listen, AdvertiseAddr: first.ip, Spec: spec });
  const { JoinTokens } = (await askEngine(first.socketPath, "GET", "/swarm")) as { JoinTokens: Record<string, string> };
  const join = (node: LabNode) => {
    const token = JoinTokens[node.name.startsWith("m") ? "Manager" : "Worker"];
    const where = { ...listen, AdvertiseAddr: node.ip, RemoteAddrs: [`${first.ip}:2377`], JoinToken: token };
    return askEngine(node.socketPath, "POST", "/swarm/join", where);
  };
  // One manager after the other: each changes who must agree.
  for (const node of others.filter(({ name }) => name.startsWith("m"))) await join(node);
  await Promise.all(others.filter(({ name }) => name.startsWith("w")).map(join));
}

/** One that had user namespaces for a while is there twice. */
async function statesOf({ socketPath }: LabNode): Promise<{ readonly name: string; readonly state: string }[]> {
  const seen = await listOf(socketPath, "/nodes");
  return seen.map(({ Description, Status }) => ({
    name: (Description as { Hostname: string }).Hostname,
    state: (Status as { State: string }).State,
  }));
}
