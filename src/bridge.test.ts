// First: see cluster-bridge/testing/bridge-lab.ts.
import "node:https";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type RunningBridge, readBridgeConfig, startBridge } from "./bridge.ts";
import { createLog } from "./http/log.ts";
import { alice, spkiText } from "./trust/testing/signers.ts";

const lines: string[] = [];
const log = createLog({ write: (line) => lines.push(line) });
let folder: string;
let bridge: RunningBridge;

const write = async (more: object = {}): Promise<string> => {
  const config = {
    // Nobody listens there: the bridge starts all the same, and says what is missing.
    ...{ registry: "https://localhost:1", engine: `unix://${folder}/none.sock`, listen: "127.0.0.1:0", store: "store" },
    policyKeys: { keys: [spkiText(alice)], threshold: 1 },
    pins: [{ gun: "localhost:1/ops/*", rootKeys: ["a".repeat(64)] }],
    ...more,
  };
  await writeFile(join(folder, "bridge.yaml"), JSON.stringify(config));
  return join(folder, "bridge.yaml");
};

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "goldseal-bridge-"));
  bridge = await startBridge(await readBridgeConfig(await write()), { log });
});
afterEach(async () => {
  await bridge.stop();
  await rm(folder, { recursive: true });
});

const ask = async (path: string, init: RequestInit = {}) => {
  const answer = await fetch(`${bridge.url}${path}`, init);
  const text = await answer.text();
  return { status: answer.status, type: answer.headers.get("content-type"), body: text === "" ? {} : JSON.parse(text) };
};

it("stops at once where its engine is silent", async () => {
  const socket = join(folder, "silent.sock");
  const silent = createServer((connection) => connection.resume());
  const heard = once(silent, "connection");
  await once(silent.listen(socket), "listening");
  await bridge.stop();
  bridge = await startBridge(await readBridgeConfig(await write({ engine: `unix://${socket}` })), { log });
  await heard;

  await bridge.stop();

  // Nothing of it is left open.
  silent.close();
  await once(silent, "close");
  bridge = await startBridge(await readBridgeConfig(await write()), { log });
});

describe("the bridge's listener", () => {
  it("lives without registry and engine, and is not ready, with each fault", async () => {
    expect(await ask("/healthz")).toMatchObject({ status: 200 });
    const { status, body } = await ask("/readyz");
    expect([status, body.ready]).toEqual([503, false]);
    expect(body.faults).toEqual([
      expect.stringMatching(/^GET \/version: .*none\.sock/),
      expect.stringMatching(/^https:\/\/localhost:1\/api\/v1\/policies\/bridge: /),
    ]);
  });

  it("tells its figures", async () => {
    const answer = await fetch(`${bridge.url}/metrics`);

    expect([answer.status, answer.headers.get("content-type")]).toEqual([
      200,
      "text/plain; version=0.0.4; charset=utf-8",
    ]);
    expect(await answer.text()).toMatch(/^goldseal_bridge_pull_secrets\{state="failing"\} 0$/m);
  });

  it.each<[string, string, RequestInit, number, string]>([
    ["without an order", "/api/v1/deployments?environment=prod", { method: "POST", body: "{}" }, 400, "request"],
    ["without an action", "/api/v1/cluster/orders?environment=prod", { method: "POST", body: "{}" }, 400, "request"],
    [
      "for an action that is none",
      "/api/v1/cluster/orders?environment=prod&action=constructor",
      { method: "POST", body: "{}", headers: { "goldseal-order": "a.b.c" } },
      400,
      "request",
    ],
    [
      "with a break-glass statement that is none",
      "/api/v1/deployments?environment=prod",
      { method: "POST", body: "{}", headers: { "goldseal-order": "a.b.c", "goldseal-break-glass": "a+b" } },
      400,
      "request",
    ],
    [
      "with a break-glass statement for something else than a deployment",
      "/api/v1/cluster/orders?environment=prod&action=service.remove",
      { method: "POST", body: "{}", headers: { "goldseal-order": "a.b.c", "goldseal-break-glass": "e30" } },
      400,
      "request",
    ],
    ["of nothing", "/api/v1/services", {}, 404, "request"],
    ["by a method that is none", "/api/v1/deployments", { method: "DELETE" }, 405, "request"],
    [
      "with a specification without end",
      "/api/v1/deployments",
      { method: "POST", body: " ".repeat(1024 * 1024 + 1), headers: { "goldseal-order": "a.b.c" } },
      413,
      "too-large",
    ],
    [
      "while the registry is down",
      "/api/v1/deployments?environment=prod",
      { method: "POST", body: "{}", headers: { "goldseal-order": "a.b.c" } },
      502,
      "registry",
    ],
  ])("answers a problem to a request %s", async (_what, path, init, status, code) => {
    expect(await ask(path, init)).toMatchObject({ status, type: "application/problem+json", body: { status, code } });
    expect(lines.filter((line) => line.includes('"level":"error"'))).toEqual([]);
  });
});

describe("startBridge", () => {
  it("is alone in its store, until it has stopped", async () => {
    const config = await readBridgeConfig(join(folder, "bridge.yaml"));
    await expect(startBridge(config, { log })).rejects.toMatchObject({
      code: "STORE",
      message: expect.stringContaining("another bridge works"),
    });
    await bridge.stop();

    bridge = await startBridge(config, { log });

    expect((await ask("/healthz")).status).toBe(200);
  });

  it("reports every mistake of its file, and a file that is not there", async () => {
    await write({ registry: "http://localhost", skip: true });

    await expect(readBridgeConfig(join(folder, "bridge.yaml"))).rejects.toMatchObject({
      name: "ConfigError",
      mistakes: [expect.stringContaining("registry: an origin"), expect.stringContaining('"skip"')],
    });
    await expect(readBridgeConfig(join(folder, "none.yaml"))).rejects.toMatchObject({ name: "ConfigError" });
  });
});
