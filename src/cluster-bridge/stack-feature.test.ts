import { beforeEach, describe, expect, it } from "vitest";
import { drop, put } from "../notary/tuf/testing/loose.ts";
import type { Repository } from "../notary/tuf/testing/repository.ts";
import { image, other } from "../trust/testing/world.ts";
import { useOrderLab } from "./testing/order-lab.ts";

const lab = useOrderLab();
let repository: Repository;
beforeEach(() => {
  repository = lab().lab.found("ops/app");
  lab().lab.sign(repository, "1", image);
  lab().lab.sign(repository, "2", other);
});
const revoke = (tag: string) => repository.publish([repository.part("targets/a", drop(["targets", tag]))]);
const service = (tag = "1", more: object = {}) => ({ image: lab().name(tag), ...more });
const two = (tag = "1") => ({ web: service(tag, { networks: ["front"] }), db: service("1", { networks: ["front"] }) });
const base64 = (text: string) => Buffer.from(text).toString("base64");
const deploy = (more: object = {}) => lab().order("stack.deploy", { name: "shop", services: two(), networks: { front: {} }, ...more });
const remove = (name = "shop") => lab().order("stack.remove", { name });
const services = () => Object.keys(lab().engine.images).toSorted();
const specOf = (name: string) => lab().engine.find(name)?.Spec as unknown as Record<string, never>;
const allow = (limits: object) => lab().lab.setPolicy(put(["environments", "prod", "specLimits"], limits));
const pinned = (digest: string) => lab().name(digest);

