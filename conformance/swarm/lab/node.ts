/** A machine of the lab: namespaces of its own, with its own engine. Its disk is a folder that outlives a power cut. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { cacheBin, getTool, mustRun } from "../../harness/tools.ts";
import { callEngine, until } from "./engine.ts";
import { end, type Network, upOf } from "./network.ts";

/** How an engine's API is reached over TLS, as the bridge's configuration has it. */
export interface TlsEndpoint {
  /** `tcp://198.18.0.11:2376` */
  readonly url: string;
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

export interface NodeOptions {
  readonly network: Network;
  /** `m1`, `w2` */
  readonly name: string;
  /** The last part of its address. */
  readonly host: number;
  readonly folder: string;
  /** dockerd's. */
  readonly args: readonly string[];
  readonly tls: TlsEndpoint | undefined;
}

const START_SECONDS = 60;
const STOP_SECONDS = 30;

export class LabNode {
  readonly name: string;
  readonly ip: string;
  readonly folder: string;
  readonly tls: TlsEndpoint | undefined;
  readonly #options: NodeOptions;
  #child: ChildProcess | undefined;
  /** The first process in its namespaces, as this machine counts. */
  #init = 0;

  constructor(options: NodeOptions) {
    const { network, name, host, folder, tls } = options;
    [this.#options, this.name, this.folder, this.tls] = [options, name, folder, tls];
    this.ip = network.addressOf(host);
    for (const part of ["etc", "plugins"]) mkdirSync(join(folder, part), { recursive: true });
  }

  /** `unix:///…/docker.sock` */
  get socket(): string {
    return `unix://${this.socketPath}`;
  }

  get socketPath(): string {
    return join(this.folder, "docker.sock");
  }

  /** Its /etc/docker: `certs.d`, `daemon.json`. */
  get etc(): string {
    return join(this.folder, "etc");
  }

  /** Its /run/docker/plugins. */
  get plugins(): string {
    return join(this.folder, "plugins");
  }

  /** Its engine believes a registry (`host:port`) by this CA alone; read at each pull. */
  trustRegistry(host: string, caPath: string): void {
    const folder = join(this.etc, "certs.d", host);
    mkdirSync(folder, { recursive: true });
    copyFileSync(caPath, join(folder, "ca.crt"));
  }

  get isRunning(): boolean {
    return this.#child !== undefined && this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** What the engine printed. */
  get log(): string {
    const file = join(this.folder, "log");
    return existsSync(file) ? readFileSync(file, "utf8") : "";
  }

  /** With more arguments for dockerd, at will. Resolves when its API answers. @throws Error with the engine's log */
  async start(...more: readonly string[]): Promise<void> {
    const { network, name, host, folder, args } = this.#options;
    const script = join(import.meta.dirname, "node.sh");
    const own = [
      folder,
      name,
      `${this.ip}/24`,
      network.gateway,
      `--cgroup-parent=/${network.name}/${name}`,
      "--userland-proxy=false",
    ];
    const child = spawn(getTool("setpriv"), [...NAMESPACES, "sh", script, ...own, ...args, ...more], {
      // No proxy, no other configuration of this machine's; containerd and runc stand beside dockerd.
      env: { PATH: `${cacheBin}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin`, HOME: folder },
      stdio: ["pipe", "pipe", "inherit"],
      detached: true,
    });
    this.#child = child;
    const pid = await upOf(child);
    this.#init = Number(readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8"));
    await network.plug(name, pid, host);
    child.stdin?.write("wired\n");
    const ended = once(child, "exit").then(() => Promise.reject(new Error("it ended")));
    const up = until(`${name} answers`, () => this.#answers(), START_SECONDS);
    await Promise.race([up, ended]).catch((error: unknown) => {
      throw new Error(`the engine of ${name} did not start:\n${this.log.slice(-4000)}`, { cause: error });
    });
    ended.catch(() => undefined);
  }

  /** As an operator changes daemon.json: SIGHUP. What of it is read then takes effect soon after, and at each start. */
  configure(daemon: object): void {
    writeFileSync(join(this.etc, "daemon.json"), JSON.stringify(daemon));
    this.#child?.stdin?.write("reload\n");
  }

  /** A power cut: every process at once, nothing is said to anybody. */
  async kill(): Promise<void> {
    if (this.#child === undefined) return;
    await end(this.#child);
    await this.#gone();
  }

  /** As an operator stops an engine: SIGTERM. */
  async stop(): Promise<void> {
    const child = this.#child;
    if (child === undefined || !this.isRunning) return;
    const exited = once(child, "exit");
    child.stdin?.write("stop\n");
    const timer = setTimeout(() => child.kill("SIGKILL"), STOP_SECONDS * 1000);
    await exited;
    clearTimeout(timer);
    await this.#gone();
  }

  /** Cut off from all others, while everything on it runs on. */
  partition(): Promise<void> {
    return this.#options.network.setPort(this.name, "down");
  }

  heal(): Promise<void> {
    return this.#options.network.setPort(this.name, "up");
  }

  /** Runs a program in this node's network. */
  run(program: string, ...args: readonly string[]): Promise<string> {
    return mustRun(getTool("nsenter"), [`--net=/proc/${this.#init}/ns/net`, program, ...args]);
  }

  async #answers(): Promise<boolean> {
    return (await callEngine(this.socketPath, "GET", "/_ping")).status === 200;
  }

  /** The first process is only taken apart when all others in its namespaces are. */
  async #gone(): Promise<void> {
    this.#child = undefined;
    await until(`${this.name} is gone`, () => !existsSync(`/proc/${this.#init}`) || isZombie(this.#init));
    await this.#options.network.unplug(this.name);
  }
}

/** Whatever ends this process ends the node. */
const NAMESPACES = [
  ...["--pdeathsig", "KILL", "--", "unshare", "--net", "--mount", "--uts", "--ipc", "--pid", "--fork"],
  ...["--kill-child", "--mount-proc", "--propagation", "private", "--"],
];

function isZombie(pid: number): boolean {
  try {
    return /^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return true;
  }
}
