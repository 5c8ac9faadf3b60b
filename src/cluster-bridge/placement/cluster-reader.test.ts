import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { JsonObject } from "../../oci/json.ts";
import { EngineClient } from "../engine-client.ts";
import { readCluster, toNode } from "./cluster-reader.ts";
import { EngineSimulator } from "./testing/engine-simulator.ts";

/** As 20.10 answers it. */
const raw = {
  ID: "2ivku8v2gvtg4",
  Version: { Index: 9 },
  Spec: { Labels: { zone: "a" }, Role: "worker", Availability: "active" },
  Description: {
    Hostname: "w1",
    Platform: { Architecture: "x86_64", OS: "linux" },
    Resources: {
      ...{ NanoCPUs: 2_000_000_000, MemoryBytes: 4_294_967_296 },
      GenericResources: [
        { NamedResourceSpec: { Kind: "gpu", Value: "G1" } },
        { NamedResourceSpec: { Kind: "gpu", Value: "G2" } },
        { DiscreteResourceSpec: { Kind: "ssd", Value: 3 } },
      ],
    },
    Engine: {
      EngineVersion: "20.10.24",
      Labels: { rack: "r7" },
      Plugins: [
        { Type: "Network", Name: "overlay" },
        { Type: "Volume", Name: "local" },
      ],
    },
  },
  Status: { State: "ready", Addr: "10.231.0.12" },
};

describe("toNode", () => {
  it("reads what placement goes by", () => {
    expect(toNode(raw)).toEqual({
      ...{ id: "2ivku8v2gvtg4", hostname: "w1", role: "worker", os: "linux", arch: "x86_64", away: undefined },
      ...{ labels: new Map([["zone", "a"]]), engineLabels: new Map([["rack", "r7"]]) },
      ...{ volumeDrivers: new Set(["local"]), nanoCpus: 2e9, memoryBytes: 4 * 1024 ** 3 },
      generic: new Map([
        ["gpu", 2],
        ["ssd", 3],
      ]),
    });
  });

  it.each([
    ["down", { ...raw, Status: { State: "down" } }, "down"],
    ["unknown", { ...raw, Status: {} }, "unknown"],
    ["drained", { ...raw, Spec: { ...raw.Spec, Availability: "drain" } }, "drain"],
    ["paused", { ...raw, Spec: { ...raw.Spec, Availability: "pause" } }, "pause"],
    ["of no availability", { ...raw, Spec: { Role: "worker" } }, "unknown"],
  ])("takes a node that is %s for none that can start something", (_what, node: JsonObject, away) => {
    expect(toNode(node).away).toBe(away);
  });

  it("knows of a node that never told anything of itself", () => {
    expect(toNode({ ID: "x", Spec: { Role: "worker", Availability: "active" } })).toMatchObject({
      ...{ hostname: "", away: "unknown", nanoCpus: 0, volumeDrivers: new Set() },
    });
    expect(() => toNode({ Spec: {} })).toThrow(expect.objectContaining({ code: "ENGINE" }));
  });
});

describe("readCluster", () => {
  const engine = useEngine();
  const task = (NodeID: string, State: string, Reservations: JsonObject = {}) => ({
    ...{ NodeID, ServiceID: "s1", Spec: { Resources: { Reservations } }, Status: { State } },
  });

  it("counts the tasks that keep something of a node, with the ports of their service", async () => {
    const { simulator, client } = engine();
    for (const name of ["b", "a"]) simulator.addNode(name);
    simulator.tasks = [
      task("id-a", "running", {
        ...{ NanoCPUs: 5e8, MemoryBytes: 1e6 },
        GenericResources: [{ DiscreteResourceSpec: { Kind: "gpu", Value: 1 } }],
      }),
      task("id-a", "preparing"),
      task("id-a", "failed", { NanoCPUs: 5e8 }),
      task("", "pending", { NanoCPUs: 5e8 }),
    ];
    const Ports = [
      { Protocol: "tcp", TargetPort: 80, PublishedPort: 8080, PublishMode: "host" },
      { Protocol: "udp", TargetPort: 53, PublishMode: "host" },
      { Protocol: "tcp", TargetPort: 81, PublishedPort: 8081, PublishMode: "ingress" },
    ];
    simulator.services = [{ ID: "s1", Spec: { EndpointSpec: { Ports } } }];

    const { nodes, occupants } = await readCluster(client);

    expect(nodes.map(({ hostname }) => hostname)).toEqual(["a", "b"]);
    expect(occupants).toEqual([
      {
        node: "id-a",
        service: "s1",
        nanoCpus: 5e8,
        memoryBytes: 1e6,
        generic: new Map([["gpu", 1]]),
        hostPorts: ["8080/tcp"],
      },
      { node: "id-a", service: "s1", nanoCpus: 0, memoryBytes: 0, generic: new Map(), hostPorts: ["8080/tcp"] },
    ]);
  });
});

function useEngine() {
  let simulator: EngineSimulator;
  let client: EngineClient;
  beforeAll(async () => {
    simulator = await EngineSimulator.start();
    client = await EngineClient.open(simulator.endpoint);
  });
  afterAll(() => simulator.stop());
  return () => ({ simulator, client });
}
