/** A Swarm of several engines, a registry in its network, images that run, somebody who signs them, and the bridge between. */
import { randomBytes } from "node:crypto";
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ANN, addUser } from "../clients/world.ts";
import { freePort } from "../harness/port.ts";
import type { Credentials } from "../harness/registry-client.ts";
import { command, freshFolder, projectRoot, type RunningServer, startServer } from "../harness/server.ts";
import { getTool, mustRun, type RunResult, run } from "../harness/tools.ts";
import { BridgeProcess } from "./bridge-process.ts";
import { type Lab, type LabNode, type LabOptions, openLab } from "./lab.ts";
import { keyIdOf, makeKey, makeOrder, type OrderOptions, type SigningKey, toEnvelope } from "./signing.ts";

const OLGA: Credentials = { name: "olga", password: "olga-secret-1" };
const ROOT_PASSPHRASE = "rootpass-123";
/** By which the bridge believes who looks. */
const RELAY_SECRET = randomBytes(24).toString("hex");

export class World {
  readonly folder: string;
  readonly lab: Lab;
  readonly bridge: BridgeProcess;
  readonly officer: SigningKey;
  readonly operator: SigningKey;
  /** The bridge's private key for notes to the managers' plug-in, from its next start on: a PEM file. */
  allowKey: string | undefined;
  readonly #data: string;
  #server: RunningServer;
  #policyVersion = 0;
  /** By environment: what the policy document says beside {@link World.environment}'s own words. */
  #environments: Readonly<Record<string, object>> = {};
  #pinned: readonly string[] = ["ann/web"];
  /** As their roots were when they were pinned. */
  readonly #pins = new Map<string, object>();

