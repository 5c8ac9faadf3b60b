import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { pushParts, putManifest } from "../testing/images.ts";
import { openTestApp, type TestApp } from "../testing/open-test-app.ts";
import { type FakeBridge, linesOf, startFakeBridge } from "./testing/fake-bridge.ts";

let bridge: FakeBridge;
let app: TestApp;
/** All that runs. */
const running: object[] = [];

beforeAll(async () => {
  bridge = await startFakeBridge();
  app = await openTestApp({ GOLDSEAL_BRIDGE_URL: bridge.url });
  await app.addOrg("ops");
});
afterAll(async () => {
  expect(app.errors()).toEqual([]);
  await app[Symbol.asyncDispose]();
  await bridge.close();
});

async function push(name: string): Promise<string> {
  const place = { app, as: "admin", repository: "ops/app" };
  const { headers } = await putManifest(place, name, (await pushParts(place, name)).manifest);
  return String(headers["docker-content-digest"]);
}
const pin = (digest: string): string => `registry.test/ops/app@${digest}`;

/** As the bridge does it: the registry hears of the image before the cluster, and what came of the order at last. */
async function order({ action = "service.deploy", name, runs, outcome }: Order, as = "alice"): Promise<void> {
  bridge.answer = async (response) => {
    running.push(...runs.map((one) => ({ environment: "prod", repository: "ops/app", state: "running", ...one })));
    const body = JSON.stringify({ deployed: running });
    expect((await app.ask("PUT", "/api/v1/cluster-agent/digests", { as: "admin", body })).status).toBe(200);
    linesOf({ outcome })(response);
  };
  const path =
    action === "service.deploy" ? "deployments?environment=prod" : `cluster/orders?environment=prod&action=${action}`;
  const body = JSON.stringify({ name });
  await app.ask("POST", `/api/v1/${path}`, { as, headers: { "goldseal-order": "a.b.c" }, body });
}

interface Order {
  readonly action?: string;
  readonly name: string;
  readonly runs: readonly { readonly service: string; readonly digest: string }[];
  readonly outcome: object;
}

/** Who deployed the image, by what it says of where. */
async function deployers(digest: string): Promise<Record<string, string>> {
  const { body } = await app.ask("GET", `/api/v1/history?digest=${digest}`, { as: "admin" });
  const { history }: { history: { kind: string; by: string[]; detail: { where: string } }[] } = JSON.parse(
    body.toString(),
  );
  const own = history.filter(({ kind }) => kind === "deployed" || kind === "kept");
  return Object.fromEntries(own.map(({ by, detail }) => [detail.where, by.join()]));
}

describe("what the history says of a deployment", () => {
  it("names who ordered the service, and only of the image that came of it", async () => {
    const [one, two] = [await push("one"), await push("two")];
    const web = { service: "web", digest: one };
    await order({ name: "web", runs: [web], outcome: { kind: "deployed", pinned: pin(one) } });
    const failed = { kind: "failed", reason: "it exits", rolledBackTo: pin(one) };
    await order(
      {
        name: "api",
        runs: [
          { service: "api", digest: two },
          { service: "web_2", digest: one },
        ],
        outcome: failed,
      },
      "bob",
    );

    await expect.poll(() => deployers(one)).toEqual({ "runs in prod as web": "alice", "runs in prod as web_2": "" });
    await expect.poll(() => deployers(two)).toEqual({ "runs in prod as api": "" });
  });

  it("names who ordered the stack that the service is of", async () => {
    const [one, two] = [await push("three"), await push("four")];
    const services = {
      my_shop_web: { kind: "deployed", pinned: pin(one) },
      my_shop_db: { kind: "deployed", pinned: pin(two) },
    };
    const runs = [
      { service: "my_shop_web", digest: one },
      { service: "my_shop_db", digest: two },
      { service: "my_shop_web", digest: two, state: "rollback" },
      { service: "my_other", digest: two },
    ];
    await order(
      { action: "stack.deploy", name: "my_shop", runs, outcome: { kind: "done", stack: "my_shop", services } },
      "bob",
    );

    await expect.poll(() => deployers(one)).toEqual({ "runs in prod as my_shop_web": "bob" });
    await expect
      .poll(() => deployers(two))
      .toEqual({
        "runs in prod as my_shop_db": "bob",
        "is kept in prod for a rollback of my_shop_web": "",
        "runs in prod as my_other": "",
      });
  });

  it("names nobody for what is kept to go back to", async () => {
    const [one, two] = [await push("before"), await push("now")];
    await order({
      name: "kept",
      runs: [{ service: "kept", digest: one }],
      outcome: { kind: "deployed", pinned: pin(one) },
    });
    running.splice(0);
    const runs = [
      { service: "kept", digest: two },
      { service: "kept", digest: one, state: "rollback" },
    ];

    await order({ name: "kept", runs, outcome: { kind: "deployed", pinned: pin(two) } }, "bob");

    await expect.poll(() => deployers(two)).toEqual({ "runs in prod as kept": "bob" });
    expect(await deployers(one)).toEqual({
      "ran in prod as kept": "alice",
      "is kept in prod for a rollback of kept": "",
    });
  });

  it("names nobody for an order long after, or before", async () => {
    const digest = await push("five");
    const deployed = { kind: "deployed", pinned: pin(digest) };
    await order({ name: "later", runs: [{ service: "later", digest }], outcome: deployed });
    await expect.poll(() => deployers(digest)).toEqual({ "runs in prod as later": "alice" });

    for (const [shift, who] of [
      ["- interval '7 hours'", ""],
      ["+ interval '2 hours'", "alice"],
      ["+ interval '5 hours 30 seconds'", "alice"],
      ["+ interval '5 minutes'", ""],
    ]) {
      await app.database.query("", `update deployments set since = since ${shift} where digest = $1`, [digest]);
      await expect.poll(() => deployers(digest)).toEqual({ "runs in prod as later": who });
    }
  });
});
