// First: see testing/bridge-lab.ts.
import "node:https";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { createLog } from "../http/log.ts";
import { pushParts, putManifest } from "../testing/images.ts";
import { openTestApp, PASSWORD, type TestApp } from "../testing/open-test-app.ts";
import { EngineClient } from "./engine-client.ts";
import { Journal } from "./journal.ts";
import { PullKeeper } from "./pull-keeper.ts";
import { PullSecrets } from "./pull-secrets.ts";
import { PullStates } from "./pull-states.ts";
import { RegistryClient } from "./registry-client.ts";
import { Swarm } from "./swarm.ts";
import { EngineSimulator, type EngineSpec } from "./testing/engine-simulator.ts";
import { startTlsFront, type TlsFront } from "./testing/tls-front.ts";
import { makePair } from "./testing/tls-pair.ts";

const pair = makePair("localhost");
const HOUR_MS = 3_600_000;
const KEY = { environment: "prod", service: "web" };
let app: TestApp;
let front: TlsFront;
let engine: EngineSimulator;
let authority: string;
let digest: string;
let store: string;
let now: Date;
const lines: string[] = [];
const log = createLog({ write: (line) => lines.push(line) });

beforeAll(async () => {
  front = await startTlsFront(pair);
  authority = `localhost:${front.port}`;
  const env = { GOLDSEAL_PUBLIC_URL: `https://${authority}`, GOLDSEAL_BRIDGE_ACCOUNT: "alice" };
  [app, engine] = await Promise.all([openTestApp(env), EngineSimulator.start()]);
  front.target = app.port;
  for (const repository of ["alice/web", "alice/open"]) {
    const place = { app, as: "alice", repository };
    const answer = await putManifest(place, "1", (await pushParts(place)).manifest);
    digest = String(answer.headers["docker-content-digest"]);
  }
  const body = JSON.stringify({ visibility: "public" });
  expect((await app.ask("PUT", "/api/v1/orgs/alice/repositories/open", { as: "alice", body })).status).toBe(200);
});
afterAll(async () => {
  expect(app.errors()).toEqual([]);
  await app[Symbol.asyncDispose]();
  await engine.stop();
  await front.close();
});
beforeEach(async () => {
  engine.reset();
  // As dockerd does: it asks the registry with what it was given.
  engine.pull = async (reference, auth) => {
    const [, repository, wanted] = /^[^/]+\/([^@]+)@(.+)$/.exec(reference) ?? [];
    const { username, password } = auth === undefined ? {} : JSON.parse(Buffer.from(auth, "base64url").toString());
    const basic = Buffer.from(`${username}:${password}`).toString("base64");
    const headers = auth === undefined ? {} : { authorization: `Basic ${basic}` };
    const answer = await app.ask("GET", `/v2/${repository}/manifests/${wanted}`, { headers });
    if (answer.status === 200) return { status: 200, digest: wanted ?? "" };
    return { status: answer.status === 404 ? 404 : 401, message: `the registry says ${answer.code}` };
  };
  store = await mkdtemp(join(tmpdir(), "goldseal-pulls-"));
  now = new Date();
  lines.length = 0;
});
const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
  await rm(store, { recursive: true });
});

interface Opening {
  readonly as?: string | undefined;
  readonly password?: string;
}

/** A bridge's, as it starts. */
async function open({ as = "alice", password = PASSWORD }: Opening = {}) {
  const account = as === "nobody" ? undefined : { name: as, password };
  const registry = new RegistryClient({ origin: `https://${authority}`, ca: pair.cert, timeoutMs: 10_000, account });
  const journal = await Journal.open(store, () => now);
  const client = await EngineClient.open({ kind: "unix", socket: engine.socket });
  const swarm = new Swarm({ manager: () => client });
  const states = await PullStates.open(store);
  const announced: string[] = [];
  const keeper = new PullKeeper({
    ...{ swarm, journal, states, log, now: () => now },
    secrets: new PullSecrets({ registry, authority, now: () => now }),
    announce: async ({ pinned }) => void announced.push(pinned),
  });
  closing.push(
    () => registry.close(),
    () => journal.close(),
  );
  return { keeper, journal, swarm, states, announced };
}
type Opened = Awaited<ReturnType<typeof open>>;

