/** What an engine shows of a service, and what the bridge makes of it. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { JsonObject } from "../oci/json.ts";
import { converge } from "./convergence.ts";
import { EngineClient } from "./engine-client.ts";
import { toDefinition } from "./service-definition.ts";
import { parseServiceSpec } from "./service-spec.ts";
import { Swarm } from "./swarm.ts";
import { EngineSimulator } from "./testing/engine-simulator.ts";

let engine: EngineSimulator;
let swarm: Swarm;
beforeAll(async () => {
  engine = await EngineSimulator.start();
  const client = await EngineClient.open({ kind: "unix", socket: engine.socket });
  swarm = new Swarm({ manager: () => client });
});
afterAll(() => engine.stop());
beforeEach(() => engine.reset());

const IMAGE = "r/a/b@sha256:1";
const NOWHERE = { networks: new Map(), secrets: new Map(), configs: new Map() };
function define(more: object = {}): JsonObject {
  const text = JSON.stringify({ name: "web", image: IMAGE, update: { monitor: "450ms" }, ...more });
  const spec = parseServiceSpec(Buffer.from(text));
  return toDefinition({ spec, pinned: IMAGE, ids: NOWHERE, placement: {}, labels: {} });
}
async function send(definition: JsonObject): Promise<void> {
  const held = await swarm.findService("web");
  const body = Buffer.from(JSON.stringify(definition));
  await (held === undefined ? swarm.create(body) : swarm.update(held, body));
}
async function deploy(definition = define(), patienceMs = 60_000) {
  await send(definition);
  const began = performance.now();
  const end = await converge({ swarm, service: "web", definition, patienceMs, onProgress: () => undefined });
  return { end, tookMs: performance.now() - began };
}
const asked = () => engine.asked.filter((line) => line === "GET /tasks").length;

describe("a new service", () => {
  it("has come up when the same tasks ran for as long as its update is watched", async () => {
    const { end, tookMs } = await deploy();

    expect(end).toEqual({ kind: "converged" });
    expect(tookMs).toBeGreaterThanOrEqual(450);
  });

  it("has failed when one replica ended three times, and says of what", async () => {
    engine.crashes.set(IMAGE, { error: "task: non-zero exit (3)" });

    expect((await deploy(define({ replicas: 2 }))).end).toEqual({
      kind: "failed",
      reason: "as replica 1 it ended 3 times; failed: task: non-zero exit (3)",
    });
  });

  it("may fail before it comes up: of an engine that was started anew, or a database that is not there yet", async () => {
    engine.crashes.set(IMAGE, { error: "task: non-zero exit (255)", times: 2 });

    expect((await deploy()).end).toEqual({ kind: "converged" });
  });

  it.each([{ condition: "none" }, { condition: "on-failure" }, { maxAttempts: 1 }])(
    "has failed when the engine does not start it again: %j",
    async (restart) => {
      engine.crashes.set(IMAGE, { error: "task: non-zero exit (3)", isLeft: true });

      expect((await deploy(define({ restart }))).end).toEqual({
        kind: "failed",
        reason: "as replica 1 it ended, and the engine starts it no more; failed: task: non-zero exit (3)",
      });
    },
  );

  it("is there at once where nothing of it shall run", async () => {
    expect((await deploy(define({ replicas: 0, update: { monitor: "1h" } }))).end).toEqual({ kind: "converged" });
  });
});

describe("an update", () => {
  it.each([
    ["limits", { limits: { memoryBytes: 64e6 } }],
    ["reservations", { reservations: { cpus: 0.5 } }],
    ["restart", { restart: { condition: "on-failure" } }],
    ["logging", { logging: { driver: "local" } }],
    ["ports", { ports: [{ target: 80 }] }],
    ["nothing that is the engine's to update", { labels: { a: "b" } }],
  ])("of %s is waited for, though the engine has not begun it yet", async (_what, change) => {
    await send(define());
    engine.lateLooks = 2;
    const before = asked();

    const { end } = await deploy(define(change));

    expect(end).toEqual({ kind: "converged" });
    expect(asked() - before).toBeGreaterThan(2);
  });

  it.each([
    ["a restart policy that was said before", { restart: { condition: "none" } }, {}],
    ["limits, however soon all else is there", {}, { limits: { pids: 5 } }],
  ])("of %s has not come up while tasks are of what was", async (_what, before, after) => {
    await send(define({ ...before, update: { monitor: "1ms" } }));
    engine.lateLooks = 3;
    const already = asked();

    await deploy(define({ ...after, update: { monitor: "1ms" } }));

    expect(asked() - already).toBeGreaterThan(3);
  });

  it("of something else is not over before it has begun, however soon all else is there", async () => {
    await send(define());
    engine.lateLooks = 3;
    const before = asked();

    await deploy(define({ env: { A: "b" }, update: { monitor: "1ms" } }));

    expect(asked() - before).toBeGreaterThan(3);
  });

  it("does not have to answer for what failed before it", async () => {
    engine.crashes.set(IMAGE, { error: "task: non-zero exit (3)", times: 3 });
    expect((await deploy()).end.kind).toBe("failed");
    engine.crashes.clear();

    expect((await deploy(define({ labels: { a: "b" } }))).end).toEqual({ kind: "converged" });
  });
});
