/** What the engine does not answer to while the bridge runs. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { Deployer } from "./deployer.ts";
import { EngineClient } from "./engine-client.ts";
import { refuse } from "./errors.ts";
import { Journal } from "./journal.ts";
import { Ledger } from "./ledger.ts";
import { parseServiceSpec } from "./service-spec.ts";
import type { Decision, Deploy } from "./signed-digest.ts";
import { Swarm } from "./swarm.ts";
import { EngineSimulator } from "./testing/engine-simulator.ts";
import { QUICK } from "./testing/order-lab.ts";

let engine: EngineSimulator;
let folder: string;
let journal: Journal;
let deployer: Deployer;
/** What the registry says of every image. */
let decision: Decision;

beforeAll(async () => {
  engine = await EngineSimulator.start();
});
afterAll(() => engine.stop());
beforeEach(async () => {
  engine.reset();
  folder = await mkdtemp(join(tmpdir(), "goldseal-left-"));
  journal = await Journal.open(folder, () => new Date());
  decision = { kind: "deploy", verdict: { rows: [] }, policy: { environments: new Map() } } as unknown as Deploy;
  deployer = open();
});
let client: EngineClient;
beforeEach(async () => {
  client = await EngineClient.open({ kind: "unix", socket: engine.socket });
});
afterEach(async () => {
  await journal.close();
  await rm(folder, { recursive: true });
});

const open = (staleMs = Number.POSITIVE_INFINITY) =>
  new Deployer({
    ...{
      journal,
      ledger: new Ledger(journal),
      failpoint: () => undefined,
      patienceMs: 5_000,
      lookAgainMs: [],
      staleMs,
    },
    swarm: new Swarm({ manager: () => client }),
    newId: () => `id-${journal.records.length}`,
    resolve: async () => decision,
    breakGlass: async () => refuse("POLICY", "none"),
    identify: async () => ({ digests: [], isPartial: false }),
    place: async () =>
      ({ fields: {}, report: { strategy: "spread", nodes: [] }, prepare: async () => undefined }) as never,
    pulls: { prepare: async (_intent, other) => void (await other), applied: async () => undefined },
  });

const pinned = (version: number) => `r/a/b@sha256:${version}`;
function deploy(version: number, more: object = {}) {
  const spec = JSON.stringify({ name: "web", image: pinned(version), update: QUICK, ...more });
  const parsed = parseServiceSpec(Buffer.from(spec));
  const plan = {
    environment: "prod",
    service: "web",
    pinned: pinned(version),
    spec,
    user: "olga",
    because: "ann",
    parsed,
  };
  return deployer.deploy(plan, () => undefined);
}
const events = () => journal.records.map(({ event }) => event);
/** No answer to this and whatever comes after it. */
const silenceFrom = (first: RegExp) => {
  let isSilent = false;
  engine.attack = (method, path, response) => {
    isSilent ||= first.test(`${method} ${path}`);
    if (isSilent) response.destroy();
    return isSilent;
  };
};
const speak = () => {
  engine.attack = () => false;
};