const pinnedOf = (repository = "alice/web"): string => `${authority}/${repository}@${digest}`;
const definitionOf = (id: string, image = pinnedOf()): EngineSpec => ({
  Name: "web",
  Labels: { "goldseal.environment": "prod", "goldseal.intent": id },
  TaskTemplate: { ContainerSpec: { Image: image } },
  Mode: { Replicated: { Replicas: 2 } },
});

/** As the deployer does it. */
async function deploy(
  { keeper, journal, swarm }: Opened,
  id = "one",
  pinned = pinnedOf(),
): Promise<string | undefined> {
  const definition = definitionOf(id, pinned);
  const auth = await keeper.prepare({ ...KEY, pinned });
  await journal.append({ event: "sent", id, definition });
  const body = Buffer.from(JSON.stringify(definition));
  const held = await swarm.findService("web");
  await (held === undefined ? swarm.create(body, auth) : swarm.update(held, body, auth));
  await keeper.applied(KEY);
  return auth;
}
const updates = (): (string | undefined)[] =>
  engine.asked.flatMap((asked, index) => (/\/update$/.test(asked) ? [engine.auths[index]] : []));
const passwordOf = (auth = ""): string => JSON.parse(Buffer.from(auth, "base64url").toString()).password;
const works = async (auth: string | undefined): Promise<boolean> =>
  (await engine.pull(pinnedOf(), auth)).status === 200;
const later = (hours: number): void => {
  now = new Date(now.getTime() + hours * HOUR_MS);
};

describe("before a deployment", () => {
  it("the bridge gets a secret for the service, asks for the image with it, and sends it along", async () => {
    const bridge = await open();

    const auth = await deploy(bridge);

    const sent = JSON.parse(Buffer.from(auth ?? "", "base64url").toString());
    expect(sent).toEqual({
      username: expect.stringMatching(/^alice\+pull-/),
      password: expect.stringMatching(/^gsb_/),
      serveraddress: authority,
    });
    // What Go's URL encoding reads.
    expect(auth).toMatch(/^[A-Za-z0-9_-]+={0,2}$/);
    expect((auth ?? "").length % 4).toBe(0);
    expect(engine.asked).toEqual([`GET /distribution/${pinnedOf()}/json`, "GET /services", "POST /services/create"]);
    expect(engine.auths).toEqual([auth, undefined, auth]);
    expect(bridge.announced).toEqual([pinnedOf()]);
    expect(bridge.states.all()).toMatchObject([{ ...KEY, username: sent.username, isApplied: true }]);
  });

  it("the secret is written down nowhere", async () => {
    const bridge = await open();
    const auth = await deploy(bridge);
    later(13);
    await bridge.keeper.tend(KEY);

    const names = await readdir(store, { recursive: true, withFileTypes: true });
    const files = names.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
    const texts = [...lines, ...(await Promise.all(files.map((file) => readFile(file, "utf8"))))].join("\n");

    expect(files.length).toBeGreaterThan(1);
    for (const secret of [passwordOf(auth), passwordOf(updates()[0]), auth ?? "", updates()[0] ?? ""])
      expect(texts).not.toContain(secret);
  });

  it("the same secret goes along while it is young, another one after half of its life or for another repository", async () => {
    const bridge = await open();
    const [first, second] = [await deploy(bridge), await deploy(bridge, "two")];
    const other = await deploy(bridge, "three", pinnedOf("alice/open"));
    later(13);
    const old = await deploy(bridge, "four", pinnedOf("alice/open"));

    expect(second).toBe(first);
    expect(new Set([first, other, old]).size).toBe(3);
  });

  it("it is refused, with the registry's words, where the cluster cannot pull", async () => {
    const bridge = await open();
    engine.pull = async () => ({ status: 401, message: "unauthorized: no such robot" });

    await expect(deploy(bridge)).rejects.toMatchObject({
      code: "REGISTRY",
      message: `the cluster cannot pull ${pinnedOf()}: unauthorized: no such robot (401)`,
    });
    engine.pull = async () => ({ status: 200, digest: `sha256:${"b".repeat(64)}` });
    await expect(deploy(bridge)).rejects.toMatchObject({ code: "REGISTRY", message: /would pull sha256:bbb.* as / });
    expect(engine.services.size).toBe(0);
  });

  it.each<[string, Opening, RegExp]>([
    ["no account", { as: "nobody" }, /has no account/],
    ["an account that is not the bridge's", { as: "bob" }, /answered 403 \(signed in as bob\): bob is not the account/],
    ["a password that is wrong", { password: "another one" }, /answered 401/],
  ])("with %s it goes on without a secret only where anybody can pull", async (_what, opening, why) => {
    const bridge = await open(opening);

    const auth = await deploy(bridge, "one", pinnedOf("alice/open"));
    const closed = deploy(bridge, "two", pinnedOf("alice/web"));

    await expect(closed).rejects.toMatchObject({ code: "REGISTRY", message: expect.stringMatching(why) });
    expect([auth, bridge.states.all(), bridge.keeper.findFaults()]).toEqual([undefined, [], []]);
    expect(engine.images).toEqual({ web: pinnedOf("alice/open") });
  });
});

