import { describe, expect, it } from "vitest";
import { type Loose, put } from "../../notary/tuf/testing/loose.ts";
import { QUICK } from "../testing/order-lab.ts";
import { base64, useStackLab } from "../testing/stack-lab.ts";

const { lab, service, deploy, told } = useStackLab();

describe("stack.deploy, of what may not be", () => {
  it("makes nothing when one image of it is not signed, and names each that is not", async () => {
    const outcome = await deploy({
      services: { web: service("3"), db: service("1"), job: service("4") },
      networks: { front: {} },
    });

    expect(outcome).toMatchObject({ kind: "refuse", code: "UNSIGNED" });
    expect(outcome).toMatchObject({ reason: expect.stringMatching(/^shop_job: .*; shop_web: /) });
    expect(told()).toEqual([]);
    // What the tag of the signed one was is known by now.
    expect(await lab().events()).toEqual(["tagged", "refused"]);
  });

  it("makes nothing of what the environment does not let a service have, and says it of each", async () => {
    const outcome = await deploy({
      services: {
        web: service("1", {
          command: ["sh"],
          configs: [{ source: "conf" }],
          ulimits: { nofile: { soft: 1, hard: 2 } },
        }),
        db: service("1", { sysctls: { "net.core.somaxconn": "1" }, logging: { driver: "syslog" } }),
      },
      configs: { conf: { data: base64("x") } },
    });

    expect(outcome).toMatchObject({ kind: "refuse", code: "SPEC" });
    expect(outcome).toMatchObject({
      reason: expect.stringMatching(
        /^shop_db: .*the kernel's net.core.somaxconn, the log driver syslog.*; shop_web: prod does not let a service have a command of its own, ulimits of its own, the config shop_conf_[0-9a-f]{16} \(specLimits\)$/,
      ),
    });
    expect(lab().engine.parts.names).toEqual([]);
  });

  it.each<[string, object, string]>([
    ["what nobody looked at", { services: { web: { image: "x", privileged: true } } }, "privileged"],
    ["no service", { services: {} }, "at least one service"],
    [
      "a network that it has not",
      { services: { web: { image: "x", networks: ["a"] } } },
      "web: the stack has no a under networks",
    ],
    [
      "a volume that it has not",
      { services: { web: { image: "x", mounts: [{ type: "volume", source: "v", target: "/v" }] } } },
      "has no v under volumes",
    ],
    [
      "a volume that every object has",
      { services: { web: { image: "x", mounts: [{ type: "volume", source: "constructor", target: "/v" }] } } },
      "has no constructor under volumes",
    ],
    [
      "aliases where it is not",
      { services: { web: { image: "x", networkAliases: { front: ["a"] } } } },
      "it is not on front",
    ],
    [
      "options of a driver that reach further",
      { networks: { front: { driverOptions: { parent: "eth0" } } } },
      "parent",
    ],
    ["options of a volume", { volumes: { v: { options: { o: "bind" } } } }, "options"],
    ["external things with settings", { networks: { front: { external: "x", attachable: true } } }, "attachable"],
    ["a name too long", { services: { [`w${"x".repeat(39)}`]: { image: "x" } }, name: "s".repeat(32) }, "1 to 63"],
    [
      "two networks that would be one",
      { networks: { front: { name: "one" }, back: { name: "one" } } },
      "the stack has two networks named one: give one of them another name",
    ],
    [
      "two secrets that would be one, whatever they hold",
      { secrets: { a: { name: "one", data: base64("a") }, b: { name: "one", data: base64("b") } } },
      "the stack has two secrets named one",
    ],
    [
      "labels of the bridge's",
      { networks: { front: { labels: { "goldseal.environment": "x" } } } },
      "labels.goldseal.environment",
    ],
  ])("refuses %s", async (_what, more, reason) => {
    expect(await deploy(more)).toMatchObject({ kind: "refuse", code: "SPEC", reason: expect.stringContaining(reason) });
    expect(told()).toEqual([]);
  });
});

