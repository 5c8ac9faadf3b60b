/** A Swarm of several engines, a registry in its network, images that run, somebody who signs them, and the bridge between. */
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ANN } from "../clients/world.ts";
import { freePort } from "../harness/port.ts";
import type { Credentials } from "../harness/registry-client.ts";
import { freshFolder, type RunningServer, startServer } from "../harness/server.ts";
import { getTool, mustRun, type RunResult } from "../harness/tools.ts";
import { BridgeProcess } from "./bridge-process.ts";
import { type Lab, type LabNode, type LabOptions, openLab } from "./lab.ts";
import { makeKey, type OrderOptions, type SigningKey } from "./signing.ts";
import { type Answer, Door, relayTo, secretFileIn, type Told } from "./world/door.ts";
import { BRIDGE, OLGA, People } from "./world/people.ts";
import { PolicyBook } from "./world/policy-book.ts";

export type { Answer } from "./world/door.ts";

export class World {
  readonly folder: string;
  readonly lab: Lab;
  readonly bridge: BridgeProcess;
  readonly officer: SigningKey;
  readonly operator: SigningKey;
  /** The bridge's private key for notes to the managers' plug-in, from its next start on: a PEM file. */
  allowKey: string | undefined;
  /** The manager that a bridge asks first, from its next start on. */
  asked = "m1";
  readonly #people: People;
  readonly #policies: PolicyBook;
  readonly #door: Door;
  readonly #data: string;
  #server: RunningServer;
  #pinned: readonly string[] = ["ann/web"];
  /** As their roots were when they were pinned. */
  readonly #pins = new Map<string, object>();

  private constructor(parts: { folder: string; lab: Lab; server: RunningServer; data: string; bridgePort: number }) {
    const { folder, lab, server, data, bridgePort } = parts;
    [this.folder, this.lab, this.#server, this.#data] = [folder, lab, server, data];
    this.bridge = new BridgeProcess(folder, bridgePort);
    [this.officer, this.operator] = [makeKey(), makeKey()];
    this.#people = new People(() => this.#server, folder);
    this.#policies = new PolicyBook({ officer: this.officer, operator: this.operator });
    this.#door = new Door(this.bridge.url, this.operator);
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
      await world.#people.arrive(lab.manager());
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

  dockerOn(node: LabNode, ...args: readonly string[]): Promise<string> {
    return this.#people.docker(node, args);
  }

  /** At another registry (`host:port`), beside ann's own. */
  signIn(node: LabNode, who: Credentials, host: string): Promise<void> {
    return this.#people.signIn(node, who, host);
  }

  /** Our command line as ann, who signs. What it printed. */
  goldseal(...args: readonly string[]): Promise<string> {
    return this.#people.goldseal(ANN, args);
  }

  /** The same, whatever came of it. */
  tryGoldseal(...args: readonly string[]): Promise<RunResult> {
    return this.#people.try(ANN, args);
  }

  /** Our command line as olga, who deploys: her order goes through the registry to the bridge. */
  operate(environment: string, ...args: readonly string[]): Promise<string> {
    const file = join(this.folder, "olga.pem");
    writeFileSync(file, this.operator.privateKey.export({ format: "pem", type: "pkcs8" }), { mode: 0o600 });
    return this.#people.goldseal(OLGA, [...args, "--environment", environment, "--key", file]);
  }

  /** An organization of ann's, where everything is private; the bridge's account reads it all. */
  found(org: string): Promise<void> {
    return this.#people.found(org);
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
    const { keys, roles } = await this.#delegations();
    const [id = ""] = roles.find(({ name }) => name === "targets/ann")?.keyids ?? [];
    const body = this.#policies.next(keys[id]?.keyval.public ?? "", specLimits, environments);
    await this.api("PUT", "/api/v1/policies/bridge", body);
  }

  /** As admin. */
  api(method: string, path: string, body?: string): Promise<string> {
    return this.#people.api(method, path, body);
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
    const { url, caPath } = this.server;
    const passwordFile = join(this.folder, "password");
    writeFileSync(passwordFile, `${BRIDGE.password}\n`, { mode: 0o600 });
    const secretFile = secretFileIn(this.folder);
    const endpoint = ({ tls, socket }: LabNode) => tls ?? socket;
    const engines = Object.fromEntries(this.lab.nodes.map((node) => [node.name, endpoint(node)]));
    const config = {
      ...{ registry: url, ca: caPath, engine: endpoint(this.lab.node(this.asked)), engines },
      ...(this.allowKey === undefined ? {} : { allowKey: this.allowKey }),
      ...{ account: { name: BRIDGE.name, passwordFile }, relay: { secretFile } },
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
    return this.#door.makeOrder(spec, options);
  }

  /** What the bridge answered: the problem, or the last line. */
  order(spec: string, order: string, environment = "prod"): Promise<Answer> {
    return this.#door.post(`/api/v1/deployments?environment=${environment}`, spec, order);
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
    return this.#door.post(path, text, this.makeOrder(text, { action, environment }));
  }

  bridgeGet(path: string): Promise<Told> {
    return this.#door.get(path);
  }

  /** Below `/api/v1/cluster/`, as the registry's relay asks for olga, or somebody else. */
  view(path: string, user = "olga"): Promise<Told> {
    return this.#door.view(path, user);
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

interface Delegations {
  readonly keys: Readonly<Record<string, { readonly keyval: { readonly public: string } }>>;
  readonly roles: readonly { readonly name: string; readonly keyids: readonly string[] }[];
}
