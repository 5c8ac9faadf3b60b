/** A switch in a network namespace of its own that no name holds: when this process is gone, so is all of it. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { BlockList } from "node:net";
import { getTool, mustRun, run } from "../../harness/tools.ts";

/** 198.18.N.0/24, of the range for tests of networks: nobody routes it (RFC 2544). */
const NETWORKS = 256;

export interface Network {
  /** `gsl7`: what is this lab's bears this name. */
  readonly name: string;
  /** Where this machine is on the switch, and its servers can listen. */
  readonly gateway: string;
  /** Wires a process's network namespace to the switch; its end is `eth0`, and is not up yet. */
  plug(port: string, pid: number, host: number): Promise<void>;
  unplug(port: string): Promise<void>;
  /** The wire is cut, or mended. */
  setPort(port: string, state: "up" | "down"): Promise<void>;
  addressOf(host: number): string;
  close(): Promise<void>;
}

export const ip = (...args: readonly string[]): Promise<string> => mustRun(getTool("ip"), args);

export async function openNetwork(): Promise<Network> {
  const child = spawn(getTool("setpriv"), ["--pdeathsig", "KILL", "--", ...SWITCH], {
    stdio: ["ignore", "pipe", "inherit"],
    detached: true,
  });
  const pid = await upOf(child);
  try {
    const number = await claim(pid);
    const [name, gateway] = [`gsl${number}`, `198.18.${number}.1`];
    const inside = (...args: readonly string[]) =>
      mustRun(getTool("nsenter"), [`--net=/proc/${pid}/ns/net`, "ip", ...args]);
    await inside("link", "set", "up0", "master", "br0", "up");
    await ip("address", "add", `${gateway}/24`, "dev", name);
    await ip("link", "set", name, "up");
    return {
      ...{ name, gateway },
      addressOf: (host) => `198.18.${number}.${host}`,
      plug: async (port, nodePid, host) => {
        const mac = `02:00:c6:12:${hex(number)}:${hex(host)}`;
        const peer = ["peer", "name", "eth0", "address", mac, "netns", String(nodePid)];
        await ip("link", "add", port, "netns", String(pid), "type", "veth", ...peer);
        await inside("link", "set", port, "master", "br0", "up");
      },
      unplug: async (port) => {
        await inside("link", "delete", port).catch(() => undefined);
      },
      setPort: async (port, state) => void (await inside("link", "set", port, state)),
      close: async () => {
        // By name: the kernel takes a namespace apart when it likes.
        await ip("link", "delete", name);
        await end(child);
      },
    };
  } catch (error) {
    await end(child);
    throw error;
  }
}

/** A fixed address: a bridge without takes one from its ports, and another when one is added. */
const SWITCH = [
  ...["unshare", "--net", "sh", "-c"],
  "ip link set lo up && ip link add br0 address 02:00:c6:12:00:01 type bridge && ip link set br0 up && echo up && exec sleep infinity",
];

/** The first number that is free here; the link by its name is the claim. */
async function claim(pid: number): Promise<number> {
  const taken = await takenAddresses();
  for (let number = 0; number < NETWORKS; number++) {
    if (taken.check(`198.18.${number}.1`)) continue;
    const args = ["link", "add", `gsl${number}`, "type", "veth", "peer", "name", "up0", "netns", String(pid)];
    const { status, stderr } = await run(getTool("ip"), args);
    if (status === 0) return number;
    if (!stderr.includes("File exists")) throw new Error(`ip ${args.join(" ")}: ${stderr}`);
  }
  throw new Error("all of 198.18.0.0/16 is taken");
}

async function takenAddresses(): Promise<BlockList> {
  const routes: { readonly dst: string }[] = JSON.parse(await ip("-json", "-4", "route", "show", "table", "all"));
  const list = new BlockList();
  for (const { dst } of routes) {
    const [address = "", length = "32"] = dst.split("/");
    if (/^\d+\.\d+\.\d+\.\d+$/.test(address)) list.addSubnet(address, Number(length));
  }
  return list;
}

const hex = (byte: number): string => byte.toString(16).padStart(2, "0");

/** Its process id, when it has said "up". @throws Error when it ended before */
export async function upOf(child: ChildProcess): Promise<number> {
  const ended = once(child, "exit").then(([status]) => {
    throw new Error(`a namespace of the lab did not come up (${status})`);
  });
  const said = child.stdout === null ? ended : once(child.stdout, "data");
  await Promise.race([said, ended]);
  ended.catch(() => undefined);
  return child.pid ?? 0;
}

export async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, "exit");
  child.kill("SIGKILL");
  await exited;
}
