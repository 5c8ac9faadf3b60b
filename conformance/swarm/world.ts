/** A registry, a Swarm of one engine, images that run, somebody who signs them, and the bridge between. */
import { type ChildProcess, spawn } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Dockerd, startDockerd } from "../clients/dockerd.ts";
import { ANN, addUser } from "../clients/world.ts";
import { freePort } from "../harness/port.ts";
import { launcher, projectRoot, type RunningServer, startServer } from "../harness/server.ts";
import { getTool, mustRun } from "../harness/tools.ts";
import { keyIdOf, makeKey, makeOrder, type SigningKey, toEnvelope } from "./signing.ts";

const ROOT_PASSPHRASE = "rootpass-123";

export class World {
  readonly folder: string;
  readonly server: RunningServer;
  readonly dockerd: Dockerd;
  readonly officer: SigningKey;
  readonly operator: SigningKey;
  readonly #bridgePort: number;
  #bridge: ChildProcess | undefined;
  #policyVersion = 0;

  private constructor(folder: string, server: RunningServer, dockerd: Dockerd, bridgePort: number) {
    this.folder = folder;
    this.server = server;
    this.dockerd = dockerd;
    this.#bridgePort = bridgePort;
    [this.officer, this.operator] = [makeKey(), makeKey()];
  }

  static async open(): Promise<World> {
    const folder = mkdtempSync(join(tmpdir(), "goldseal-swarm-"));
    const server = await startServer({ workers: 1 });
    try {
      await addUser(server, ANN);
      const dockerd = await startDockerd(server.caPath);
      return new World(folder, server, dockerd, await freePort());
    } catch (error) {
      await server.stop();
      throw error;
    }
  }

  async close(): Promise<void> {
    await this.stopBridge();
    await this.dockerd.stop();
    await this.server.stop();
    rmSync(this.folder, { recursive: true, force: true });
  }

  async docker(...args: readonly string[]): Promise<string> {
    const env = { DOCKER_CONFIG: join(this.folder, "docker") };
    return (await mustRun(getTool("docker-20.10"), ["--host", this.dockerd.socket, ...args], { env })).trim();
  }

  /** As ann, who signs. */
  goldseal(...args: readonly string[]): Promise<string> {
    const env = {
      ...{ DOCKER_CONFIG: join(this.folder, "docker"), GOLDSEAL_PASSWORD: ANN.password },
      DOCKER_CONTENT_TRUST_ROOT_PASSPHRASE: ROOT_PASSPHRASE,
      DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE: ROOT_PASSPHRASE,
    };
    const where = ["--url", this.server.url, "--ca", this.server.caPath, "--as", ANN.name];
    return mustRun("node", [launcher, ...args, ...where], { cwd: projectRoot, env });
  }

  image(tag: string): string {
    return `${this.server.host}/ann/web:${tag}`;
  }

  /** An image that runs `command`; pushed as `ann/web:tag`. Its digest. */
  async push(tag: string, command: string): Promise<string> {
    const root = join(this.folder, "root");
    mkdirSync(join(root, "bin"), { recursive: true });
    copyFileSync(getTool("busybox"), join(root, "bin", "busybox"));
    const tar = join(this.folder, "root.tar");
    await mustRun("tar", ["-C", root, "-cf", tar, "."]);
    const cmd = `CMD ["/bin/busybox", "sh", "-c", ${JSON.stringify(command)}]`;
    await this.docker("import", "--change", cmd, tar, this.image(tag));
    const printed = await this.docker("push", this.image(tag));
    const digest = /digest: (sha256:[0-9a-f]{64})/.exec(printed)?.[1];
    if (digest === undefined) throw new Error(printed);
    return digest;
  }

  async sign(tag: string): Promise<void> {
    await this.goldseal("trust", "sign", this.image(tag));
  }

