import { describe, expect, it } from "vitest";
import { at, type Loose, put } from "../../notary/tuf/testing/loose.ts";
import { DIGEST, networkOf, sealedOf, serviceOf, taskOf } from "../testing/cluster-entries.ts";
import { useClusterLab } from "../testing/cluster-lab.ts";

const lab = useClusterLab(["m1", "w1"]);
const node = (name: string) => {
  const found = lab().cluster.nodes.find((one) => one.name === name);
  if (found === undefined) throw new Error(name);
  return found;
};
const get = async (path: string, user = "alice"): Promise<Loose> => {
  const { status, body, text } = await lab().get(path, user);
  expect([status, text]).toEqual([200, text]);
  return body;
};

describe("GET nodes", () => {
  it("shows what managers know and what only the node's own engine knows", async () => {
    const reserved = { NanoCPUs: 500_000_000, MemoryBytes: 1024 ** 3 };
    lab().cluster.add(
      "tasks",
      taskOf("web", "w1", { reserved }),
      taskOf("web", "w1", { desired: "shutdown", reserved }),
    );
    put(["Spec", "Labels"], { zone: "a" })(node("w1").entry);
    put(["Description", "TLSInfo", "TrustRoot"], "an older root")(node("w1").entry);
    node("w1").info = { SecurityOptions: ["name=seccomp,profile=default", "name=userns"] };

    const body = await get("nodes");

    expect(body.unreachable).toEqual([]);
    expect(body.nodes).toMatchObject([
      {
        name: "m1",
        role: "manager",
        leader: true,
        reachability: "reachable",
        userns: "off",
        certificate: "ready",
        tasks: 0,
      },
      {
        ...{
          id: "id-of-w1",
          name: "w1",
          state: "ready",
          role: "worker",
          leader: false,
          availability: "active",
          tasks: 1,
        },
        ...{ labels: { zone: "a" }, engine: "20.10.24+dfsg1", platform: "linux/x86_64", volumeDrivers: ["local"] },
        ...{ userns: "on", certificate: "needs-rotation", cpus: { total: 2, reserved: 0.5, free: 1.5 } },
        memoryBytes: { total: 4 * 1024 ** 3, reserved: 1024 ** 3, free: 3 * 1024 ** 3 },
      },
    ]);
  });

  it("names each node whose engine does not answer, is not configured, or is another node's", async () => {
    node("w1").attack = (_method, _path, response) => response.writeHead(500).end("{}") && true;
    await lab().cluster.lists.nodes?.push({ ...node("w1").entry, ID: "id-of-w9", Description: { Hostname: "w9" } });
    node("m1").info = { Swarm: { NodeID: "id-of-w1", ControlAvailable: true } };

    const { nodes, unreachable } = await get("nodes");

    expect(unreachable).toEqual([
      { node: "m1", reason: "the engine that is configured for m1 is not of this node" },
      { node: "w1", reason: "GET /info was answered 500: " },
      { node: "w9", reason: "the bridge's configuration names no engine for it" },
    ]);
    expect((nodes as Loose[]).map(({ name, userns }) => [name, userns])).toEqual([
      ["m1", "unknown"],
      ["w1", "unknown"],
      ["w9", "unknown"],
    ]);
  });

  it("asks engines for nothing but what can be read", async () => {
    lab().cluster.add("services", serviceOf("web"));
    for (const path of ["nodes", "services", "services/web", "services/web/tasks", "tasks", "networks", "volumes"])
      await get(path);
    for (const path of ["secrets", "configs", "stacks"]) await get(path);

    const asked = lab().cluster.nodes.flatMap((one) => one.asked);

    expect(asked.filter((line) => !line.startsWith("GET /"))).toEqual([]);
    expect(asked.length).toBeGreaterThan(10);
  });
});

