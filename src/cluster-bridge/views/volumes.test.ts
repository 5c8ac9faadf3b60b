import { describe, expect, it } from "vitest";
import type { Loose } from "../../notary/tuf/testing/loose.ts";
import { containerOf, serviceOf, volumeOf } from "../testing/cluster-entries.ts";
import { useClusterLab } from "../testing/cluster-lab.ts";

const lab = useClusterLab();
const node = (name: string) => {
  const found = lab().cluster.nodes.find((one) => one.name === name);
  if (found === undefined) throw new Error(name);
  return found;
};
const found = async (query: string, user = "alice"): Promise<unknown> => {
  const { body } = await lab().get(`volumes${query}`, user);
  return (body.volumes as Loose[]).map(({ name, node: where }) => `${name}@${where}`);
};

function addVolumes(): void {
  node("w1").volumes = [
    volumeOf("certs", { labels: { kind: "tls", empty: "" }, stack: "shop" }),
    volumeOf("data", { driver: "glusterfs", environment: "prod" }),
  ];
  node("w2").volumes = [volumeOf("certs-old"), volumeOf("certs", { labels: { kind: "ssh" } })];
  node("w1").containers = [
    containerOf("web.1", "certs", "web"),
    containerOf("backup", "certs"),
    containerOf("x", "other"),
  ];
  node("w2").containers = [containerOf("trial.1", "certs", "trial")];
  lab().cluster.add("services", serviceOf("web", { environment: "prod" }), serviceOf("trial", { environment: "dev" }));
}

describe("GET volumes", () => {
  it.each([
    ["", ["certs@w1", "certs@w2", "certs-old@w2", "data@w1"]],
    ["?name=cert", ["certs@w1", "certs@w2", "certs-old@w2"]],
    ["?name=old", ["certs-old@w2"]],
    ["?name=CERT", []],
    ["?name=certs&node=w2", ["certs@w2", "certs-old@w2"]],
    ["?node=id-of-w1", ["certs@w1", "data@w1"]],
    ["?label=kind", ["certs@w1", "certs@w2"]],
    ["?label=kind%3Dssh", ["certs@w2"]],
    ["?label=empty%3D", ["certs@w1"]],
    ["?label=constructor", []],
    ["?driver=glusterfs", ["data@w1"]],
    ["?stack=shop", ["certs@w1"]],
    ["?orphaned=true", ["certs-old@w2", "data@w1"]],
    ["?orphaned=false", ["certs@w1", "certs@w2"]],
    ["?environment=prod", ["certs@w1", "data@w1"]],
  ])("finds with %s on whichever node it is", async (query, expected) => {
    addVolumes();

    expect(new Set((await found(query)) as string[])).toEqual(new Set(expected));
  });

  it("says which containers mount each, of those that the user may see", async () => {
    addVolumes();

    const { body, text } = await lab().get("volumes?name=certs");

    expect(body.volumes).toMatchObject([
      { name: "certs-old", node: "w2", orphaned: true, containers: [], others: 0 },
      {
        ...{ name: "certs", node: "w1", driver: "local", stack: "shop", orphaned: false, others: 0 },
        containers: [
          { name: "web.1", service: "web", state: "running" },
          { name: "backup", state: "running" },
        ],
      },
      { name: "certs", node: "w2", orphaned: false, containers: [], others: 1 },
    ]);
    expect(text).not.toMatch(/hunter2|secret\/path/);
    expect((await lab().get("volumes?name=certs&node=w2&limit=1&after=certs/", "bob")).body.volumes).toMatchObject([
      { containers: [{ service: "trial" }], others: 0 },
    ]);
  });

  it("names the node that does not answer, and shows what the others have", async () => {
    addVolumes();
    node("w1").attack = (_method, path, response) => path === "/volumes" && response.destroy() && true;

    const { body } = await lab().get("volumes?name=certs");

    expect(body.unreachable).toEqual([{ node: "w1", reason: expect.stringContaining("GET /volumes: ") }]);
    expect((body.volumes as Loose[]).map(({ node: where }) => where)).toEqual(["w2", "w2"]);
  });

  it("asks only the node that is meant", async () => {
    addVolumes();

    await found("?node=w2");

    expect(node("w1").asked.filter((line) => line.includes("/volumes"))).toEqual([]);
    expect(node("w2").asked.filter((line) => line.includes("/volumes"))).toHaveLength(1);
  });
});