  /** Hands in the next policy document, which asks for ann. */
  async setPolicy(specLimits: object = {}): Promise<void> {
    const { keys, roles } = await this.#delegations();
    const [id = ""] = roles.find(({ name }) => name === "targets/ann")?.keyids ?? [];
    const ann = keys[id]?.keyval.public ?? "";
    const document = {
      ...{ version: ++this.#policyVersion, expires: new Date(Date.now() + 86_400_000).toISOString() },
      environments: {
        prod: {
          ...{ images: ["ann/*"], require: [{ team: "qa", k: 1 }], maxTimestampAge: "48h", specLimits },
          ...{ operators: [this.operator.keyId], rights: { ops: "deploy" } },
        },
      },
      teams: { qa: ["ann"], ops: ["olga"] },
      keys: {
        [keyIdOf(ann)]: { spki: ann, user: "ann" },
        [this.operator.keyId]: { spki: this.operator.spki, user: "olga" },
        [this.officer.keyId]: { spki: this.officer.spki, user: "otto" },
      },
    };
    const body = toEnvelope("goldseal.policy/v1", document, [this.officer]);
    await this.api("PUT", "/api/v1/policies/bridge", body);
  }

  /** As admin. */
  async api(method: string, path: string, body?: string): Promise<string> {
    const { name, password } = this.server.admin;
    const args = ["-sS", "--fail-with-body", "--cacert", this.server.caPath, "-u", `${name}:${password}`, "-X", method];
    if (body !== undefined) args.push("-H", "content-type: application/json", "--data-binary", "@-");
    return mustRun("curl", [...args, `${this.server.url}${path}`], { input: body ?? "" });
  }

  async #delegations(): Promise<Delegations> {
    const file = await this.api("GET", `/v2/${this.server.host}/ann/web/_trust/tuf/targets.json`);
    return JSON.parse(file).signed.delegations;
  }

  get bridgeStore(): string {
    return join(this.folder, "bridge");
  }

  async startBridge(more: Readonly<Record<string, string>> = {}): Promise<void> {
    const inspected = await this.goldseal("trust", "inspect", `${this.server.host}/ann/web`, "--json");
    const config = {
      ...{ registry: this.server.url, ca: this.server.caPath, engine: this.dockerd.socket, store: this.bridgeStore },
      account: { name: this.server.admin.name, passwordFile: join(this.folder, "password") },
      listen: `127.0.0.1:${this.#bridgePort}`,
      policyKeys: { keys: [this.officer.spki], threshold: 1 },
      pins: [{ gun: `${this.server.host}/ann/*`, rootKeys: JSON.parse(inspected).keys.root }],
    };
    writeFileSync(join(this.folder, "password"), `${this.server.admin.password}\n`, { mode: 0o600 });
    // JSON is YAML.
    writeFileSync(join(this.folder, "bridge.yaml"), JSON.stringify(config));
    const env = { ...process.env, GOLDSEAL_BRIDGE_CONFIG: join(this.folder, "bridge.yaml"), ...more };
    const child = spawn("node", [launcher, "bridge"], {
      // A group of its own: a kill reaches the bridge itself too.
      ...{ cwd: projectRoot, env, detached: true },
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.#bridge = child;
    let printed = "";
    const ready = Promise.withResolvers<void>();
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding("utf8").on("data", (text: string) => {
        printed += text;
        if (/^bridge ready /m.test(printed)) ready.resolve();
      });
    child.once("exit", (status) => ready.reject(new Error(`the bridge ended (${status}):\n${printed}`)));
    await ready.promise;
  }

  async stopBridge(signal: NodeJS.Signals = "SIGTERM"): Promise<void> {
    const child = this.#bridge;
    this.#bridge = undefined;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const exited = new Promise((resolve) => child.once("exit", resolve));
    if (signal === "SIGKILL" && child.pid !== undefined) process.kill(-child.pid, signal);
    else child.kill(signal);
    await exited;
  }

  makeOrder(spec: string): string {
    return makeOrder(spec, this.operator);
  }

  /** What the bridge answered: the problem, or the last line. */
  async order(spec: string, order: string): Promise<Answer> {
    const url = `http://127.0.0.1:${this.#bridgePort}/api/v1/deployments?environment=prod`;
    const answer = await fetch(url, { method: "POST", headers: { "goldseal-order": order }, body: spec });
    const lines = (await answer.text())
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line));
    return { status: answer.status, lines, last: lines.at(-1) };
  }

  async bridgeGet(path: string): Promise<{ readonly status: number; readonly text: string }> {
    const answer = await fetch(`http://127.0.0.1:${this.#bridgePort}${path}`);
    return { status: answer.status, text: await answer.text() };
  }

  /** Images of the services that there are, by name. */
  async services(): Promise<Record<string, string>> {
    const text = await this.docker("service", "ls", "--format", "{{.Name}}");
    const names = text.split("\n").filter((name) => name !== "");
    const format = "{{.Spec.TaskTemplate.ContainerSpec.Image}}";
    const found = names.map(async (name) => [name, await this.docker("service", "inspect", "--format", format, name)]);
    return Object.fromEntries(await Promise.all(found));
  }
}

export interface Answer {
  readonly status: number;
  readonly lines: readonly Loose[];
  readonly last: Loose;
}

type Loose = { readonly [name: string]: unknown } | undefined;

interface Delegations {
  readonly keys: Readonly<Record<string, { readonly keyval: { readonly public: string } }>>;
  readonly roles: readonly { readonly name: string; readonly keyids: readonly string[] }[];
}
