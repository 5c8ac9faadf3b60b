import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { generateSigningKey } from "../../cli/docker-keys/signing-key.ts";
import { pushImage } from "../../cli/trust/testing/trust-lab.ts";
import { CliLab } from "../testing/cli-lab.ts";

const operator = generateSigningKey();
let lab: CliLab;
let pinned: string;
beforeAll(async () => {
  lab = await CliLab.open();
  const image = `${lab.authority}/alice/app`;
  pinned = `${image}@${await pushImage({ app: lab.app, as: "alice", repository: "alice/app" }, "1")}`;
  for (const line of [`trust init ${image}`, `trust sign ${image}:1`])
    expect(await lab.goldseal("alice", line)).toMatchObject({ status: 0 });
  await lab.giveKey("bob", "bob", operator);
  await lab.setPolicy({ bob: operator });
  await lab.startBridge();
});
afterAll(async () => {
  expect(lab.app.errors()).toEqual([]);
  await lab.close();
});
beforeEach(() => lab.engine.reset());
const bob = (line: string) => lab.goldseal("bob", `${line} --environment prod`);
const writes = () => lab.engine.asked.filter((line) => !line.startsWith("GET "));

describe("goldseal deploy, and where it runs", () => {
  it("tells with --dry-run why each node would run it, and changes nothing", async () => {
    const { status, out, err } = await bob("deploy alice/app:1 --name web --replicas 3 --dry-run");

    expect([status, out]).toEqual([0, "one  3  64  61035  fits\n"]);
    expect(err).toBe(`web would run as ${pinned}; nothing is changed\n`);
    expect(writes()).toEqual([]);
  });

  it("tells it as it came with --json", async () => {
    const { out } = await bob("deploy alice/app:1 --name web --dry-run --json");

    expect(JSON.parse(out)).toMatchObject({
      outcome: {
        kind: "done",
        dryRun: true,
        pinned,
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
    await lab.setPolicy({ bob: operator }, { placement: { inject: ["node.role!=manager"] } });

    const { status, err } = await bob("deploy alice/app:1 --name web");

    await lab.setPolicy({ bob: operator });
    expect([status, writes()]).toEqual([1, []]);
    expect(err).toContain(
      "web can run nowhere: node.role!=manager matches 0 of 1 nodes (every node is that) (409 placement)",
    );
  });
});
