import { describe, expect, it } from "vitest";
import { findConstraint, toText } from "../../trust/constraint.ts";
import type { Node } from "./cluster.ts";
import type { Surroundings } from "./fitness.ts";
import { type Need, toNeed } from "./need.ts";
import { place } from "./placement.ts";
import { around, needOf, node, occupant, spec } from "./testing/cluster.ts";

const three = [
  node("m1", { role: "manager", labels: { zone: "b" } }),
  node("w1", { labels: { zone: "a" } }),
  node("w2", { labels: { zone: "b" } }),
];
const put = (
  more: object,
  nodes: readonly Node[] = three,
  rest: Partial<Surroundings> = {},
  need: Partial<Need> = {},
) => {
  const service = spec(more);
  return place(service, needOf(service, need), around(nodes, rest), 7);
};
const tasksOf = ({ report }: ReturnType<typeof put>) =>
  Object.fromEntries(report.nodes.map(({ node: name, tasks }) => [name, tasks]));
const whyOf = ({ report }: ReturnType<typeof put>) =>
  Object.fromEntries(report.nodes.map(({ node: name, why }) => [name, why]));
const refused = (message: string) => expect.objectContaining({ code: "PLACEMENT", message });
const half = { reservations: { cpus: 0.5 } };

describe("place by spread", () => {
  it("tells the engine what was asked for, and previews how many each node gets", () => {
    const placed = put({ replicas: 4, constraints: ["node.role == worker"], maxPerNode: 3 });

    expect(placed.fields).toEqual({ Constraints: ["node.role==worker"], MaxReplicas: 3 });
    expect(tasksOf(placed)).toEqual({ m1: 0, w1: 2, w2: 2 });
    expect(whyOf(placed)).toEqual({ m1: "node.role==worker: it is manager", w1: "fits", w2: "fits" });
    expect(placed.report.constraints).toEqual([{ constraint: "node.role==worker", matches: 2, of: 3 }]);
  });

  it("goes evenly over the values of a label", () => {
    const placed = put({ replicas: 4, spreadOver: "zone" });

    expect(placed.fields).toEqual({ Preferences: [{ Spread: { SpreadDescriptor: "node.labels.zone" } }] });
    expect(tasksOf(placed)).toEqual({ m1: 1, w1: 2, w2: 1 });
  });

  it("puts the odd one where fewest tasks are, and no more than fit", () => {
    expect(tasksOf(put({ replicas: 4 }, three, { occupants: [occupant("m1"), occupant("w1")] }))).toEqual({
      ...{ m1: 1, w1: 1, w2: 2 },
    });
    const crowded = { occupants: [occupant("w2", { nanoCpus: 1.6e9 })] };
    expect(tasksOf(put({ ...half, replicas: 9 }, three, crowded))).toEqual({ m1: 4, w1: 4, w2: 0 });
  });

  it("puts one of a global service on every node that fits", () => {
    expect(tasksOf(put({ replicas: "global" }, [...three, node("w3", { away: "drain" })]))).toEqual({
      ...{ m1: 1, w1: 1, w2: 1, w3: 0 },
    });
  });

  it("refuses to spread over what no node has", () => {
    expect(() => put({ spreadOver: "zoen" })).toThrow(
      refused("no node has the label zoen to spread over; node labels there are: zone"),
    );
    expect(() => put({ spreadOver: "zone", strategy: "random" })).toThrow(
      refused("spreadOver is for the strategy spread, not for random"),
    );
  });
});

