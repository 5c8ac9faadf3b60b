import { describe, expect, it } from "vitest";
import { at, type Loose, put } from "../../notary/tuf/testing/loose.ts";
import { networkOf, serviceOf, taskOf } from "../testing/cluster-entries.ts";
import { useClusterLab } from "../testing/cluster-lab.ts";
import { readChanges } from "../testing/journal-changes.ts";

const lab = useClusterLab(["m1", "w1"]);
const networks = (): Loose[] => lab().cluster.lists.networks ?? [];
const events = async (): Promise<unknown[]> => (await readChanges(lab().lab.folder)).map(({ event }) => event);
const writes = (): string[] =>
  lab().cluster.nodes.flatMap(({ asked }) => asked.filter((line) => !line.startsWith("GET ")));

describe("network.create", () => {
  it("makes an overlay as ordered, with the bridge's labels, and has it in the journal before and after", async () => {
    const body = {
      ...{ name: "backend", attachable: true, internal: true, encrypted: true, subnets: ["10.20.0.0/24"] },
      labels: { team: "ops" },
    };

    const outcome = await lab().order("network.create", body);

    expect(outcome).toEqual({ kind: "done", network: "backend" });
    expect(networks()).toMatchObject([
      {
        ...{ Name: "backend", Driver: "overlay", Attachable: true, Internal: true, Ingress: false },
        ...{ Options: { encrypted: "true" }, IPAM: { Config: [{ Subnet: "10.20.0.0/24" }] } },
        Labels: { team: "ops", "goldseal.environment": "prod", "goldseal.intent": expect.any(String) },
      },
    ]);
    const [began, ended] = (await readChanges(lab().lab.folder)).slice(-2);
    expect(began).toMatchObject({ event: "change", action: "network.create", name: "backend", user: "alice" });
    expect(ended).toMatchObject({ event: "changed", id: began?.id });
    expect(at(networks()[0], ["Labels", "goldseal.intent"])).toBe(began?.id);
  });

  it.each<[string, Loose, string, string]>([
    ["a network that is there", { name: "held" }, "conflict", "there is a network held already"],
    ["a subnet of another one", { subnets: ["10.0.8.0/22"] }, "conflict", "10.0.9.0/24 is the network held's"],
    ["subnets that overlap", { subnets: ["10.20.0.0/16", "10.20.7.0/24"] }, "spec", "overlap each other"],
    ["an engine's own network", { name: "ingress" }, "spec", "name: an engine's own network"],
    ["a name with a slash", { name: "a/b" }, "spec", "name: 1 to 63 letters"],
    ["a label of the bridge's", { labels: { "goldseal.environment": "dev" } }, "spec", "labels"],
    ["a label of a stack", { labels: { "com.docker.stack.namespace": "x" } }, "spec", "labels"],
    ["an address within its subnet", { subnets: ["10.20.0.1/24"] }, "spec", "subnets.0: a subnet such as"],
    ["another driver", { driver: "macvlan" }, "spec", "driver"],
    ["driver options", { options: { "com.docker.network.driver.mtu": "1" } }, "spec", "options"],
  ])("refuses %s, and tells the engine nothing", async (_what, more, code, detail) => {
    lab().cluster.add("networks", networkOf("held"));

    const refusal = await lab().order("network.create", { name: "backend", ...more });

    expect(refusal).toMatchObject({ code, detail: expect.stringContaining(detail) });
    expect(refusal.status).toBe(code === "conflict" ? 409 : 403);
    expect(writes()).toEqual([]);
    expect(await events()).not.toContain("change");
  });

  it("encrypts nothing where one node's engine would send it in the clear (C08)", async () => {
    const [, worker] = lab().cluster.nodes;
    put(["Description", "Engine", "EngineVersion"], "20.10.23")(worker?.entry ?? {});

    const refusal = await lab().order("network.create", { name: "vault", encrypted: true });
    const plain = await lab().order("network.create", { name: "open" });

    expect(refusal).toMatchObject({ status: 409, detail: expect.stringContaining("w1 (20.10.23)") });
    expect(plain).toMatchObject({ kind: "done" });
  });

  it("waits until the managers have set it up", async () => {
    const [manager] = lab().cluster.nodes;
    let reads = 0;
    if (manager !== undefined)
      manager.attack = (method, path, response) => {
        const isEarly = method === "GET" && path === "/networks" && networks().length > 0 && reads++ < 3;
        if (!isEarly) return false;
        const bare = networks().map((one) => ({ ...one, Options: null, IPAM: { Config: null } }));
        return response.end(JSON.stringify(bare)) && true;
      };

    const outcome = await lab().order("network.create", { name: "vault", encrypted: true, subnets: ["10.20.0.0/24"] });

    expect(outcome).toEqual({ kind: "done", network: "vault" });
    expect(reads).toBeGreaterThan(3);
  });

  it("takes away again what is another network than was ordered", async () => {
    const [manager] = lab().cluster.nodes;
    if (manager !== undefined)
      manager.attack = (method, path) => {
        if (method === "GET" && path === "/networks") for (const one of networks()) one.Options = {};
        return false;
      };

    const refusal = await lab().order("network.create", { name: "vault", encrypted: true });

    expect(refusal).toMatchObject({
      detail: expect.stringContaining("another network than was ordered: Options.encrypted"),
    });
    expect(networks()).toEqual([]);
    expect((await events()).slice(-2)).toEqual(["not-changed", "refused"]);
  });
});