  private constructor(parts: { folder: string; lab: Lab; server: RunningServer; data: string; bridgePort: number }) {
    const { folder, lab, server, data, bridgePort } = parts;
    [this.folder, this.lab, this.#server, this.#data] = [folder, lab, server, data];
    this.bridge = new BridgeProcess(folder, bridgePort);
    [this.officer, this.operator] = [makeKey(), makeKey()];
  }

  /** The registry speaks TLS to the engines, and the engines to the bridge. */
  static async open(options: LabOptions = {}): Promise<World> {
    const lab = await openLab({ tls: true, ...options });
    const [data, folder] = [freshFolder(), mkdtempSync(join(tmpdir(), "goldseal-swarm-"))];
    let server: RunningServer | undefined;
    try {
      const bridgePort = await freePort();
      const env = { GOLDSEAL_LISTEN: `${lab.gateway}:0`, ...relayTo(bridgePort, folder) };
      server = await startServer({ data, workers: 1, env });
      const world = new World({ folder, lab, server, data, bridgePort });
      lab.trustRegistry(server.host, server.caPath);
      for (const user of [ANN, OLGA]) await addUser(server, user);
      await world.#login();
      return world;
    } catch (error) {
      await lab.close();
      await server?.stop();
      throw error;
    }
  }

  async close(): Promise<void> {
    await this.stopBridge();
    await this.lab.close();
    await this.#server.stop();
    for (const folder of [this.folder, this.#data])
      rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  }

  get server(): RunningServer {
    return this.#server;
  }

  /** The registry is away, and then there again: same address, same data. */
  async stopRegistry(): Promise<void> {
    await this.#server.stop();
  }

  async startRegistry(): Promise<void> {
    const env = { GOLDSEAL_LISTEN: this.#server.host, ...relayTo(this.bridge.port, this.folder) };
    this.#server = await startServer({ data: this.#data, workers: 1, env });
  }

  /** Docker's client at a manager that runs, signed in as ann. */
  docker(...args: readonly string[]): Promise<string> {
    return this.dockerOn(this.lab.manager(), ...args);
  }

  async dockerOn(node: LabNode, ...args: readonly string[]): Promise<string> {
    const env = { DOCKER_CONFIG: join(this.folder, "docker") };
    return (await mustRun(getTool("docker-20.10"), ["--host", node.socket, ...args], { env })).trim();
  }

  async #login(): Promise<void> {
    const args = ["login", "--username", ANN.name, "--password-stdin", this.#server.host];
    const env = { DOCKER_CONFIG: join(this.folder, "docker") };
    const engine = ["--host", this.lab.manager().socket];
    await mustRun(getTool("docker-20.10"), [...engine, ...args], { env, input: ANN.password });
  }

  /** Our command line as ann, who signs. What it printed. */
  goldseal(...args: readonly string[]): Promise<string> {
    return must(this.#goldseal(ANN, args));
  }

  /** The same, whatever came of it. */
  tryGoldseal(...args: readonly string[]): Promise<RunResult> {
    return this.#goldseal(ANN, args);
  }

  /** Our command line as the registry's administrator. */
  admin(...args: readonly string[]): Promise<string> {
    return must(this.#goldseal(this.server.admin, args));
  }

  /** Our command line as olga, who deploys: her order goes through the registry to the bridge. */
  operate(environment: string, ...args: readonly string[]): Promise<string> {
    const file = join(this.folder, "olga.pem");
    writeFileSync(file, this.operator.privateKey.export({ format: "pem", type: "pkcs8" }), { mode: 0o600 });
    return must(this.#goldseal(OLGA, [...args, "--environment", environment, "--key", file]));
  }

  #goldseal(who: Credentials, args: readonly string[]): Promise<RunResult> {
    const env = {
      ...{ DOCKER_CONFIG: join(this.folder, "docker"), GOLDSEAL_PASSWORD: who.password },
      DOCKER_CONTENT_TRUST_ROOT_PASSPHRASE: ROOT_PASSPHRASE,
      DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE: ROOT_PASSPHRASE,
    };
    const where = ["--url", this.server.url, "--ca", this.server.caPath, "--as", who.name];
    return run(command, [...args, ...where], { cwd: projectRoot, env });
  }

  image(tag: string, repository = "ann/web"): string {
    return `${this.server.host}/${repository}:${tag}`;
  }

  /** An image of busybox that runs `command`. Its digest. */
  async push(tag: string, command: string, repository = "ann/web"): Promise<string> {
    const root = join(this.folder, "root");
    mkdirSync(join(root, "bin"), { recursive: true });
    copyFileSync(getTool("busybox"), join(root, "bin", "busybox"));
    const tar = join(this.folder, "root.tar");
    await mustRun("tar", ["-C", root, "-cf", tar, "."]);
    const cmd = `CMD ["/bin/busybox", "sh", "-c", ${JSON.stringify(command)}]`;
    await this.docker("import", "--change", cmd, tar, this.image(tag, repository));
    const printed = await this.docker("push", this.image(tag, repository));
    const digest = /digest: (sha256:[0-9a-f]{64})/.exec(printed)?.[1];
    if (digest === undefined) throw new Error(printed);
    return digest;
  }

  async sign(tag: string, repository = "ann/web"): Promise<void> {
    await this.goldseal("trust", "sign", this.image(tag, repository));
  }

  pin(digest: string, repository = "ann/web"): string {
    return `${this.server.host}/${repository}@${digest}`;
  }

  /** Hands in the next policy document. `prod` asks for ann; what was said of other environments stays, unless said anew. */
  async setPolicy(specLimits: object = {}, environments: Readonly<Record<string, object>> = {}): Promise<void> {
    this.#environments = { ...this.#environments, ...environments };
    const { keys, roles } = await this.#delegations();
    const [id = ""] = roles.find(({ name }) => name === "targets/ann")?.keyids ?? [];
    const ann = keys[id]?.keyval.public ?? "";
    const common = { maxTimestampAge: "48h", operators: [this.operator.keyId], rights: { ops: "deploy" } };
    const prod = { ...common, images: ["ann/*"], require: [{ team: "qa", k: 1 }], specLimits };
    const others = Object.entries(this.#environments).map(([name, own]) => [name, { ...prod, ...own }]);
    const document = {
      ...{ version: ++this.#policyVersion, expires: new Date(Date.now() + 86_400_000).toISOString() },
      environments: { prod, ...Object.fromEntries(others) },
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
    return this.bridge.store;
  }

  /** The repositories whose roots the bridge believes from its next start on, as they were at the first. */
  pinAlso(...repositories: readonly string[]): void {
    this.#pinned = [...this.#pinned, ...repositories];
  }

  /** With these variables on top of this process's own. */
  async startBridge(more: Readonly<Record<string, string>> = {}): Promise<void> {
    const { admin, url, caPath } = this.server;
    const passwordFile = join(this.folder, "password");
    writeFileSync(passwordFile, `${admin.password}\n`, { mode: 0o600 });
    const secretFile = secretFileIn(this.folder);
    const endpoint = ({ tls, socket }: LabNode) => tls ?? socket;
    const engines = Object.fromEntries(this.lab.nodes.map((node) => [node.name, endpoint(node)]));
    const config = {
      ...{ registry: url, ca: caPath, engine: endpoint(this.lab.node("m1")), engines },
      ...(this.allowKey === undefined ? {} : { allowKey: this.allowKey }),
      ...{ account: { name: admin.name, passwordFile }, relay: { secretFile } },
      policyKeys: { keys: [this.officer.spki], threshold: 1 },
      pins: await Promise.all(this.#pinned.map((repository) => this.#pin(repository))),
    };
    await this.bridge.start(config, more);
  }

  async #pin(repository: string): Promise<object> {
    const known = this.#pins.get(repository);
    if (known !== undefined) return known;
    const inspected = await this.goldseal("trust", "inspect", `${this.server.host}/${repository}`, "--json");
    const pin = { gun: `${this.server.host}/${repository}`, rootKeys: JSON.parse(inspected).keys.root };
    this.#pins.set(repository, pin);
    return pin;
  }

  stopBridge(signal: NodeJS.Signals = "SIGTERM"): Promise<void> {
    return this.bridge.stop(signal);
  }

  makeOrder(spec: string, options: OrderOptions = {}): string {
    return makeOrder(spec, this.operator, options);
  }

  /** What the bridge answered: the problem, or the last line. */
  async order(spec: string, order: string, environment = "prod"): Promise<Answer> {
    return this.#post(`/api/v1/deployments?environment=${environment}`, spec, order);
  }

  /** As olga, who may. */
  deploy(spec: object, environment = "prod", lifeSeconds = 240): Promise<Answer> {
    const text = JSON.stringify(spec);
    return this.order(text, this.makeOrder(text, { environment, lifeSeconds }), environment);
  }

  /** Any other change of the cluster, ordered by olga. */
  change(action: string, body: object, environment = "prod"): Promise<Answer> {
    const text = JSON.stringify(body);
    const path = `/api/v1/cluster/orders?environment=${environment}&action=${action}`;
    return this.#post(path, text, this.makeOrder(text, { action, environment }));
  }

  async #post(path: string, body: string, order: string): Promise<Answer> {
    const answer = await fetch(`${this.bridge.url}${path}`, {
      method: "POST",
      headers: { "goldseal-order": order },
      body,
    });
    const lines = (await answer.text())
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line));
    return { status: answer.status, lines, last: lines.at(-1) };
  }

  async bridgeGet(path: string): Promise<{ readonly status: number; readonly text: string }> {
    const answer = await fetch(`${this.bridge.url}${path}`);
    return { status: answer.status, text: await answer.text() };
  }

  /** Below `/api/v1/cluster/`, as the registry's relay asks for olga, or somebody else. */
  async view(path: string, user = "olga"): Promise<{ readonly status: number; readonly text: string }> {
    const headers = { "goldseal-user": user, "goldseal-relay": RELAY_SECRET };
    const answer = await fetch(`${this.bridge.url}/api/v1/cluster/${path}`, { headers });
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

/** @throws Error with all that was printed when it failed */
async function must(running: Promise<RunResult>): Promise<string> {
  const { status, stdout, stderr } = await running;
  if (status !== 0) throw new Error(`goldseal exited ${status}\n${stdout}${stderr}`.trimEnd());
  return stdout;
}

/** What `serve` must know to hand orders and looks on to the bridge. */
function relayTo(bridgePort: number, folder: string): Record<string, string> {
  const secretFile = secretFileIn(folder);
  writeFileSync(secretFile, `${RELAY_SECRET}\n`, { mode: 0o600 });
  return { GOLDSEAL_BRIDGE_URL: `http://127.0.0.1:${bridgePort}`, GOLDSEAL_BRIDGE_SECRET_FILE: secretFile };
}

const secretFileIn = (folder: string): string => join(folder, "relay-secret");

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