describe("place by binpack", () => {
  const binpack = { ...half, strategy: "binpack" };
  const fuller = { occupants: [occupant("w1", { nanoCpus: 1e9 }), occupant("w2", { nanoCpus: 0.4e9 })] };

  it("takes the fullest node that has room for all, by its id", () => {
    const placed = put({ ...binpack, replicas: 2 }, three, fuller);

    expect(placed.fields).toEqual({ Constraints: ["node.id==id-w1"] });
    expect(tasksOf(placed)).toEqual({ m1: 0, w1: 2, w2: 0 });
    expect(whyOf(placed)).toEqual({
      m1: "fits, and fuller ones have room: 0 % reserved",
      w1: "the fullest that fit: 25 % reserved",
      w2: "fits, and fuller ones have room: 10 % reserved",
    });
  });

  it("takes as many as it needs, by ruling out the others, away or not", () => {
    const placed = put({ ...binpack, replicas: 3 }, [...three, node("w3", { away: "down" })], fuller);

    expect(placed.fields).toEqual({ Constraints: ["node.id!=id-m1", "node.id!=id-w3"] });
    expect(tasksOf(placed)).toEqual({ m1: 0, w1: 2, w2: 1, w3: 0 });
  });

  it("does not count the tasks that make way, and stays where they are when nothing else is fuller", () => {
    const own = [1, 2, 3, 4].map(() => occupant("w1", { service: "web-id", nanoCpus: 0.5e9 }));

    const placed = put({ ...binpack, replicas: 4 }, three, { occupants: own, replaces: "web-id" });
    const beside = put({ ...binpack, replicas: 4 }, three, { occupants: own });

    expect(tasksOf(placed)).toEqual({ m1: 0, w1: 4, w2: 0 });
    expect(whyOf(placed).w1).toBe("the fullest that fit: 0 % reserved");
    expect(whyOf(beside).w1).toBe("0 CPU free, 0.5 needed");
  });

  it("goes by memory where that is what is reserved", () => {
    const memory = { strategy: "binpack", reservations: { memoryBytes: 1024 ** 3 }, replicas: 4 };
    const occupants = [occupant("w2", { memoryBytes: 1.5 * 1024 ** 3 })];

    const placed = put(memory, three, { occupants });

    expect(placed.report.nodes.map(({ room }) => room)).toEqual([4, 4, 2]);
    expect(placed.fields).toEqual({ Constraints: ["node.id!=id-w1"] });
  });

  it("counts what nodes say they have", () => {
    const nodes = [
      node("w1", { generic: new Map([["gpu", 2]]) }),
      node("w2", { generic: new Map([["gpu", 1]]) }),
      node("w3"),
    ];
    const reservations = { cpus: 0.1, generic: [{ kind: "gpu", value: 1 }] };
    const taken = { occupants: [occupant("w2", { generic: new Map([["gpu", 1]]) })] };

    const placed = put({ strategy: "binpack", reservations, replicas: 2 }, nodes, taken);

    expect(placed.report.nodes.map(({ room, why }) => [room, why])).toEqual([
      [2, "the fullest that fit: 0 % reserved"],
      [0, "0 gpu free, 1 needed"],
      [0, "0 gpu free, 1 needed"],
    ]);
  });

  it("keeps apart what shares a port of the node", () => {
    const ports = [{ target: 80, published: 8080, mode: "host" }];
    const taken = { occupants: [occupant("m1", { hostPorts: ["8080/tcp"] })] };

    const placed = put({ ...binpack, ports, replicas: 2 }, three, taken);

    expect(tasksOf(placed)).toEqual({ m1: 0, w1: 1, w2: 1 });
    expect(whyOf(placed).m1).toBe("its port 8080/tcp is taken");
    expect(() => put({ ...binpack, ports, replicas: 3 }, three, taken)).toThrow(
      refused("binpack: 2 of 3 tasks of web fit (m1: its port 8080/tcp is taken; w1: room for 1; w2: room for 1)"),
    );
  });

  it("refuses what it cannot go by", () => {
    expect(() => put({ strategy: "binpack" })).toThrow(
      refused("binpack goes by what is reserved, and web reserves neither CPU nor memory"),
    );
    expect(() => put({ ...binpack, replicas: "global" })).toThrow(
      refused("a global service runs on every node: binpack has nothing to choose"),
    );
    expect(() => put({ ...binpack, replicas: 5, maxPerNode: 1 })).toThrow(
      refused("binpack: 3 of 5 tasks of web fit (m1: room for 1; w1: room for 1; w2: room for 1)"),
    );
  });
});

describe("place by lot", () => {
  it("draws the same nodes from the same seed, and says it", () => {
    const many = Array.from({ length: 12 }, (_, index) => node(`n${index}`));
    const service = spec({ strategy: "random", replicas: 3 });
    const draw = (seed: number) => place(service, needOf(service), around(many), seed);

    const drawn = draw(7);

    expect(drawn.report).toMatchObject({ strategy: "random", seed: 7 });
    expect(draw(7)).toEqual(drawn);
    expect(new Set([1, 2, 3, 4, 5].map((seed) => JSON.stringify(draw(seed).fields))).size).toBeGreaterThan(1);
    expect(drawn.report.nodes.filter(({ chosen }) => chosen).map(({ why }) => why)).toContain("drawn by lot");
  });

  it("leaves out what has no room, and needs no reservation", () => {
    const full = { occupants: [occupant("w1", { nanoCpus: 1.8e9 })] };

    expect(put({ ...half, strategy: "random", replicas: 1 }, three.slice(1), full).fields).toEqual({
      Constraints: ["node.id==id-w2"],
    });
    expect(put({ strategy: "random", replicas: 1 }).report.nodes.filter(({ chosen }) => chosen)).toHaveLength(1);
  });
});