describe("network.create over which the engine fell silent", () => {
  const last = async () => (await readChanges(lab().lab.folder)).at(-1);

  it.each<[string, (made: Loose) => void, string, RegExp, string[]]>([
    ["as it was ordered", () => undefined, "changed", /^found afterwards$/, ["vault"]],
    [
      "another one, which is taken away",
      put(["Internal"], true),
      "not-changed",
      /another network than was ordered: Internal$/,
      [],
    ],
    ["in the clear", put(["Options"], {}), "not-changed", /than was ordered: Options.encrypted$/, []],
    ["with other addresses", put(["IPAM", "Config"], [{ Subnet: "10.99.0.0/24" }]), "not-changed", /IPAM.Config$/, []],
  ])("is found afterwards: %s", async (_what, change, event, reason, left) => {
    const [manager] = lab().cluster.nodes;
    if (manager === undefined) throw new Error("no manager");
    manager.onBody = (line, body) => {
      if (line !== "POST /networks/create") return;
      const made = { ...body, Id: "made", Scope: "swarm" };
      change(made);
      lab().cluster.add("networks", made);
    };
    manager.attack = (method, _path, response) => method === "POST" && Boolean(response.destroy());

    const body = { name: "vault", encrypted: true, subnets: ["10.20.0.0/24"] };
    expect(await lab().order("network.create", body)).toMatchObject({ code: "silent" });
    manager.attack = () => false;
    await lab().stop();
    await lab().start();

    await expect.poll(last).toMatchObject({ event, reason: expect.stringMatching(reason) });
    expect(networks().map(({ Name }) => Name)).toEqual(left);
  });
});

describe("network.remove", () => {
  it("removes one that nobody uses", async () => {
    lab().cluster.add("networks", networkOf("backend", { environment: "prod" }));

    expect(await lab().order("network.remove", { name: "backend" })).toEqual({ kind: "done", network: "backend" });
    expect(networks()).toEqual([]);
    expect((await events()).slice(-2)).toEqual(["change", "changed"]);
  });

  it("names who uses it, by its id, by its name, and by hand; and removes nothing", async () => {
    lab().cluster.add("networks", networkOf("backend", { environment: "prod" }));
    lab().cluster.add("services", serviceOf("web", { networks: ["id-of-backend"] }));
    lab().cluster.add("services", serviceOf("api", { networks: ["backend"] }), serviceOf("other", { networks: ["x"] }));
    const Spec = { NetworkAttachmentSpec: { ContainerID: "0123456789abcdef" } };
    const attachment = {
      ...taskOf("x", "w1"),
      ServiceID: "",
      NetworksAttachments: [{ Network: { ID: "id-of-backend" } }],
    };
    lab().cluster.add("tasks", { ...attachment, Spec }, { ...attachment, DesiredState: "shutdown" });

    const refusal = await lab().order("network.remove", { name: "backend" });

    expect(refusal).toMatchObject({
      ...{ status: 409, code: "conflict" },
      detail: "the network backend is used by service web, service api, container 0123456789ab",
    });
    expect(writes()).toEqual([]);
    expect((await events()).at(-1)).toBe("refused");
  });

  it("is known to be done where the engine fell silent over it, whatever its node has by the same name", async () => {
    lab().cluster.add("networks", networkOf("old", { environment: "prod" }));
    const [manager] = lab().cluster.nodes;
    if (manager !== undefined)
      manager.attack = (method, _path, response) => {
        if (method !== "DELETE") return false;
        lab().cluster.lists.networks = [networkOf("old", { more: { Scope: "local", Driver: "bridge" } })];
        return response.destroy() && true;
      };

    const outcome = await lab().order("network.remove", { name: "old" });
    await lab().stop();
    await lab().start();

    expect(outcome).toMatchObject({ code: "silent" });
    const last = async () => (await readChanges(lab().lab.folder)).at(-1);
    await expect.poll(last).toMatchObject({ event: "changed", reason: "found afterwards" });
  });

  it.each([
    ["that is not there", "nothing", 404, "the cluster has no network nothing"],
    ["that somebody else made", "theirs", 403, "the network theirs was not made by the bridge"],
    ["of another environment", "trial", 403, "the network trial belongs to dev"],
    ["of one node alone", "local", 404, "the cluster has no network local"],
  ])("refuses a network %s", async (_what, name, status, detail) => {
    lab().cluster.add("networks", networkOf("theirs"), networkOf("trial", { environment: "dev" }));
    lab().cluster.add("networks", networkOf("local", { environment: "prod", more: { Scope: "local" } }));

    expect(await lab().order("network.remove", { name })).toMatchObject({ status, detail });
    expect(writes()).toEqual([]);
  });
});
