import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { put } from "../../notary/tuf/testing/loose.ts";
import { digestOf } from "../../oci/digest.ts";
import { OCI_INDEX } from "../../oci/media-types.ts";
import type { Artifact } from "../../trust/subject.ts";
import { artifact, image } from "../../trust/testing/world.ts";
import { Engines } from "../engines.ts";
import { useBridgeLab } from "../testing/bridge-lab.ts";
import { readPlatforms } from "./image-platforms.ts";
import { Placer } from "./placer.ts";
import { spec } from "./testing/cluster.ts";
import { EngineSimulator } from "./testing/engine-simulator.ts";
import { refreshUserns } from "./userns.ts";

const lab = useBridgeLab();
const pinned = ({ digest }: Artifact) => `${lab().registry.authority}/ops/web@${digest}`;
const index = (...platforms: readonly (object | undefined)[]): Artifact => {
  const child = { mediaType: image.mediaType, digest: image.digest, size: image.bytes.length };
  const manifests = platforms.map((platform) => ({ ...child, ...(platform && { platform }) }));
  return artifact(Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests })), OCI_INDEX);
};

describe("readPlatforms", () => {
  const read = async (what: Artifact) => {
    const { registry, authority } = await lab().start();
    lab().registry.manifests.set(what.digest, what);
    return readPlatforms(registry, pinned(what), authority);
  };

  it.each<[string, readonly (object | undefined)[], object[]]>([
    [
      "of an index, each once",
      [
        { os: "linux", architecture: "arm64", variant: "v8" },
        { os: "linux", architecture: "amd64" },
        { os: "linux", architecture: "arm64" },
      ],
      [
        { os: "linux", arch: "arm64" },
        { os: "linux", arch: "amd64" },
      ],
    ],
    [
      "without the statements beside the images",
      [
        { os: "linux", architecture: "arm64" },
        { os: "unknown", architecture: "unknown" },
      ],
      [{ os: "linux", arch: "arm64" }],
    ],
    [
      "of arm, which nodes call by other names",
      [{ os: "linux", architecture: "arm", variant: "v7" }],
      [{ os: "linux", arch: "" }],
    ],
    ["of an entry that says none: any", [{ os: "linux", architecture: "arm64" }, undefined], []],
  ])("reads those %s", async (_what, platforms, expected) => {
    expect(await read(index(...platforms))).toEqual(expected);
  });

  it("reads that of an image from its configuration, if that is what the manifest names", async () => {
    const config = Buffer.from('{"os":"linux","architecture":"arm64"}');
    const names = {
      mediaType: "application/vnd.oci.image.config.v1+json",
      digest: digestOf(config),
      size: config.length,
    };
    const manifest = JSON.stringify({ schemaVersion: 2, mediaType: image.mediaType, config: names, layers: [] });
    const serve = (bytes: Buffer) => {
      lab().registry.attack = (path, response) => {
        if (path === `/v2/ops/web/blobs/${names.digest}`) response.end(bytes);
        return path === `/v2/ops/web/blobs/${names.digest}`;
      };
    };

    serve(config);
    const found = await read(artifact(Buffer.from(manifest), image.mediaType));
    serve(Buffer.from('{"os":"linux","architecture":"amd64"}'));
    const other = await read(artifact(Buffer.from(manifest), image.mediaType));

    expect([found, other]).toEqual([[{ os: "linux", arch: "arm64" }], []]);
  });

  it("knows of none where the registry does not show the configuration, and refuses without the manifest", async () => {
    expect(await read(image)).toEqual([]);
    lab().registry.manifests.clear();
    const { registry, authority } = await lab().start();
    await expect(readPlatforms(registry, pinned(image), authority)).rejects.toMatchObject({ code: "REGISTRY" });
  });
});