describe("place refuses what can run nowhere", () => {
  const arm = node("arm", { arch: "aarch64" });
  const platforms = [{ os: "linux", arch: "arm64" }];

  it("for the image's platform, and tells the engine of it", () => {
    expect(() => put({}, three.slice(0, 2), {}, { platforms })).toThrow(
      refused("web can run nowhere: its image is for linux/arm64, and m1 is linux/amd64, w1 is linux/amd64"),
    );
    const placed = put({}, [...three, arm], {}, { platforms });
    expect(placed.fields).toEqual({ Platforms: [{ OS: "linux", Architecture: "arm64" }] });
    expect(whyOf(placed)).toMatchObject({ w1: "is linux/amd64, the image is not", arm: "fits" });
    expect(tasksOf(put({}, [arm], {}, { platforms: [{ os: "linux", arch: "" }] }))).toEqual({ arm: 1 });
  });

  it("for a volume driver, and names the nodes that have it", () => {
    const nfs = { mounts: [{ type: "volume", source: "data", target: "/data", driver: "nfs" }] };
    const away = node("w9", { away: "pause", volumeDrivers: new Set(["local", "nfs"]) });
    const other = node("w8", { volumeDrivers: new Set(["nfs"]) });

    expect(() => put(nfs)).toThrow(refused("web can run nowhere: the volume driver nfs is on no node"));
    expect(() => put(nfs, [...three, away])).toThrow(
      refused("web can run nowhere: the volume driver nfs is only on w9"),
    );
    expect(() => put({ ...nfs, constraints: ["node.role==manager"] }, [...three, other])).toThrow(
      refused("web can run nowhere: the volume driver nfs is only on w8"),
    );
    expect(whyOf(put(nfs, [...three, other]))).toMatchObject({ w1: "has no volume driver nfs", w8: "fits" });
    const two = { mounts: ["nfs", "local"].map((driver) => ({ ...nfs.mounts[0], driver, target: `/${driver}` })) };
    expect(() => put(two, [...three, other])).toThrow(
      refused("web can run nowhere: no one node has all of the volume drivers nfs, local"),
    );
  });

  it("for user namespaces, and believes no label of them", () => {
    const labels = { "goldseal.userns": "on" };
    const nodes = [node("w1"), node("w2", { labels }), node("w3", { labels })];
    const service = spec({ replicas: 2 });
    const need = needOf(service, { usernsOnly: true });

    expect(() => place(service, need, around(nodes), 7)).toThrow(
      refused("web can run nowhere: of w1, w2, w3 no engine says that it maps users (usernsOnly)"),
    );
    const placed = place(service, need, around(nodes, { withUserns: new Set(["id-w1", "id-w2"]) }), 7);
    expect(placed.fields).toEqual({ Constraints: ["node.labels.goldseal.userns==on", "node.id!=id-w3"] });
    expect(whyOf(placed)).toMatchObject({ w1: "fits", w3: "no user namespaces, by what its engine says" });
  });

  it("for its constraints", () => {
    expect(() => put({ constraints: ["node.labels.zone==c"] })).toThrow(
      refused("web can run nowhere: node.labels.zone==c matches 0 of 3 nodes (zone is b on 2, a on 1)"),
    );
  });
});

describe("toNeed", () => {
  const parse = (text: string) => {
    const found = findConstraint(text);
    if (found === undefined) throw new Error(text);
    return found;
  };
  const rules = { require: [parse("node.labels.tier==prod")], inject: [parse("node.role!=manager")], usernsOnly: true };
  const asked = { environment: "prod", platforms: [] };

  it("refuses a service that does not ask for what its environment requires", () => {
    expect(() => toNeed(spec({ constraints: ["node.labels.tier!=prod"] }), rules, asked)).toThrow(
      refused("prod wants every service to ask for node.labels.tier==prod among its constraints"),
    );
  });

  it("adds what its environment gives every service, once", () => {
    const own = ["node.labels.tier == PROD", "node.labels.zone==a"];

    const need = toNeed(spec({ constraints: own }), rules, asked);
    const twice = toNeed(spec({ constraints: [...own, "node.role!=manager"] }), rules, asked);

    expect(need.constraints.map(toText)).toEqual([
      "node.labels.tier==PROD",
      "node.labels.zone==a",
      "node.role!=manager",
    ]);
    expect(twice.constraints).toHaveLength(3);
    expect(need.usernsOnly).toBe(true);
  });

  it("refuses what contradicts it", () => {
    const constraints = ["node.labels.tier==prod", "node.role==manager"];

    expect(() => toNeed(spec({ constraints }), rules, asked)).toThrow(
      refused("no node can be both node.role==manager and node.role!=manager"),
    );
  });
});