describe("what an engine that falls silent leaves open", () => {
  it("is finished once it speaks again: a service that it never made is made", async () => {
    silenceFrom(/^POST/);

    const outcome = await deploy(1);

    expect(outcome).toMatchObject({
      kind: "refuse",
      code: "SILENT",
      reason: expect.stringContaining("goes on with it"),
    });
    speak();
    await deployer.recoverLeft();
    expect(engine.images).toEqual({ web: pinned(1) });
    expect(events().at(-1)).toBe("converged");
  });

  it("is finished once: a service that it made is not made again", async () => {
    engine.change = () => silenceFrom(/^GET/);
    await deploy(1);
    speak();
    engine.change = () => undefined;
    const before = engine.asked.filter((line) => line.startsWith("POST")).length;

    await deployer.recoverLeft();

    expect(engine.asked.filter((line) => line.startsWith("POST")).length).toBe(before);
    expect([engine.images, events().at(-1)]).toEqual([{ web: pinned(1) }, "converged"]);
  });

  it("is not done where something newer was ordered meanwhile", async () => {
    silenceFrom(/^POST/);
    await deploy(1);
    speak();
    await deploy(2);

    await deployer.recoverLeft();

    expect(engine.images).toEqual({ web: pinned(2) });
    expect(journal.records.filter(({ event }) => event === "sent").length).toBe(2);
  });

  it("stays open while it is silent, and is then finished all the same", async () => {
    silenceFrom(/^POST/);
    await deploy(1);
    await deployer.recoverLeft();
    expect(events()).not.toContain("abandoned");
    speak();

    await deployer.recoverLeft();

    expect(events().at(-1)).toBe("converged");
  });

  it("is not done where the environment does not allow it any more", async () => {
    silenceFrom(/^POST/);
    await deploy(1, { command: ["serve"] });
    speak();

    await deployer.recoverLeft();

    expect(engine.images).toEqual({});
    expect(journal.records.at(-1)).toMatchObject({
      event: "abandoned",
      reason: expect.stringContaining("prod does not let a service have a command of its own"),
    });
  });

  it("is a removal, too", async () => {
    await deploy(1);
    silenceFrom(/^DELETE/);
    const outcome = await deployer.remove({ environment: "prod", service: "web", user: "olga" });
    speak();

    await deployer.recoverLeft();

    expect(outcome).toMatchObject({ kind: "refuse", code: "SILENT" });
    expect([engine.images, events().at(-1)]).toEqual([{}, "removed"]);
  });

  it.each([
    ["removed, where nothing ran before", false],
    ["rolled back, where something did", true],
  ])("is %s, when somebody made another service of it on the way (T25)", async (_what, isUpdate) => {
    if (isUpdate) await deploy(1);
    engine.change = (spec) => {
      spec.TaskTemplate.ContainerSpec.Args = ["evil"];
      silenceFrom(/^GET/);
    };
    await deploy(2);
    speak();
    engine.change = () => undefined;

    await deployer.recoverLeft();

    expect(engine.images).toEqual(isUpdate ? { web: pinned(1) } : {});
    expect(journal.records).toContainEqual(
      expect.objectContaining({ event: "failed", reason: expect.stringContaining("ContainerSpec.Args") }),
    );
  });

  it("is removed, when the bridge fell over it before it had removed what was made of it (T25)", async () => {
    engine.change = (spec) => {
      spec.TaskTemplate.ContainerSpec.Args = ["evil"];
    };
    silenceFrom(/^DELETE/);
    await deploy(1);
    expect([engine.images, events().at(-1)]).toEqual([{ web: pinned(1) }, "failed"]);
    speak();

    await deployer.recoverLeft();

    expect([engine.images, events().at(-1)]).toEqual([{}, "ended"]);
  });

  it("stays, when the bridge fell over what only did not come up", async () => {
    await deploy(1);
    const told = journal.records.filter(({ event }) => event !== "converged");
    await journal.close();
    await rm(folder, { recursive: true });
    folder = await mkdtemp(join(tmpdir(), "goldseal-left-"));
    journal = await Journal.open(folder, () => new Date());
    for (const record of told) await journal.append(record as { event: string });
    await journal.append({ event: "failed", id: told.at(-1)?.id, reason: "it did not come up" });

    await open().recover();

    expect([engine.images, events().at(-1)]).toEqual([{ web: pinned(1) }, "ended"]);
  });

  it("is not looked for among what ended well", async () => {
    await deploy(1);
    const asked = engine.asked.length;

    await deployer.recoverLeft();

    expect(engine.asked.length).toBe(asked);
  });
});

describe("a deployment that waited for its turn", () => {
  it("is judged once more: what was signed when it was ordered may have been revoked", async () => {
    deployer = open(0);
    const asked = Promise.withResolvers<void>();
    const isLet = Promise.withResolvers<void>();
    engine.attack = (_method, path, response) => {
      if (path !== "/tasks") return false;
      asked.resolve();
      isLet.promise.then(() => response.end("[]"));
      return true;
    };
    const first = deploy(1);
    await asked.promise;
    const second = deploy(2);
    decision = refuse("UNSIGNED", "revoked");
    speak();
    isLet.resolve();

    expect([await first, await second]).toMatchObject([{ kind: "deployed" }, { kind: "refuse", reason: "revoked" }]);
    expect(engine.images).toEqual({ web: pinned(1) });
  });
});

describe("a registry that is away", () => {
  it("keeps an update that failed from being rolled back only until it is there", async () => {
    await deploy(1);
    engine.broken.add(pinned(2));
    const well = decision;
    decision = refuse("REGISTRY", "no answer");

    const outcome = await deploy(2);
    expect(outcome).toMatchObject({ kind: "refuse", code: "SILENT", reason: expect.stringContaining("no answer") });
    expect(engine.images).toEqual({ web: pinned(2) });
    decision = well;
    await deployer.recoverLeft();

    expect([engine.images, events().at(-1)]).toEqual([{ web: pinned(1) }, "ended"]);
  });

  it("does not make the bridge give up what it began", async () => {
    silenceFrom(/^POST/);
    await deploy(1);
    speak();
    decision = refuse("REGISTRY", "no answer");
    await deployer.recoverLeft();
    expect(events()).not.toContain("abandoned");
    decision = refuse("UNSIGNED", "revoked");

    await deployer.recoverLeft();

    expect([engine.images, events().at(-1)]).toEqual([{}, "abandoned"]);
  });
});
