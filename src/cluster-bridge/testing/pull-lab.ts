/** What keeps the secrets that nodes pull with, between a real registry and one engine, on a clock that a test moves. */
// First: see bridge-lab.ts.
import "node:https";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, expect } from "vitest";
import { createLog } from "../../http/log.ts";
import { pushParts, putManifest } from "../../testing/images.ts";
import { openTestApp, PASSWORD, type TestApp } from "../../testing/open-test-app.ts";
import { EngineClient } from "../engine-client.ts";
import { Journal } from "../journal.ts";
import { PullKeeper } from "../pull-keeper.ts";
import { PullSecrets } from "../pull-secrets.ts";
import { PullStates } from "../pull-states.ts";
import { RegistryClient } from "../registry-client.ts";
import { Swarm } from "../swarm.ts";
import { EngineSimulator, type EngineSpec } from "./engine-simulator.ts";
import { startTlsFront, type TlsFront } from "./tls-front.ts";
import { makePair } from "./tls-pair.ts";

const HOUR_MS = 3_600_000;
export const KEY = { environment: "prod", service: "web" };

export interface Opening {
  readonly as?: string | undefined;
  readonly password?: string;
}

export class PullLab {
  readonly app: TestApp;
  readonly engine: EngineSimulator;
  readonly authority: string;
  /** What the bridges log. */
  readonly lines: string[] = [];
  /** Their folder. */
  store = "";
  now = new Date();
  readonly #front: TlsFront;
  readonly #ca: string;
  readonly #digest: string;
  readonly #closing: (() => unknown)[] = [];