describe("stack.deploy, where something stands in the way", () => {
  const label = (name: string, labels: Record<string, string>) =>
    Object.assign(lab().engine.find(name)?.Spec.Labels ?? {}, labels);

  it.each<[string, () => unknown, RegExp]>([
    [
      "a service that stands alone",
      () => lab().order("service.deploy", { name: "shop_web", image: lab().name("1"), update: QUICK }),
      /service shop_web already, and it is part of no stack/,
    ],
    [
      "a service of somebody else's stack",
      async () => {
        await deploy({ services: { job: service("1") } });
        delete lab().engine.find("shop_job")?.Spec.Labels["goldseal.environment"];
      },
      /the stack shop has a service shop_job that was not made by the bridge/,
    ],
    [
      "the stack of another environment",
      async () => {
        await deploy({ services: { job: service("1") } });
        label("shop_job", { "goldseal.environment": "test" });
      },
      /service shop_job that belongs to test/,
    ],
    [
      "a network that is not the stack's",
      () => lab().engine.parts.act("POST", "/networks/create", { Name: "shop_front" }),
      /network shop_front already, and it was not made by the bridge/,
    ],
    [
      "a network with other settings",
      async () => {
        await deploy({ networks: { front: { internal: true } } });
      },
      /network shop_front is there with other settings/,
    ],
  ])("refuses beside %s, before anything is made", async (_what, before, reason) => {
    await before();
    const asked = told().length;

    expect(await deploy()).toMatchObject({ kind: "refuse", code: "CONFLICT", reason: expect.stringMatching(reason) });
    expect(told().slice(asked)).toEqual([]);
  });

  it("refuses addresses that another network has, or that two of its own would have, before anything is made", async () => {
    const { parts } = lab().engine;
    parts.act("POST", "/networks/create", { Name: "old", IPAM: { Config: [{ Subnet: "10.9.8.0/22" }] } });
    const net = (...subnets: string[]) => ({ networks: { front: { subnets } } });
    const both = { networks: { front: { subnets: ["10.20.0.0/16"] }, back: { subnets: ["10.20.7.9/24"] } } };

    const taken = await deploy(net("10.9.11.0/24"));
    const within = await deploy(net("10.8.0.0/14"));
    const fromAnAddress = await deploy(net("10.9.12.9/21"));
    const own = await deploy(both);
    const beside = await deploy(net("10.9.12.0/24"));
    const again = await deploy(net("10.9.12.0/24"));

    for (const one of [taken, within, fromAnAddress])
      expect(one).toMatchObject({
        ...{ kind: "refuse", code: "CONFLICT", reason: "10.9.8.0/22 is the network old's: choose other addresses" },
      });
    expect(own).toMatchObject({ code: "CONFLICT", reason: "the subnets of the stack's networks overlap each other" });
    expect([beside.kind, again.kind]).toEqual(["done", "done"]);
    expect(told().filter((line) => line === "POST /networks/create")).toHaveLength(1);
  });

  it.each([
    ["attachable by anybody", put(["Attachable"], true)],
    ["in the clear", put(["Options"], {})],
    ["with other addresses", put(["IPAM"], { Config: [{ Subnet: "10.99.0.0/24" }] })],
  ])("starts nothing on a network that the engine made %s, and takes it away (T25)", async (_what, change) => {
    lab().engine.attack = (method, path) => {
      const made = lab().engine.parts.find("shop_front");
      if (method === "GET" && path === "/networks" && made !== undefined) change(made.body as Loose);
      return false;
    };

    const outcome = await deploy({
      networks: { front: { driverOptions: { encrypted: "" }, subnets: ["10.9.0.0/24"] } },
    });

    const reason = "the engine holds another network shop_front than was ordered";
    expect(outcome).toMatchObject({ kind: "refuse", code: "ENGINE", reason });
    expect(lab().engine.parts.names).toEqual([]);
    expect(lab().engine.images).toEqual({});
  });

  it("refuses addresses of IPv6 that another network has", async () => {
    const { parts } = lab().engine;
    parts.act("POST", "/networks/create", { Name: "old", IPAM: { Config: [{ Subnet: "fd00:9::/48" }] } });
    const net = (...subnets: string[]) => ({ networks: { front: { subnets } } });

    const within = await deploy(net("fd00:9:0:8::/64"));
    const own = await deploy(net("fd00:a::/32", "fd00:a:1::/64"));
    const beside = await deploy(net("fd00:a::/48"));

    expect(within).toMatchObject({
      kind: "refuse",
      reason: "fd00:9::/48 is the network old's: choose other addresses",
    });
    expect(own).toMatchObject({ reason: "the subnets of the stack's networks overlap each other" });
    expect(beside.kind).toBe("done");
  });

  it("encrypts nothing where one node's engine would send it in the clear (C08)", async () => {
    const encrypted = { networks: { front: { driverOptions: { encrypted: "" } } } };
    const nodes = [["m1", "20.10.24"] as const, ["w1", "20.10.23"] as const].map(([Hostname, EngineVersion]) => ({
      ...{ ID: Hostname, Version: { Index: 1 }, Status: { State: "ready" } },
      Spec: { Labels: {}, Role: "worker", Availability: "active" },
      Description: {
        ...{ Hostname, Platform: { OS: "linux", Architecture: "x86_64" }, Resources: {}, Engine: { EngineVersion } },
      },
    }));
    lab().engine.attack = (method, path, response) =>
      method === "GET" && path === "/nodes" && Boolean(response.end(JSON.stringify(nodes)));

    const refused = await deploy(encrypted);
    const asked = told();
    lab().engine.attack = () => false;
    const done = await deploy(encrypted);

    expect(refused).toMatchObject({
      ...{ kind: "refuse", code: "CONFLICT" },
      reason: "engines too old to encrypt: w1 (20.10.23); 20.10.24 or 23.0.3 at least",
    });
    expect([asked, done.kind]).toEqual([[], "done"]);
  });

  it("refuses what shall be there and is not, and a name that holds something else, all at once", async () => {
    const named = (text: string) => ({ key: { name: "own-name", data: base64(text) } });
    await deploy({ secrets: named("a") });

    const outcome = await deploy({ secrets: named("b"), networks: { front: {}, far: { external: "nowhere" } } });

    expect(outcome).toMatchObject({
      ...{ kind: "refuse", code: "CONFLICT" },
      reason: expect.stringMatching(/^the cluster has no network nowhere; the secret own-name holds something else/),
    });
  });

  it("refuses what another environment made, by its name, and has what nobody's is", async () => {
    const { parts } = lab().engine;
    parts.act("POST", "/networks/create", { Name: "backend", Labels: { "goldseal.environment": "staging" } });
    parts.act("POST", "/networks/create", { Name: "old" });

    const outcome = await deploy({ networks: { front: {}, far: { external: "backend" }, old: { external: "old" } } });

    expect(outcome).toMatchObject({
      ...{ kind: "refuse", code: "CONFLICT", reason: "the network backend belongs to staging" },
    });
    expect(told()).toEqual([]);
  });

  it("does not let an order for one service take it out of its stack", async () => {
    await deploy();

    expect(await lab().order("service.deploy", { name: "shop_web", image: lab().name("1") })).toMatchObject({
      ...{ kind: "refuse", code: "CONFLICT", reason: expect.stringContaining("part of the stack shop") },
    });
  });
});
