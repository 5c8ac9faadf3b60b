import { describe, expect, it } from "vitest";
import { image, other } from "../../trust/testing/world.ts";
import { base64, useStackLab } from "../testing/stack-lab.ts";

const { lab, service, deploy, services, specOf, allow, pinned, two } = useStackLab();

describe("stack.deploy", () => {
  it("makes networks and then services, with docker's names, labels and aliases and the bridge's own", async () => {
    const outcome = await deploy();

    expect(outcome).toEqual({
      ...{ kind: "done", stack: "shop", removed: [], left: [] },
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
            VolumeOptions: {
              Labels: { tier: "gold", "com.docker.stack.namespace": "shop", "goldseal.environment": "prod" },
            },
          },
          {
            ...{ Type: "volume", Source: "kept", Target: "/old", ReadOnly: false },
            VolumeOptions: { Labels: { "goldseal.environment": "prod" } },
          },
          { Type: "volume", Target: "/cache", ReadOnly: false },
        ],
      },
    });
  });

  it("has a network that is called as what every object has", async () => {
    const outcome = await deploy({
      services: { web: service("1", { networks: ["constructor"] }) },
      networks: { constructor: {} },
    });

    expect(outcome).toMatchObject({ kind: "done" });
    expect(specOf("shop_web").TaskTemplate).toMatchObject({ Networks: [{ Aliases: ["web"] }] });
  });

  it("names secrets and configs by what they hold, finds them again, and never writes down what a secret holds", async () => {
    allow({ secrets: ["shop_key"], configs: ["shop_conf"] });
    const web = service("1", { secrets: [{ source: "key" }], configs: [{ source: "conf", target: "/etc/x" }] });
    const withKey = (key: string) =>
      deploy({
        services: { web },
        networks: {},
        secrets: { key: { data: base64(key) } },
        configs: { conf: { data: base64("c") } },
      });
    const secret = () =>
      specOf("shop_web").TaskTemplate as unknown as { ContainerSpec: { Secrets: { SecretName: string }[] } };
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
    expect(secret()).toMatchObject({
      ContainerSpec: { Secrets: [{ File: { Name: "key" } }], Configs: [{ File: { Name: "/etc/x" } }] },
    });
    const journal = JSON.stringify(await lab().journal());
    for (const text of ["first", "second"]) expect(journal).not.toContain(base64(text));
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
    await deploy({
      networks: { front: {}, back: {} },
      services: { ...two(), job: service("1", { networks: ["back"] }) },
    });
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