  private constructor(parts: {
    readonly app: TestApp;
    readonly engine: EngineSimulator;
    readonly front: TlsFront;
    readonly ca: string;
    readonly digest: string;
  }) {
    [this.app, this.engine, this.#front] = [parts.app, parts.engine, parts.front];
    [this.#ca, this.#digest] = [parts.ca, parts.digest];
    this.authority = authorityOf(parts.front);
  }

  static async open(): Promise<PullLab> {
    const pair = makePair("localhost");
    const front = await startTlsFront(pair);
    const env = { GOLDSEAL_PUBLIC_URL: `https://${authorityOf(front)}`, GOLDSEAL_BRIDGE_ACCOUNT: "alice" };
    const [app, engine] = await Promise.all([openTestApp(env), EngineSimulator.start()]);
    front.target = app.port;
    return new PullLab({ app, engine, front, ca: pair.cert, digest: await pushBoth(app) });
  }

  async close(): Promise<void> {
    await this.app[Symbol.asyncDispose]();
    await this.engine.stop();
    await this.#front.close();
  }

  /** As if nothing had happened. */
  async begin(): Promise<void> {
    this.engine.reset();
    this.engine.pull = (reference, auth) => this.#pull(reference, auth);
    this.store = await mkdtemp(join(tmpdir(), "goldseal-pulls-"));
    this.now = new Date();
    this.lines.length = 0;
  }

  async end(): Promise<void> {
    await this.closeBridges();
    await rm(this.store, { recursive: true });
  }

  /** A bridge's, as it starts. */
  async openBridge({ as = "alice", password = PASSWORD }: Opening = {}) {
    const account = as === "nobody" ? undefined : { name: as, password };
    const origin = `https://${this.authority}`;
    const registry = new RegistryClient({ origin, ca: this.#ca, timeoutMs: 10_000, account });
    const now = () => this.now;
    const journal = await Journal.open(this.store, now);
    const client = await EngineClient.open({ kind: "unix", socket: this.engine.socket });
    const swarm = new Swarm({ manager: () => client });
    const states = await PullStates.open(this.store);
    const announced: string[] = [];
    const keeper = new PullKeeper({
      ...{ swarm, journal, states, now },
      log: createLog({ write: (line) => this.lines.push(line) }),
      secrets: new PullSecrets({ registry, authority: this.authority, now }),
      announce: async ({ pinned }) => void announced.push(pinned),
    });
    this.#closing.push(
      () => registry.close(),
      () => journal.close(),
    );
    return { keeper, journal, swarm, states, announced };
  }

  async closeBridges(): Promise<void> {
    for (const close of this.#closing.splice(0)) await close();
  }

  pinned(repository = "alice/web"): string {
    return `${this.authority}/${repository}@${this.#digest}`;
  }

  /** As the deployer does it. Resolves to what went along to the engine. */
  async deploy({ keeper, journal, swarm }: Opened, id = "one", pinned = this.pinned()): Promise<string | undefined> {
    const definition = definitionOf(id, pinned);
    const auth = await keeper.prepare({ ...KEY, pinned });
    await journal.append({ event: "sent", id, definition });
    const body = Buffer.from(JSON.stringify(definition));
    const held = await swarm.findService("web");
    await (held === undefined ? swarm.create(body, auth) : swarm.update(held, body, auth));
    await keeper.applied(KEY);
    return auth;
  }

  /** What went along with each update of a service. */
  updates(): (string | undefined)[] {
    return this.engine.asked.flatMap((asked, index) => (/\/update$/.test(asked) ? [this.engine.auths[index]] : []));
  }

  /** Whether a node could pull with it. */
  async works(auth: string | undefined): Promise<boolean> {
    return (await this.engine.pull(this.pinned(), auth)).status === 200;
  }

  later(hours: number): void {
    this.now = new Date(this.now.getTime() + hours * HOUR_MS);
  }

  /** Nothing answers where the registry was, or it does again. */
  setRegistry(state: "away" | "back"): void {
    this.#front.target = state === "away" ? 1 : this.app.port;
  }

  /** As dockerd does: it asks the registry with what it was given. */
  async #pull(reference: string, auth: string | undefined) {
    const [, repository, wanted = ""] = /^[^/]+\/([^@]+)@(.+)$/.exec(reference) ?? [];
    const { username, password } = auth === undefined ? {} : JSON.parse(Buffer.from(auth, "base64url").toString());
    const basic = Buffer.from(`${username}:${password}`).toString("base64");
    const headers = auth === undefined ? {} : { authorization: `Basic ${basic}` };
    const answer = await this.app.ask("GET", `/v2/${repository}/manifests/${wanted}`, { headers });
    if (answer.status === 200) return { status: 200, digest: wanted } as const;
    return { status: answer.status === 404 ? 404 : 401, message: `the registry says ${answer.code}` } as const;
  }
}
type Opened = Awaited<ReturnType<PullLab["openBridge"]>>;

export function usePullLab(): () => PullLab {
  let lab: PullLab;
  beforeAll(async () => {
    lab = await PullLab.open();
  });
  afterAll(async () => {
    expect(lab.app.errors()).toEqual([]);
    await lab.close();
  });
  beforeEach(() => lab.begin());
  afterEach(() => lab.end());
  return () => lab;
}

const authorityOf = ({ port }: TlsFront): string => `localhost:${port}`;

/** The same image in a repository of alice's own, and in one that anybody may pull from. Resolves to its digest. */
async function pushBoth(app: TestApp): Promise<string> {
  let digest = "";
  for (const repository of ["alice/web", "alice/open"]) {
    const place = { app, as: "alice", repository };
    const answer = await putManifest(place, "1", (await pushParts(place)).manifest);
    digest = String(answer.headers["docker-content-digest"]);
  }
  const body = JSON.stringify({ visibility: "public" });
  expect((await app.ask("PUT", "/api/v1/orgs/alice/repositories/open", { as: "alice", body })).status).toBe(200);
  return digest;
}

const definitionOf = (id: string, image: string): EngineSpec => ({
  Name: "web",
  Labels: { "goldseal.environment": "prod", "goldseal.intent": id },
  TaskTemplate: { ContainerSpec: { Image: image } },
  Mode: { Replicated: { Replicas: 2 } },
});