describe("Placer", () => {
  let manager: EngineSimulator;
  let worker: EngineSimulator;
  beforeAll(async () => {
    [manager, worker] = [await EngineSimulator.start(), await EngineSimulator.start()];
  });
  afterAll(() => Promise.all([manager.stop(), worker.stop()]));
  beforeEach(() => {
    for (const name of ["m1", "w1", "w2"]) manager.addNode(name);
    manager.info = { Swarm: { NodeID: "id-m1", ControlAvailable: true }, SecurityOptions: ["name=seccomp"] };
    worker.info = { Swarm: { NodeID: "id-w1" }, SecurityOptions: ["name=seccomp,profile=default", "name=userns"] };
  });
  afterEach(() => {
    for (const engine of [manager, worker]) {
      engine.nodes.clear();
      engine.writes.length = 0;
      [engine.tasks, engine.services] = [[], []];
      [engine.beforeWrite, engine.beforeNodes] = [() => undefined, () => undefined];
    }
  });

  const place = async (more: object = {}, serviceId?: string, unknownMs = 60_000) => {
    const decisions = await lab().start();
    const engines = await Engines.open({ engine: manager.endpoint, engines: new Map([["w1", worker.endpoint]]) });
    const placer = new Placer({ ...decisions, engines, unknownMs });
    return placer.place({ spec: spec(more), environment: "prod", pinned: pinned(image), id: "intent-1", serviceId });
  };
  const usernsOnly = put(["environments", "prod", "placement"], { usernsOnly: true });

  it("looks at the cluster and the policy of now, and changes nothing", async () => {
    lab().setPolicy(put(["environments", "prod", "placement"], { inject: ["node.hostname!=m1"] }));

    const placed = await place({ replicas: 2 });
    await placed.prepare();

    expect(placed.fields).toEqual({ Constraints: ["node.hostname!=m1"] });
    expect(placed.report.nodes.map(({ node, tasks }) => [node, tasks])).toEqual([
      ["m1", 0],
      ["w1", 1],
      ["w2", 1],
    ]);
    expect(manager.writes).toEqual([]);
  });

  describe("when the managers have a new leader, to whom every node is unknown until it reports", () => {
    beforeEach(() => {
      for (const name of ["m1", "w1", "w2"]) manager.addNode(name, {}, "unknown");
    });

    it("looks again until one has", async () => {
      let looks = 0;
      manager.beforeNodes = () => void (++looks === 3 && manager.addNode("w1"));

      const { report } = await place();

      expect(report.nodes.map(({ node, tasks }) => [node, tasks])).toEqual([
        ["m1", 0],
        ["w1", 1],
        ["w2", 0],
      ]);
      expect(looks).toBe(3);
    });

    it("refuses what no node could run even so: it does not look for ever, nor for a node that is down", async () => {
      const message = "web can run nowhere: no node is ready: m1 is unknown, w1 is unknown, w2 is unknown";
      await expect(place({}, undefined, 0)).rejects.toMatchObject({ code: "PLACEMENT", message });

      for (const name of ["m1", "w1", "w2"]) manager.addNode(name, {}, "down");
      await expect(place()).rejects.toMatchObject({
        code: "PLACEMENT",
        message: message.replaceAll("unknown", "down"),
      });
    });
  });

  it("asks once for what an image was made, and again where nobody could say", async () => {
    const decisions = await lab().start();
    const engines = await Engines.open({ engine: manager.endpoint, engines: new Map() });
    const placer = new Placer({ ...decisions, engines });
    const both = index({ os: "linux", architecture: "amd64" });
    lab().registry.manifests.set(both.digest, both);
    const ask = (what: Artifact) =>
      placer.place({ spec: spec(), environment: "prod", pinned: pinned(what), id: "i", serviceId: undefined });
    const asked = ({ digest }: Artifact) => lab().registry.asked.filter((path) => path.endsWith(digest)).length;

    for (const what of [both, both, image, image]) await ask(what);

    expect([asked(both), asked(image)]).toEqual([1, 2]);
  });

  it("does not count the tasks that are stopped before others start, and counts those that are not", async () => {
    const Reservations = { NanoCPUs: 1.5e9 };
    manager.tasks = [
      { NodeID: "id-w1", ServiceID: "web-id", Spec: { Resources: { Reservations } }, Status: { State: "running" } },
    ];
    const binpack = { strategy: "binpack", reservations: { cpus: 1 }, constraints: ["node.hostname==w1"] };

    expect((await place(binpack, "web-id")).fields).toEqual({ Constraints: ["node.hostname==w1", "node.id==id-w1"] });
    for (const refuse of [
      () => place(binpack),
      () => place({ ...binpack, update: { order: "start-first" } }, "web-id"),
    ])
      await expect(refuse()).rejects.toMatchObject({
        code: "PLACEMENT",
        message: expect.stringContaining("0 of 1 tasks"),
      });
  });

  it("draws lots by the deployment's id, or by the seed that is asked for", async () => {
    const random = { strategy: "random" };

    const [first, second] = [await place(random), await place(random)];
    const seeded = await place({ ...random, seed: 7 });

    expect(first.report.seed).toBe(second.report.seed);
    expect(first.fields).toEqual(second.fields);
    expect(seeded.report.seed).toBe(7);
  });

  it("labels the nodes whose own engine says that it maps users, and no others", async () => {
    manager.addNode("w2", { "goldseal.userns": "on", zone: "a" });
    manager.addNode("m1", { "goldseal.userns": "on", a: "b" });
    lab().setPolicy(usernsOnly);

    const placed = await place({ replicas: 2 });
    const before = manager.writes.length;
    await placed.prepare();

    // w2's engine is not among the bridge's: it may be silent for a while, and keeps what it has.
    expect(placed.fields).toEqual({
      Constraints: ["node.labels.goldseal.userns==on", "node.id!=id-m1", "node.id!=id-w2"],
    });
    expect([before, manager.labelsOf("m1"), manager.labelsOf("w1"), manager.labelsOf("w2")]).toEqual([
      ...[0, { a: "b" }, { "goldseal.userns": "on" }, { "goldseal.userns": "on", zone: "a" }],
    ]);
    await (await place({})).prepare();
    expect(manager.writes).toHaveLength(2);
  });

  it("writes a label again when somebody else changed the node meanwhile", async () => {
    lab().setPolicy(usernsOnly);
    const placed = await place();
    let times = 0;
    manager.beforeWrite = () => {
      const held = manager.nodes.get("id-w1");
      if (held === undefined || times++ > 0) return;
      [held.Version, held.Spec] = [{ Index: 40 }, { ...held.Spec, Labels: { zone: "c" } }];
    };

    await placed.prepare();

    expect(manager.writes).toEqual(["POST /nodes/id-w1/update?version=1", "POST /nodes/id-w1/update?version=40"]);
    expect(manager.labelsOf("w1")).toEqual({ zone: "c", "goldseal.userns": "on" });
  });

  it("takes the label from a node that maps users no more, and leaves alone whoever is silent", async () => {
    for (const name of ["m1", "w1", "w2"]) manager.addNode(name, { "goldseal.userns": "on" });
    manager.addNode("w3");
    const engines = await Engines.open({ engine: manager.endpoint, engines: new Map([["w1", worker.endpoint]]) });

    await refreshUserns(engines);

    expect(manager.writes).toEqual(["POST /nodes/id-m1/update?version=1"]);
    expect([manager.labelsOf("m1"), manager.labelsOf("w2")]).toEqual([{}, { "goldseal.userns": "on" }]);
  });

  it.each([
    ["an engine that is another node's", () => ({ Swarm: { NodeID: "id-w2" }, SecurityOptions: ["name=userns"] })],
    ["an engine that only names something like it", () => ({ ...worker.info, SecurityOptions: ["name=userns2"] })],
    ["an engine that says nothing", () => ({})],
  ])("believes nothing of %s", async (_what, info) => {
    worker.info = info();
    lab().setPolicy(usernsOnly);

    await expect(place()).rejects.toMatchObject({
      code: "PLACEMENT",
      message: "web can run nowhere: of m1, w1, w2 no engine says that it maps users (usernsOnly)",
    });
  });
});