describe("stack.deploy", () => {
  it("makes networks and then services, with docker's names, labels and aliases and the bridge's own", async () => {
    const outcome = await deploy();

    expect(outcome).toEqual({
      ...{ kind: "done", stack: "shop", removed: [] },
      services: {
        shop_web: { kind: "deployed", pinned: pinned(image.digest) },
        shop_db: { kind: "deployed", pinned: pinned(image.digest) },
      },
    });
    const front = lab().engine.parts.find("shop_front");
    expect(front?.body).toMatchObject({
      ...{ Driver: "overlay", Attachable: false, Internal: false },
      Labels: { "com.docker.stack.namespace": "shop", "goldseal.environment": "prod" },
    });
    expect(specOf("shop_web")).toMatchObject({
      Labels: {
        ...{ "com.docker.stack.namespace": "shop", "com.docker.stack.image": lab().name("1") },
        ...{ "goldseal.environment": "prod", "goldseal.intent": expect.stringMatching(/\.shop_web$/) },
      },
      TaskTemplate: {
        ContainerSpec: { Image: pinned(image.digest), Labels: { "com.docker.stack.namespace": "shop" } },
        Networks: [{ Target: front?.id, Aliases: ["web"] }],
      },
    });
    const creations = lab().engine.asked.filter((line) => line.endsWith("/create"));
    expect(creations).toEqual(["POST /networks/create", "POST /services/create", "POST /services/create"]);
  });

  it("has volumes, aliases and names of its own, and what is there already", async () => {
    allow({ secrets: ["db"] });
    lab().engine.parts.act("POST", "/networks/create", { Name: "shared" });
    lab().engine.parts.act("POST", "/secrets/create", { Name: "db" });
    const web = service("1", {
      networks: ["front", "far"],
      networkAliases: { far: ["www"] },
      secrets: [{ source: "db-of-shop" }],
      mounts: [
        { type: "volume", source: "data", target: "/data" },
        { type: "volume", source: "old", target: "/old" },
        { type: "volume", target: "/cache" },
      ],
    });

    await deploy({
      services: { web },
      networks: { front: { name: "front-of-shop" }, far: { external: "shared" } },
      secrets: { "db-of-shop": { external: "db" } },
      volumes: { data: { labels: { tier: "gold" } }, old: { external: "kept" } },
    });

    const { parts } = lab().engine;
    expect(specOf("shop_web").TaskTemplate).toMatchObject({
      Networks: [
        { Target: parts.find("front-of-shop")?.id, Aliases: ["web"] },
        { Target: parts.find("shared")?.id, Aliases: ["www", "web"] },
      ],
      ContainerSpec: {
        Secrets: [{ SecretName: "db", SecretID: parts.find("db")?.id, File: { Name: "db-of-shop" } }],
        Mounts: [
          {
            ...{ Type: "volume", Source: "shop_data", Target: "/data" },
            VolumeOptions: { Labels: { tier: "gold", "com.docker.stack.namespace": "shop" } },
          },
          { Type: "volume", Source: "kept", Target: "/old", ReadOnly: false },
          { Type: "volume", Target: "/cache", ReadOnly: false },
        ],
      },
    });
  });

  it("names secrets and configs by what they hold, finds them again, and never writes down what a secret holds", async () => {
    allow({ secrets: ["shop_key"], configs: ["shop_conf"] });
    const web = service("1", { secrets: [{ source: "key" }], configs: [{ source: "conf", target: "/etc/x" }] });
    const withKey = (key: string) =>
      deploy({ services: { web }, networks: {}, secrets: { key: { data: base64(key) } }, configs: { conf: { data: base64("c") } } });
    const secret = () => specOf("shop_web").TaskTemplate as unknown as { ContainerSpec: { Secrets: { SecretName: string }[] } };
    const nameNow = () => secret().ContainerSpec.Secrets[0]?.SecretName;

    expect(await withKey("first")).toMatchObject({ kind: "done" });
    const first = nameNow();
    await withKey("second");
    const second = nameNow();
    expect(await withKey("first")).toMatchObject({ kind: "done" });

    expect(first).toMatch(/^shop_key_[0-9a-f]{16}$/);
    expect(second).not.toBe(first);
    expect(nameNow()).toBe(first);
    expect(lab().engine.parts.names.filter((name) => name.startsWith("secrets"))).toHaveLength(2);
    expect(lab().engine.parts.find(first ?? "")?.body.Data).toBe(base64("first"));
    expect(secret()).toMatchObject({ ContainerSpec: { Secrets: [{ File: { Name: "key" } }], Configs: [{ File: { Name: "/etc/x" } }] } });
    const journal = JSON.stringify(await lab().journal());
    for (const text of ["first", "second"]) expect(journal).not.toContain(base64(text));
  });

  it("makes nothing when one image of it is not signed, and names each that is not", async () => {
    const outcome = await deploy({ services: { web: service("3"), db: service("1"), job: service("4") }, networks: { front: {} } });

    expect(outcome).toMatchObject({ kind: "refuse", code: "UNSIGNED" });
    expect(outcome).toMatchObject({ reason: expect.stringMatching(/^shop_job: .*; shop_web: /) });
    expect(lab().engine.asked.filter((line) => !line.startsWith("GET"))).toEqual([]);
    expect(await lab().events()).toEqual(["refused"]);
  });

  it("makes nothing of what the environment does not let a service have, and says it of each", async () => {
    const outcome = await deploy({
      services: {
        web: service("1", { command: ["sh"], configs: [{ source: "conf" }], ulimits: { nofile: { soft: 1, hard: 2 } } }),
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
    ["a network that it has not", { services: { web: { image: "x", networks: ["a"] } } }, "web: the stack has no a under networks"],
    ["a volume that it has not", { services: { web: { image: "x", mounts: [{ type: "volume", source: "v", target: "/v" }] } } }, "has no v under volumes"],
    ["aliases where it is not", { services: { web: { image: "x", networkAliases: { front: ["a"] } } } }, "it is not on front"],
    ["options of a driver that reach further", { networks: { front: { driverOptions: { parent: "eth0" } } } }, "parent"],
    ["options of a volume", { volumes: { v: { options: { o: "bind" } } } }, "options"],
    ["external things with settings", { networks: { front: { external: "x", attachable: true } } }, "attachable"],
    ["a name too long", { services: { [`w${"x".repeat(39)}`]: { image: "x" } }, name: "s".repeat(32) }, "1 to 63"],
    ["labels of the bridge's", { networks: { front: { labels: { "goldseal.environment": "x" } } } }, "labels.goldseal.environment"],
  ])("refuses %s", async (_what, more, reason) => {
    expect(await deploy(more)).toMatchObject({ kind: "refuse", code: "SPEC", reason: expect.stringContaining(reason) });
    expect(lab().engine.asked.filter((line) => !line.startsWith("GET"))).toEqual([]);
  });

  it("rolls back the service that fails, leaves the others, and says so of each", async () => {
    await deploy({ services: { web: service("1"), db: service("1") } });
    lab().engine.broken.add(pinned(other.digest));

    const outcome = await deploy({ services: { web: service("2"), db: service("1", { env: { A: "2" } }) } });

    expect(outcome).toMatchObject({
      kind: "failed",
      reason: expect.stringMatching(/^shop_web: .* \(rolled back to .*\)$/),
      services: {
        shop_web: { kind: "failed", rolledBackTo: pinned(image.digest) },
        shop_db: { kind: "deployed", pinned: pinned(image.digest) },
      },
    });
    expect(lab().engine.images).toEqual({ shop_web: pinned(image.digest), shop_db: pinned(image.digest) });
  });

  it("removes what the file has no longer only when asked to, and never what is not the stack's", async () => {
    await deploy({ networks: { front: {}, back: {} }, services: { ...two(), job: service("1", { networks: ["back"] }) } });
    await lab().deploy("1");
    lab().engine.parts.act("POST", "/networks/create", { Name: "shop_theirs" });

    await deploy();
    expect(services()).toEqual(["shop_db", "shop_job", "shop_web", "web"]);
    const outcome = await deploy({ prune: true });

    expect(outcome).toMatchObject({ kind: "done", removed: ["service shop_job", "network shop_back"] });
    expect(services()).toEqual(["shop_db", "shop_web", "web"]);
    expect(lab().engine.parts.names).toEqual(["networks shop_front", "networks shop_theirs"]);
  });

  it("does not remove anything of a stack that did not come up", async () => {
    await deploy();
    lab().engine.broken.add(pinned(other.digest));

    const outcome = await deploy({ services: { web: service("2") }, prune: true });

    expect(outcome).toMatchObject({ kind: "failed" });
    expect(services()).toEqual(["shop_db", "shop_web"]);
  });
});

describe("stack.deploy, where something stands in the way", () => {
  const label = (name: string, labels: Record<string, string>) => Object.assign(lab().engine.find(name)?.Spec.Labels ?? {}, labels);

  it.each<[string, () => unknown, RegExp]>([
    ["a service that stands alone", () => lab().order("service.deploy", { name: "shop_web", image: lab().name("1") }), /service shop_web already, and it is part of no stack/],
    ["a service of somebody else's stack", async () => {
      await deploy({ services: { job: service("1") } });
      delete (lab().engine.find("shop_job")?.Spec.Labels ?? {})["goldseal.environment"];
    }, /the stack shop has a service shop_job that was not made by the bridge/],
    ["the stack of another environment", async () => {
      await deploy({ services: { job: service("1") } });
      label("shop_job", { "goldseal.environment": "test" });
    }, /service shop_job that belongs to test/],
    ["a network that is not the stack's", () => lab().engine.parts.act("POST", "/networks/create", { Name: "shop_front" }), /network shop_front already, and it was not made by the bridge/],
    ["a network with other settings", async () => {
      await deploy({ networks: { front: { internal: true } } });
    }, /network shop_front is there with other settings/],
  ])("refuses beside %s, before anything is made", async (_what, before, reason) => {
    await before();
    const asked = lab().engine.asked.length;

    expect(await deploy()).toMatchObject({ kind: "refuse", code: "CONFLICT", reason: expect.stringMatching(reason) });
    expect(lab().engine.asked.slice(asked).filter((line) => !line.startsWith("GET"))).toEqual([]);
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

  it("does not let an order for one service take it out of its stack", async () => {
    await deploy();

    expect(await lab().order("service.deploy", { name: "shop_web", image: lab().name("1") })).toMatchObject({
      ...{ kind: "refuse", code: "CONFLICT", reason: expect.stringContaining("part of the stack shop") },
    });
  });
});

describe("stack.remove", () => {
  it("removes services, then all else that is the stack's", async () => {
    await deploy({ secrets: { key: { data: base64("x") } } });
    await lab().deploy("1");
    lab().engine.asked.length = 0;

    const outcome = await remove();

    expect(outcome).toMatchObject({ kind: "done", stack: "shop", left: [] });
    expect(services()).toEqual(["web"]);
    expect(lab().engine.parts.names).toEqual([]);
    const deletions = lab().engine.asked.filter((line) => line.startsWith("DELETE")).map((line) => line.split("/")[1]);
    expect(deletions.slice(0, 2)).toEqual(["services", "services"]);
    expect(deletions.toSorted()).toEqual(["networks", "secrets", "services", "services"]);
  });

  it("refuses what is not there, and what is not the environment's", async () => {
    expect(await remove()).toMatchObject({ kind: "refuse", code: "MISSING", reason: "there is no stack shop" });
    await deploy();
    delete (lab().engine.find("shop_db")?.Spec.Labels ?? {})["goldseal.environment"];

    expect(await remove()).toMatchObject({ kind: "refuse", code: "CONFLICT" });
    expect(services()).toEqual(["shop_db", "shop_web"]);
  });
});

describe("a bridge that is killed while it makes a stack", () => {
  const kill = (at: string, pass = 1) => {
    let passes = 0;
    return (name: string): void => {
      if (name === at && ++passes === pass) throw new Error("killed");
    };
  };
  const content = { secrets: { key: { data: base64("x") } } };
  const all = ["networks shop_front", expect.stringMatching(/^secrets shop_key_/)];

  it.each<[string, number, boolean]>([
    ["bridge.afterVerify", 1, false],
    // Before the secret was made: what it holds died with the bridge.
    ["bridge.afterIntent", 1, false],
    ["bridge.afterDockerCall", 1, true],
    ["bridge.afterDockerCall", 2, true],
    ["bridge.afterStackParts", 1, true],
    ["bridge.afterStackServices", 1, true],
  ])("at %s (%i): the next one makes all of it or nothing", async (point, pass, isMade) => {
    await lab().restart(kill(point, pass));
    await deploy(content).catch(() => undefined);
    await lab().restart();
    lab().bridge.start();

    await expect.poll(() => services()).toEqual(isMade ? ["shop_db", "shop_web"] : []);
    await expect.poll(async () => (await lab().events()).at(-1)).toBe(point === "bridge.afterVerify" ? undefined : "stack-ended");
    expect(lab().engine.parts.names).toEqual(isMade ? all : []);
    const made = lab().engine.asked.filter((line) => line === "POST /services/create");
    expect(made).toHaveLength(isMade ? 2 : 0);
  });

  it("does not make a service whose image was revoked meanwhile", async () => {
    await lab().restart(kill("bridge.afterStackParts"));
    await deploy({ services: { web: service("2") } }).catch(() => undefined);
    revoke("2");
    await lab().restart();
    lab().bridge.start();

    await expect.poll(async () => (await lab().events()).at(-1)).toBe("stack-ended");
    expect(services()).toEqual([]);
  });

  it("goes on with a removal", async () => {
    await deploy();
    await lab().restart(kill("bridge.afterStackServices"));
    await remove().catch(() => undefined);
    await lab().restart();
    lab().bridge.start();

    await expect.poll(() => lab().engine.parts.names).toEqual([]);
    expect(services()).toEqual([]);
  });
});