describe("GET services", () => {
  it("counts only tasks that shall run, and shows digest, stack and update", async () => {
    lab().cluster.add("networks", networkOf("backend"));
    const web = serviceOf("web", { environment: "prod", stack: "shop", networks: ["id-of-backend"], replicas: 3 });
    put(["UpdateStatus"], { State: "paused", Message: "a task failed" })(web);
    put(["Spec", "EndpointSpec"], {
      Ports: [{ TargetPort: 80, PublishedPort: 8080, Protocol: "tcp", PublishMode: "host" }],
    })(web);
    lab().cluster.add("services", web, serviceOf("agent", { replicas: "global" }));
    lab().cluster.add(
      "tasks",
      taskOf("web", "w1"),
      taskOf("web", "w1", { slot: 2, state: "starting" }),
      taskOf("web", "w1", { slot: 3, desired: "shutdown" }),
      taskOf("agent", "m1"),
      taskOf("agent", "w1", { slot: 2 }),
    );

    const { services } = await get("services");

    expect(services).toMatchObject([
      { name: "agent", mode: "global", wanted: 2, running: 2 },
      {
        ...{
          name: "web",
          environment: "prod",
          stack: "shop",
          digest: DIGEST,
          mode: "replicated",
          wanted: 3,
          running: 1,
        },
        ...{ update: { state: "paused", message: "a task failed" }, networks: ["backend"] },
        ports: [{ target: 80, published: 8080, protocol: "tcp", mode: "host" }],
      },
    ]);
    expect(at(services, [0])).not.toHaveProperty("environment");
    expect((await get("services?stack=shop")).services).toMatchObject([{ name: "web" }]);
    expect((await get("stacks")).stacks).toEqual([
      {
        name: "shop",
        environment: "prod",
        services: ["web"],
        networks: ["backend"],
        running: 1,
        wanted: 3,
        states: [],
      },
    ]);
  });

  it("shows of a service's variables the names alone, and the newest errors", async () => {
    const container = {
      ...{ Env: ["PASSWORD=hunter2", "EMPTY="], Args: ["serve"], User: "nobody" },
      Secrets: [{ SecretID: "x", SecretName: "key" }],
      Mounts: [{ Type: "volume", Source: "data", Target: "/data" }],
    };
    lab().cluster.add("services", serviceOf("web", { environment: "prod", container }));
    lab().cluster.add("tasks", taskOf("web", "w1", { state: "failed", desired: "shutdown", error: "exit 3" }));
    lab().cluster.add("tasks", taskOf("web", "", { slot: 2, state: "pending", error: "no suitable node" }));

    const { text, body } = await lab().get("services/web");

    expect(body).toMatchObject({
      ...{ env: ["PASSWORD", "EMPTY"], command: ["serve"], entrypoint: [], user: "nobody", secrets: ["key"] },
      ...{ mounts: [{ type: "volume", source: "data", target: "/data", readOnly: false }] },
      errors: ["no suitable node", "exit 3"],
    });
    expect(text).not.toContain("hunter2");
  });

  it("lists the tasks of a service by slot, with node, state and error", async () => {
    lab().cluster.add("services", serviceOf("web", { environment: "prod" }));
    for (const slot of [10, 2]) lab().cluster.add("tasks", taskOf("web", "w1", { slot }));
    lab().cluster.add("tasks", taskOf("web", "m1", { slot: 3, state: "failed", desired: "shutdown", error: "exit 3" }));

    const { tasks } = await get("services/web/tasks");

    expect(tasks).toMatchObject([
      { name: "web.2", node: "w1", state: "running", desired: "running", digest: DIGEST },
      { name: "web.3", node: "m1", state: "failed", desired: "shutdown", error: "exit 3" },
      { name: "web.10" },
    ]);
    expect((await get("tasks?node=m1")).tasks).toMatchObject([{ name: "web.3" }]);
    expect((await get("tasks?node=id-of-w1&state=running")).tasks).toHaveLength(2);
    expect((await get("tasks?desired=shutdown")).tasks).toHaveLength(1);
  });
});

describe("GET networks", () => {
  it("shows subnets, whether it is encrypted, and who hangs on it", async () => {
    const byHand = { ...taskOf("x", "w1"), ServiceID: "", NetworksAttachments: [{ Network: { ID: "id-of-backend" } }] };
    lab().cluster.add("services", serviceOf("web", { environment: "prod", networks: ["id-of-backend"] }));
    lab().cluster.add("services", serviceOf("api", { environment: "prod", networks: ["backend"] }));
    lab().cluster.add("tasks", byHand);
    lab().cluster.add(
      "networks",
      networkOf("backend", { environment: "prod", stack: "shop", more: { Attachable: true } }),
    );
    lab().cluster.add("networks", networkOf("vault", { more: { Options: { encrypted: "" }, Internal: true } }));
    lab().cluster.add("networks", networkOf("bridge", { more: { Scope: "local" } }));

    const { networks } = await get("networks");

    expect(networks).toMatchObject([
      {
        ...{ name: "backend", environment: "prod", stack: "shop", encrypted: false, attachable: true, internal: false },
        ...{ subnets: [{ subnet: "10.0.9.0/24", gateway: "10.0.9.1" }], services: ["api", "web"], others: 1 },
      },
      { name: "vault", encrypted: true, internal: true, services: [], others: 0 },
    ]);
    expect((await get("networks?stack=shop&environment=prod")).networks).toHaveLength(1);
  });
});

describe.each(["secrets", "configs"] as const)("GET %s", (list) => {
  it("shows names, labels and users, and never what is in them", async () => {
    const [field, id] = list === "secrets" ? ["Secrets", "SecretID"] : ["Configs", "ConfigID"];
    lab().cluster.add(list, sealedOf("key", { environment: "prod", labels: { team: "qa" } }));
    lab().cluster.add(list, sealedOf("hidden", { environment: "dev" }));
    const container = { [field]: [{ [id]: "id-of-key" }] };
    lab().cluster.add("services", serviceOf("web", { environment: "prod", container }));
    lab().cluster.add("services", serviceOf("trial", { environment: "dev", container }));

    const { text, body } = await lab().get(list);

    expect(body[list]).toMatchObject([
      {
        name: "key",
        environment: "prod",
        labels: { team: "qa" },
        services: ["web"],
        createdAt: "2026-11-22T09:00:00Z",
      },
    ]);
    expect(text).not.toMatch(/data|bm8gYnV/i);
  });
});

describe("a list of more than a page", () => {
  it("is read to its end by its links, each entry once, with its filters", async () => {
    for (let count = 0; count < 25; count++)
      lab().cluster.add(
        "services",
        serviceOf(`s${String(count).padStart(2, "0")}`, { stack: count % 5 === 0 ? "no" : "yes" }),
      );
    const seen: unknown[] = [];
    let path: string | undefined = "services?stack=yes&limit=7";

    for (let pages = 0; path !== undefined && pages < 9; pages++) {
      const { body, headers } = await lab().get(path);
      seen.push(...(body.services as Loose[]).map(({ name }) => name));
      const next = body.next as string | undefined;
      expect(headers.get("link")).toBe(next === undefined ? null : `<${next}>; rel="next"`);
      path = next?.replace("/api/v1/cluster/", "");
    }

    expect(seen).toHaveLength(20);
    expect(seen).toEqual([...new Set(seen)].sort());
  });
});
