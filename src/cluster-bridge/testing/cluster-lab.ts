/** A bridge that listens, between a simulated registry and the engines of a simulated Swarm. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach } from "vitest";
import { type RunningBridge, readBridgeConfig, startBridge } from "../../bridge.ts";
import { createLog } from "../../http/log.ts";
import { canonicalKeyId } from "../../notary/tuf/key.ts";
import { at, type Loose } from "../../notary/tuf/testing/loose.ts";
import { alice, bob, spkiText } from "../../trust/testing/signers.ts";
import type { OrderAction } from "../orders.ts";
import { type BridgeLab, deputy, officer, useBridgeLab } from "./bridge-lab.ts";
import { ClusterSimulator } from "./cluster-simulator.ts";
import { signOrder } from "./order-signing.ts";

export const SECRET = "a-secret-of-the-relay-of-32-bytes-or-more";

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  readonly body: Loose;
}

export class ClusterLab {
  readonly lab: BridgeLab;
  readonly cluster: ClusterSimulator;
  /** What the bridge logged. */
  readonly logged: string[] = [];
  /** What its file says beside the necessary. */
  config: Loose = {};
  #bridge: RunningBridge | undefined;

  constructor(lab: BridgeLab, cluster: ClusterSimulator) {
    [this.lab, this.cluster] = [lab, cluster];
    lab.setPolicy(twoEnvironments);
  }

  /** alice and bob may operate in `prod`, bob in `dev` too, carol nowhere. */
  async start(): Promise<void> {
    const { folder, registry, pins } = this.lab;
    await writeFile(join(folder, "ca.crt"), registry.ca);
    await writeFile(join(folder, "secret"), `${SECRET}\n`);
    const engines = this.cluster.nodes.map(({ name, socket }) => [name, `unix://${socket}`]);
    const file = {
      ...{ registry: `https://${registry.authority}`, ca: "ca.crt", store: ".", listen: "127.0.0.1:0" },
      ...{ engine: engines[0]?.[1], engines: Object.fromEntries(engines), relay: { secretFile: "secret" } },
      policyKeys: { threshold: 2, keys: [officer, deputy].map(spkiText) },
      pins: pins.map(({ pattern, ...pin }) => ({ ...pin, gun: `${registry.authority}/${pattern}` })),
      ...this.config,
    };
    await writeFile(join(folder, "bridge.yaml"), JSON.stringify(file));
    const log = createLog({ write: (line) => this.logged.push(line) });
    this.#bridge = await startBridge(await readBridgeConfig(join(folder, "bridge.yaml")), {
      ...{ log, now: () => this.lab.now },
    });
  }

  /** It is today, for the bridge too: a day for a policy that follows the first one. */
  beginToday(): void {
    this.lab.now = new Date();
    const expires = new Date(this.lab.now.getTime() + 86_400_000).toISOString();
    this.lab.setPolicy((document) => {
      twoEnvironments(document);
      Object.assign(document, { version: 8, expires });
    });
  }

  async stop(): Promise<void> {
    await this.#bridge?.stop();
    this.#bridge = undefined;
  }

  get url(): string {
    return this.#bridge?.url ?? "";
  }

  /** Below `/api/v1/cluster/`, as the registry's relay asks. */
  async get(path: string, user = "alice", headers: Record<string, string> = {}): Promise<Answer> {
    return this.#ask(path, { headers: { "goldseal-user": user, "goldseal-relay": SECRET, ...headers } });
  }

  raw(path: string, init: RequestInit = {}): Promise<Response> {
    return fetch(`${this.#bridge?.url}/api/v1/cluster/${path}`, init);
  }

  async #ask(path: string, init: RequestInit): Promise<Answer> {
    const answer = await this.raw(path, init);
    const text = await answer.text();
    const isJson = /[/+]json$/.test(answer.headers.get("content-type") ?? "");
    return { status: answer.status, headers: answer.headers, text, body: isJson ? JSON.parse(text) : undefined };
  }

  /** The problem, or the outcome. */
  async order(action: OrderAction, content: object, { by = alice, environment = "prod" } = {}): Promise<Loose> {
    const body = Buffer.from(JSON.stringify(content));
    const order = await signOrder({ environment, action, spec: body }, { by, now: this.lab.now });
    const path = `orders?environment=${environment}&action=${action}`;
    const { text } = await this.#ask(path, { method: "POST", headers: { "goldseal-order": order }, body });
    const last = JSON.parse(text.trimEnd().split("\n").at(-1) ?? "");
    return last.outcome ?? last;
  }
}

function twoEnvironments(document: Loose): void {
  const prod = at(document, ["environments", "prod"]) as Loose;
  const operators = [alice, bob].map(({ key }) => canonicalKeyId(key));
  document.environments = {
    prod: { ...prod, operators, rights: { qa: "operate", ops: "operate" } },
    dev: { ...prod, operators, rights: { ops: "operate" } },
  };
}

/** For every test of a file: a bridge and engines `m1`, `w1`, `w2`, or those of other names. */
export function useClusterLab(names: readonly string[] = ["m1", "w1", "w2"]): () => ClusterLab {
  const bridgeLab = useBridgeLab();
  const cluster = new ClusterSimulator();
  let lab: ClusterLab;
  beforeAll(async () => {
    for (const name of names) await cluster.addNode(name, name.startsWith("m") ? "manager" : "worker");
  });
  afterAll(() => cluster.stop());
  beforeEach(async () => {
    cluster.reset();
    lab = new ClusterLab(bridgeLab(), cluster);
    await lab.start();
  });
  afterEach(() => lab.stop());
  return () => lab;
}
