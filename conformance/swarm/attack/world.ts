/** A real registry behind whoever holds its keys, a real bridge, and a real engine with the authorization plug-in on. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { freePort } from "../../harness/port.ts";
import { RegistryClient } from "../../harness/registry-client.ts";
import { freshFolder, type RunningServer, startServer } from "../../harness/server.ts";
import { ecdsa, idOf, type Signer } from "../../notary/tuf-files.ts";
import { BridgeProcess } from "../bridge-process.ts";
import { callEngine, type EngineAnswer, listOf } from "../lab/engine.ts";
import { type Lab, type LabNode, openLab } from "../lab.ts";
import { makeAllowKey, PlugInProcess } from "../plug-in-process.ts";
import { makeKey, type SigningKey, toEnvelope } from "../signing.ts";
import { type Front, openFront } from "./front.ts";
import { type Layer, pushBase } from "./images.ts";
import { Thief } from "./thief.ts";

/** ann and andy are in team qa, bob in team dev, and the stranger is nobody. */
export const SIGNERS = ["ann", "ann2", "andy", "bob", "stranger"] as const;
export type SignerName = (typeof SIGNERS)[number];

const LATER = pathToFileURL(join(import.meta.dirname, "..", "..", "story", "later.mjs"));

export class World {
  readonly folder: string;
  readonly lab: Lab;
  readonly server: RunningServer;
  readonly front: Front;
  readonly thief: Thief;
  /** `198.18.0.1:5443`: what images and GUNs begin with. */
  readonly host: string;
  readonly admin: RegistryClient;
  readonly ann: RegistryClient;
  readonly layer: Layer;
  readonly bridge: BridgeProcess;
  readonly signers = Object.fromEntries(SIGNERS.map((name) => [name, ecdsa()])) as Record<SignerName, Signer>;
  /** Of every collection's owner: the bridge's pin. */
  readonly root: Signer = ecdsa();
  readonly officer: SigningKey = makeKey();
  readonly operator: SigningKey = makeKey();
  /** In the policy's keys, and in a team that may only look. */
  readonly onlooker: SigningKey = makeKey();
  /** What may run: digests that the right people signed. */
  readonly honest = new Set<string>();
  readonly #plugIn: PlugInProcess;
  #policyVersion = 0;
  #policyExpires = "";

