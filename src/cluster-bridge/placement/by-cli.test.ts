import { describe, expect, it } from "vitest";
import { useOperatorLab } from "../testing/operator-lab.ts";

const { lab, bob, setPolicy, pinned } = useOperatorLab({ signed: ["1"] });
const writes = () => lab().engine.asked.filter((line) => !line.startsWith("GET "));

describe("goldseal deploy, and where it runs", () => {
  it("tells with --dry-run why each node would run it, and changes nothing", async () => {
    const { status, out, err } = await bob("deploy alice/app:1 --name web --replicas 3 --dry-run");

    expect([status, out]).toEqual([0, "one  3  64  61035  fits\n"]);
    expect(err).toBe(`web would run as ${pinned("1")}; nothing is changed\n`);
    expect(writes()).toEqual([]);
  });

  it("tells it as it came with --json", async () => {
    const { out } = await bob("deploy alice/app:1 --name web --dry-run --json");

    expect(JSON.parse(out)).toMatchObject({
      outcome: {
        kind: "done",
        dryRun: true,
        pinned: pinned("1"),
        placement: { strategy: "spread", nodes: [{ node: "one", tasks: 1 }] },
      },
    });
  });

  it("tells where tasks go while it deploys", async () => {
    const { status, err } = await bob("deploy alice/app:1 --name web --replicas 2");

    expect(status).toBe(0);
    expect(err.split("\n")).toContain("placed by spread: one 2");
  });

  it("says why it can run nowhere, and the engine hears nothing", async () => {
    await setPolicy({ placement: { inject: ["node.role!=manager"] } });

    const { status, err } = await bob("deploy alice/app:1 --name web");

    await setPolicy();
    expect([status, writes()]).toEqual([1, []]);
    expect(err).toContain(
      "web can run nowhere: node.role!=manager matches 0 of 1 nodes (every node is that) (409 placement)",
    );
  });
});
