import { describe, expect, it } from "vitest";
import { at, type Loose, put } from "../../notary/tuf/testing/loose.ts";
import { bob } from "../../trust/testing/signers.ts";
import { useClusterLab } from "../testing/cluster-lab.ts";
import { readChanges } from "../testing/journal-changes.ts";

const lab = useClusterLab(["m1", "m2", "m3", "w1"]);
const node = (name: string) => {
  const found = lab().cluster.nodes.find((one) => one.name === name);
  if (found === undefined) throw new Error(name);
  return found;
};
/** Nodes belong to all environments, and alice may operate in one alone. */
const update = (body: Loose): Promise<Loose> => lab().order("node.update", body, { by: bob });
const specOf = (name: string): unknown => at(node(name).entry, ["Spec"]);

function goDown(...names: string[]): void {
  for (const name of names) put(["ManagerStatus", "Reachability"], "unreachable")(node(name).entry);
}

describe("node.update", () => {
  it("changes labels, availability and role, and leaves the rest", async () => {
    put(["Spec"], { Name: "n", Labels: { zone: "a", old: "x" }, Role: "worker", Availability: "active" })(
      node("w1").entry,
    );

    const outcome = await update({
      node: "w1",
      labels: { tier: "prod", old: null },
      availability: "pause",
      role: "manager",
    });

    expect(outcome).toEqual({ kind: "done", node: "w1" });
    expect(specOf("w1")).toEqual({
      ...{ Name: "n", Labels: { zone: "a", tier: "prod" }, Role: "manager", Availability: "pause" },
    });
    expect(node("m1").asked).toContain("POST /nodes/id-of-w1/update?version=7");
    expect((await readChanges(lab().lab.folder)).slice(-2)).toMatchObject([
      { event: "change", action: "node.update", name: "w1", user: "bob", wanted: { Availability: "pause" } },
      { event: "changed" },
    ]);
  });

  it("is for those who may operate in every environment", async () => {
    const refusal = await lab().order("node.update", { node: "w1", availability: "drain" });

    expect(refusal).toMatchObject({ status: 403, code: "order", detail: expect.stringContaining("dev") });
    expect(specOf("w1")).toMatchObject({ Availability: "active" });
  });

  it("demotes a manager that the others can do without", async () => {
    expect(await update({ node: "id-of-m3", role: "worker" })).toEqual({ kind: "done", node: "m3" });
    expect(specOf("m3")).toMatchObject({ Role: "worker" });
  });

  it("demotes a manager that is away, for that loses nobody", async () => {
    goDown("m3");

    expect(await update({ node: "m3", role: "worker" })).toMatchObject({ kind: "done" });
  });

  it("refuses to demote one that the quorum needs, and says how many would be left", async () => {
    goDown("m3");

    const refusal = await update({ node: "m2", role: "worker" });

    expect(refusal).toMatchObject({ status: 409, code: "conflict" });
    expect(refusal.detail).toContain("lose their quorum: 1 of 2 would be reachable, and it takes 2");
    expect(specOf("m2")).toMatchObject({ Role: "manager" });
  });

  it("refuses to demote the only manager, and the only one that the bridge reaches", async () => {
    await lab().stop();
    lab().config = { engines: { m1: `unix://${node("m1").socket}` } };
    await lab().start();
    expect(await update({ node: "m1", role: "worker" })).toMatchObject({
      ...{ status: 409, detail: expect.stringContaining("reaches the cluster by m1 alone") },
    });

    for (const name of ["m2", "m3"]) put(["Spec", "Role"], "worker")(node(name).entry);
    expect(await update({ node: "m1", role: "worker" })).toMatchObject({
      ...{ status: 409, detail: "m1 is the cluster's only manager" },
    });
  });

  it("drains a node, but not the last one that takes tasks", async () => {
    for (const name of ["m1", "m2"]) put(["Spec", "Availability"], "drain")(node(name).entry);
    put(["Status", "State"], "down")(node("m3").entry);
    put(["Spec", "Availability"], "pause")(node("m3").entry);

    const refusal = await update({ node: "w1", availability: "drain" });
    expect(refusal).toMatchObject({ status: 409, detail: expect.stringContaining("no other node takes tasks") });

    put(["Spec", "Availability"], "active")(node("m2").entry);
    expect(await update({ node: "w1", availability: "drain" })).toMatchObject({ kind: "done" });
  });

  it.each([
    ["a node that is not there", { node: "w9", role: "worker" }, 404, "no node w9"],
    ["nothing", { node: "w1" }, 403, "nothing is to change"],
    ["a label of the bridge's", { node: "w1", labels: { "goldseal.x": "y" } }, 403, "labels"],
    ["what a node has not", { node: "w1", name: "w2" }, 403, "name"],
    ["an availability that is none", { node: "w1", availability: "off" }, 403, "availability"],
  ])("refuses %s", async (_what, body, status, detail) => {
    expect(await update(body)).toMatchObject({ status, detail: expect.stringContaining(detail) });
  });

  it("refuses a host name that two nodes have", async () => {
    lab().cluster.add("nodes", { ...node("w1").entry, ID: "another" });

    expect(await update({ node: "w1", role: "worker" })).toMatchObject({
      detail: "the cluster has more than one node w1",
    });
  });
});

describe("a change of which nobody knows whether it was done", () => {
  const silence = (when: "before" | "after"): void => {
    const manager = node("m1");
    manager.attack = (method, path, response) => {
      if (method !== "POST") return false;
      if (when === "after")
        lab().cluster.lists.nodes?.forEach((entry) => {
          if (entry.ID === "id-of-w1") put(["Spec", "Availability"], "pause")(entry);
        });
      return path.endsWith("/update") && response.destroy() && true;
    };
  };

  it.each([
    ["at a start", "after", "changed"],
    ["at a start", "before", "not-changed"],
    ["while the bridge runs", "after", "changed"],
  ] as const)("is looked at %s: the engine fell silent %s it was done", async (moment, when, event) => {
    silence(when);
    const outcome = await update({ node: "w1", availability: "pause" });
    expect(outcome).toMatchObject({ code: "silent" });
    // The bridge looks again every few seconds, and may have looked by now.
    const told = (await readChanges(lab().lab.folder)).filter((line) => String(line.event).endsWith("changed"));
    expect(told.filter(({ reason }) => reason !== "found afterwards")).toEqual([]);
    node("m1").attack = () => false;

    if (moment === "at a start") {
      await lab().stop();
      await lab().start();
    }

    await expect
      .poll(async () => (await readChanges(lab().lab.folder)).at(-1))
      .toMatchObject({ event, reason: "found afterwards" });
  });
});