  private constructor(parts: Parts) {
    [this.folder, this.lab, this.server, this.front] = [parts.folder, parts.lab, parts.server, parts.front];
    [this.thief, this.host, this.layer] = [parts.thief, parts.host, parts.layer];
    [this.admin, this.ann, this.#plugIn] = [parts.admin, parts.ann, parts.plugIn];
    this.bridge = new BridgeProcess(parts.folder, parts.bridgePort);
  }

  static async open(): Promise<World> {
    const lab = await openLab({ managers: 1, workers: 0 });
    const folder = mkdtempSync(join(tmpdir(), "goldseal-attack-"));
    const plugIn = makePlugIn(folder, lab.node("m1"));
    const [host, port, bridgePort] = [lab.gateway, await freePort(), await freePort()];
    const url = `https://${host}:${port}`;
    const data = freshFolder();
    const env = { GOLDSEAL_LISTEN: `${host}:0`, GOLDSEAL_PUBLIC_URL: url, GOLDSEAL_LOG_LEVEL: "error" };
    const [server] = await Promise.all([startServer({ data, workers: 1, env }), switchOn(lab.node("m1"), plugIn)]);
    const front = await openFront(server, { host, port });
    const at = { url, caPath: server.caPath };
    lab.trustRegistry(`${host}:${port}`, server.caPath);
    const admin = new RegistryClient(at, server.admin);
    const ann = { name: "ann", password: "ann-secret-1" };
    await must(admin, "PUT", "/api/v1/users/ann", { password: ann.password });
    const client = new RegistryClient(at, ann);
    const layer = await pushBase(client);
    const thief = await Thief.open(data);
    const parts = { folder, lab, server, front, thief, host: `${host}:${port}`, admin, ann: client, layer };
    const world = new World({ ...parts, plugIn, bridgePort });
    await world.setPolicy();
    await world.startBridge();
    return world;
  }

  async close(): Promise<void> {
    await this.bridge.stop();
    await this.thief.close();
    for (const client of [this.admin, this.ann]) client.close();
    await this.front.close();
    await this.server.stop();
    await this.lab.close();
    await this.#plugIn.stop();
    for (const folder of [this.folder, this.server.data])
      rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  }

  get engine(): string {
    return this.lab.node("m1").socketPath;
  }

  /** As anybody who reaches the engine's socket. */
  call(method: string, path: string, body?: object): Promise<EngineAnswer> {
    return callEngine(this.engine, method, path, body);
  }

  /** Changes made to the document by its officer, or somebody else's. */
  policy(change: (document: Document) => void = () => undefined, by = this.officer): string {
    const require = (team: string, k: number) => [{ team, k }];
    const common = {
      images: ["ann/*", "else/*"],
      maxTimestampAge: "48h",
      operators: [this.operator.keyId, this.onlooker.keyId],
    };
    const rules = { ...common, specLimits: { bindMounts: ["/srv/data"] }, rights: { ops: "deploy", guests: "view" } };
    const people = SIGNERS.filter((name) => name !== "stranger").map((name) => {
      const { publicBytes } = this.signers[name];
      return [idOf(this.signers[name]), { spki: publicBytes.toString("base64"), user: name.replace("2", "") }] as const;
    });
    const others = { olga: this.operator, otto: this.officer, gus: this.onlooker };
    const document: Document = {
      version: this.#policyVersion,
      expires: this.#policyExpires,
      environments: {
        prod: { ...rules, require: require("qa", 1) },
        two: { ...rules, require: require("qa", 2) },
      },
      teams: { qa: ["ann", "andy"], dev: ["bob"], ops: ["olga"], guests: ["gus"] },
      keys: Object.fromEntries([
        ...people,
        ...Object.entries(others).map(([user, { keyId, spki }]) => [keyId, { spki, user }] as const),
      ]),
    };
    change(document);
    return toEnvelope("goldseal.policy/v1", document, [by]);
  }

  /** The next one, handed in as its officer does. */
  async setPolicy(): Promise<void> {
    this.#policyVersion++;
    this.#policyExpires = new Date(Date.now() + 86_400_000).toISOString();
    await must(this.admin, "PUT", "/api/v1/policies/bridge", JSON.parse(this.policy()));
  }

  get policyVersion(): number {
    return this.#policyVersion;
  }

  get policyExpires(): string {
    return this.#policyExpires;
  }

  /** @param laterSeconds how far its clock is ahead */
  async startBridge(laterSeconds = 0): Promise<void> {
    const password = join(this.folder, "password");
    writeFileSync(password, `${this.server.admin.password}\n`, { mode: 0o600 });
    const config = {
      ...{ registry: `https://${this.host}`, ca: this.server.caPath, engine: this.lab.node("m1").socket },
      ...{
        account: { name: this.server.admin.name, passwordFile: password },
        allowKey: join(this.folder, "allow.key"),
      },
      policyKeys: { keys: [this.officer.spki], threshold: 1 },
      pins: [{ gun: `${this.host}/ann/*`, rootKeys: [idOf(this.root)] }],
    };
    const clock = { NODE_OPTIONS: `--import=${LATER}`, LATER_SECONDS: String(laterSeconds) };
    await this.bridge.start(config, laterSeconds === 0 ? {} : clock);
  }

  /** Images of services and of containers, ended ones too, that nobody let run. */
  async findStrangers(): Promise<string[]> {
    const services = await listOf(this.engine, "/services");
    const containers = await listOf(this.engine, "/containers/json?all=1");
    const images = [...services.map(imageOf), ...containers.map(({ Image }) => String(Image))];
    return images.filter((image) => !this.honest.has(/@(sha256:[0-9a-f]{64})$/.exec(image)?.[1] ?? ""));
  }
}

interface Parts
  extends Pick<World, "folder" | "lab" | "server" | "front" | "thief" | "host" | "admin" | "ann" | "layer"> {
  readonly plugIn: PlugInProcess;
  readonly bridgePort: number;
}

/** The policy document, of which a case changes what it likes. */
// biome-ignore lint/suspicious/noExplicitAny: a case reaches wherever it wants
export type Document = Record<string, any>;

function makePlugIn(folder: string, node: LabNode): PlugInProcess {
  return new PlugInProcess(join(node.plugins, "goldseal.sock"), makeAllowKey(folder).shared);
}

/** Only when the Swarm is there: the plug-in lets nobody make one. */
async function switchOn(node: LabNode, plugIn: PlugInProcess): Promise<void> {
  await Promise.all([node.stop(), plugIn.start()]);
  await node.start("--authorization-plugin=goldseal");
}

export function imageOf(service: Readonly<Record<string, unknown>>): string {
  const { TaskTemplate } = service.Spec as { TaskTemplate: { ContainerSpec: { Image: string } } };
  return TaskTemplate.ContainerSpec.Image;
}

export async function must(client: RegistryClient, method: string, path: string, body: object): Promise<void> {
  const headers = { "content-type": "application/json" };
  const answer = await client.ask(path, { method, headers, body: Buffer.from(JSON.stringify(body)) });
  if (answer.status >= 300) throw new Error(`${method} ${path} was answered ${answer.status}: ${answer.body}`);
}