describe("a service that runs", () => {
  it("is sent once more, unchanged, with another secret at half of the life of its own, and not before", async () => {
    const bridge = await open();
    const first = await deploy(bridge);
    later(11.9);
    await bridge.keeper.tend(KEY);
    expect(updates()).toEqual([]);
    const before = engine.find("web");

    later(0.2);
    await bridge.keeper.tend(KEY);

    expect(updates()).toHaveLength(1);
    const [second] = updates();
    expect(second).not.toBe(first);
    expect(JSON.stringify(engine.find("web")?.Spec)).toBe(JSON.stringify(before?.Spec));
    expect([await works(first), await works(second)]).toEqual([true, true]);
    expect(bridge.journal.records.at(-1)).toMatchObject({ event: "pull-secret-renewed", ...KEY });
    await bridge.keeper.tend(KEY);
    expect(updates()).toHaveLength(1);
    later(12.1);
    await bridge.keeper.tend(KEY);
    expect([await works(first), await works(second), await works(updates()[1])]).toEqual([false, true, true]);
  });

  it("is renewed by a bridge that was started since, too", async () => {
    await deploy(await open());
    for (const close of closing.splice(0)) await close();
    const bridge = await open();
    expect(bridge.keeper.due()).toMatchObject([KEY]);
    later(13);

    await bridge.keeper.tend(KEY);

    expect(updates()).toHaveLength(1);
    expect(bridge.keeper.findFaults()).toEqual([]);
  });

  it("is sent once more at once where the engine may not have been told", async () => {
    const bridge = await open();
    await deploy(bridge);
    await bridge.keeper.prepare({ ...KEY, pinned: pinnedOf() });

    await bridge.keeper.tend(KEY);

    expect(updates()).toHaveLength(1);
    expect(bridge.states.find(KEY)?.isApplied).toBe(true);
  });

  it.each(["updating", "paused", "rollback_started", "rollback_paused"])(
    "is left alone while its update is %s, and that is said before the secret ends",
    async (State) => {
      const bridge = await open();
      await deploy(bridge);
      const [[id, service] = []] = engine.services;
      engine.services.set(id ?? "", { ...service, UpdateStatus: { State, Message: "" } } as never);

      later(13);
      await bridge.keeper.tend(KEY);
      expect([updates(), bridge.keeper.findFaults()]).toEqual([[], []]);
      later(9.5);
      await bridge.keeper.tend(KEY);

      expect(updates()).toEqual([]);
      expect(bridge.keeper.findFaults()).toEqual([
        expect.stringMatching(`^prod/web: the secret .* is not renewed: its update is ${State}, and the secret ends `),
      ]);
    },
  );

  it("is not sent in the bridge's name when somebody else changed it, which is an alarm", async () => {
    const bridge = await open();
    await deploy(bridge);
    const held = engine.find("web");
    Object.assign(held?.Spec.TaskTemplate.ContainerSpec ?? {}, { Args: ["evil"] });
    later(13);

    await bridge.keeper.tend(KEY);

    expect(updates()).toEqual([]);
    expect(bridge.keeper.findFaults()).toEqual([
      "prod/web: the secret that nodes pull with is not renewed: the service is not as the bridge made it: TaskTemplate.ContainerSpec.Args",
    ]);
    expect(bridge.keeper.count()).toEqual(new Map(Object.entries({ held: 1, failing: 1, expired: 0 })));
  });

  it("that cannot be renewed is tried again, with an alarm until it was", async () => {
    const bridge = await open();
    await deploy(bridge);
    later(13);
    front.target = 1;
    await bridge.keeper.tend(KEY);
    await bridge.keeper.tend(KEY);
    const faults = bridge.keeper.findFaults();
    front.target = app.port;

    await bridge.keeper.tend(KEY);

    expect(faults).toEqual([
      expect.stringMatching(/^prod\/web: the secret that nodes pull with is not renewed: https:/),
    ]);
    expect(lines.filter((line) => line.includes("bridge.pull-secret"))).toHaveLength(1);
    expect([updates().length, bridge.keeper.findFaults()]).toEqual([1, []]);
  });

  it("is not renewed twice at the registry where the engine refuses the update", async () => {
    const bridge = await open();
    await deploy(bridge);
    later(13);
    engine.attack = (method, _path, response) => {
      if (method !== "POST") return false;
      response.writeHead(500, { "content-type": "application/json" }).end('{"message":"update out of sequence"}');
      return true;
    };
    for (let round = 0; round < 3; round++) await bridge.keeper.tend(KEY);
    engine.attack = () => false;
    const tried = updates();

    await bridge.keeper.tend(KEY);

    expect(new Set(updates()).size).toBe(1);
    expect([tried.length, updates().length, bridge.keeper.findFaults()]).toEqual([3, 4, []]);
  });

  it("that the engine changes on the way is an alarm", async () => {
    const bridge = await open();
    await deploy(bridge);
    later(13);
    engine.change = (spec) => Object.assign(spec.TaskTemplate, { ForceUpdate: 1 });

    await bridge.keeper.tend(KEY);

    expect(bridge.keeper.findFaults()).toEqual([expect.stringContaining("another task template")]);
  });
});

describe("a service that is gone", () => {
  it("has its secrets taken back", async () => {
    const bridge = await open();
    const auth = await deploy(bridge);
    engine.services.clear();

    await bridge.keeper.tend(KEY);

    expect([await works(auth), bridge.keeper.due()]).toEqual([false, []]);
    expect(bridge.journal.records.at(-1)).toMatchObject({ event: "pull-secret-revoked", ...KEY });
    expect((await open()).states.all()).toEqual([]);
  });

  it("has them taken back later when the registry is away", async () => {
    const bridge = await open();
    const auth = await deploy(bridge);
    engine.services.clear();
    front.target = 1;
    await bridge.keeper.tend(KEY);
    expect([bridge.keeper.findFaults().length, bridge.keeper.due().length]).toEqual([1, 1]);
    front.target = app.port;

    await bridge.keeper.tend(KEY);

    expect([await works(auth), bridge.keeper.due(), bridge.keeper.findFaults()]).toEqual([false, [], []]);
  });

  it("keeps them while the engine does not answer", async () => {
    const bridge = await open();
    const auth = await deploy(bridge);
    engine.attack = (_method, _path, response) => {
      response.destroy();
      return true;
    };

    await bridge.keeper.tend(KEY);

    engine.attack = () => false;
    expect([await works(auth), bridge.keeper.due().length]).toEqual([true, 1]);
  });

  it("and made again in another environment has nothing of the first", async () => {
    const bridge = await open();
    const auth = await deploy(bridge);
    const service = engine.find("web");
    Object.assign(service?.Spec.Labels ?? {}, { "goldseal.environment": "test" });

    await bridge.keeper.tend(KEY);

    expect([await works(auth), bridge.keeper.due()]).toEqual([false, []]);
  });
});
