import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { request, type ServerResponse } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { freePort } from "../../conformance/harness/port.ts";
import { digestOf } from "../oci/digest.ts";
import { basic, openTestApp, type TestApp } from "../testing/open-test-app.ts";
import { type FakeBridge, linesOf, problemOf, startFakeBridge } from "./testing/fake-bridge.ts";

const SECRET = "s".repeat(32);
const SPEC = JSON.stringify({ name: "web", image: "r/ops/app:1" });
const DEPLOY = "/api/v1/deployments?environment=prod";
let folder: string;
let bridge: FakeBridge;
let app: TestApp;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "goldseal-relay-"));
  await writeFile(join(folder, "secret"), `${SECRET}\n`);
  bridge = await startFakeBridge();
  const secretFile = join(folder, "secret");
  app = await openTestApp({ GOLDSEAL_BRIDGE_URL: bridge.url, GOLDSEAL_BRIDGE_SECRET_FILE: secretFile });
});
afterAll(async () => {
  await app[Symbol.asyncDispose]();
  await bridge.close();
  await rm(folder, { recursive: true });
});
beforeEach(() => {
  bridge.asked.length = 0;
});

const deploy = (headers: Record<string, string> = { "goldseal-order": "a.b.c" }) =>
  app.ask("POST", DEPLOY, { as: "alice", headers, body: SPEC });

/** What is on record of the cluster, newest first. */
async function recorded(action: string): Promise<Record<string, unknown>[]> {
  const { body } = await app.ask("GET", `/api/v1/audit?action=${action}&limit=100`, { as: "admin" });
  return JSON.parse(body.toString()).entries;
}
const toJson = (body: Buffer) => JSON.parse(body.toString());

describe("an order", () => {
  it("goes to the bridge as it came, with who sent it, and its lines come back", async () => {
    const outcome = { kind: "deployed", pinned: "r/ops/app@sha256:1" };
    bridge.answer = linesOf({ progress: { running: 1 } }, { outcome });

    const answer = await deploy({ "goldseal-order": "a.b.c", "goldseal-break-glass": "e30", "x-other": "1" });

    expect([answer.status, answer.headers["content-type"]]).toEqual([200, "application/x-ndjson"]);
    expect(answer.body.toString()).toBe(`{"progress":{"running":1}}\n${JSON.stringify({ outcome })}\n`);
    const [{ line, headers, body } = { line: "", headers: {}, body: "" }] = bridge.asked;
    expect([line, body]).toEqual([`POST ${DEPLOY}`, SPEC]);
    expect(headers).toMatchObject({
      ...{ "goldseal-order": "a.b.c", "goldseal-break-glass": "e30" },
      ...{ "goldseal-user": "alice", "goldseal-relay": SECRET },
    });
    expect(headers).not.toHaveProperty("x-other");
    expect(headers).not.toHaveProperty("authorization");
  });

  it("is on record when it is taken, and again with what came of it", async () => {
    bridge.answer = linesOf({ outcome: { kind: "failed", reason: "it exits", rolledBackTo: "r@1" } });

    await deploy();

    const asked = { action: "service.deploy", environment: "prod", name: "web", body: digestOf(SPEC) };
    expect(await recorded("deployment-order")).toContainEqual(
      expect.objectContaining({ actor: "alice", outcome: "done", detail: expect.objectContaining({ asked }) }),
    );
    expect((await recorded("service.deploy"))[0]).toMatchObject({
      ...{ actor: "alice", outcome: "done", target: "prod/web" },
      detail: { ...asked, outcome: { kind: "failed", reason: "it exits" } },
    });
  });

  it.each(["secret.create", "stack.deploy"])(
    "%s leaves nothing by which a guess of a secret could be told",
    async (action) => {
      bridge.answer = linesOf({ outcome: { kind: "done" } });

      await app.ask("POST", `/api/v1/cluster/orders?environment=prod&action=${action}`, { as: "alice", body: SPEC });

      const { body } = await app.ask("GET", "/api/v1/audit?limit=100", { as: "admin" });
      const own = toJson(body).entries.filter((entry: object) => JSON.stringify(entry).includes(`"${action}"`));
      expect(own.length).toBe(2);
      expect(JSON.stringify(own)).not.toContain(digestOf(SPEC));
    },
  );

  it("that the bridge refuses is refused in its words, on record, with an id to ask about", async () => {
    bridge.answer = problemOf(403, "unsigned", "nothing is signed as the tag 1");

    const answer = await deploy();

    const { decision, ...problem } = toJson(answer.body);
    expect([answer.status, answer.headers["content-type"]]).toEqual([403, "application/problem+json"]);
    const detail = "nothing is signed as the tag 1";
    expect(problem).toEqual({ type: "about:blank", title: "unsigned", status: 403, code: "unsigned", detail });
    const why = await app.ask("GET", `/api/v1/explain/${decision}`, { as: "alice" });
    expect(toJson(why.body)).toMatchObject({
      actor: "alice",
      action: "service.deploy",
      outcome: "refused",
      says: detail,
    });
  });

  it("that is refused after it began says so in its last line, with an id too", async () => {
    bridge.answer = linesOf(
      { waiting: true },
      { outcome: { kind: "refuse", code: "ENGINE", reason: "no such network" } },
    );

    const lines = (await deploy()).body.toString().trimEnd().split("\n");

    const { decision, outcome } = JSON.parse(lines[1] ?? "");
    expect(outcome).toEqual({ kind: "refuse", code: "ENGINE", reason: "no such network" });
    const why = await app.ask("GET", `/api/v1/explain/${decision}`, { as: "alice" });
    expect(toJson(why.body)).toMatchObject({ outcome: "refused", says: "no such network" });
  });

  it("is put on record to its end though nobody listens any more", async () => {
    const before = (await recorded("service.remove")).length;
    const answering = Promise.withResolvers<ServerResponse>();
    bridge.answer = (response) => {
      response.writeHead(200, { "content-type": "application/x-ndjson" }).write('{"waiting":true}\n');
      answering.resolve(response);
    };
    const ended = () => app.log.filter(({ event, route }) => event === "http" && route === "cluster-order").length;
    const endedBefore = ended();
    const path = "/api/v1/cluster/orders?environment=prod&action=service.remove";
    const headers = { authorization: basic("alice"), "goldseal-order": "a.b.c" };
    const asking = request({ host: "127.0.0.1", port: app.port, method: "POST", path, headers });
    asking.on("error", () => undefined);
    asking.end(SPEC);
    await new Promise((resolve) => asking.once("response", (incoming) => incoming.once("data", resolve)));

    asking.destroy();
    const telling = await answering.promise;
    // Nobody can be told this, and the exchange with who went away is over.
    telling.write('{"waiting":true}\n');
    await expect.poll(ended).toBe(endedBefore + 1);
    telling.end('{"outcome":{"kind":"done","removed":"web"}}\n');

    await expect.poll(async () => (await recorded("service.remove")).length).toBe(before + 1);
    expect((await recorded("service.remove"))[0]).toMatchObject({ detail: { outcome: { kind: "done" } } });
  });

  it("of which the bridge breaks off breaks off here too, and what came of it is on record as unknown", async () => {
    bridge.answer = (response) => {
      response.writeHead(200).write('{"waiting":true}\n', () => response.destroy());
    };

    await expect(deploy()).rejects.toThrow();

    await expect
      .poll(async () => (await recorded("service.deploy"))[0])
      .toMatchObject({ detail: { outcome: "unknown: the bridge broke off" } });
  });

  it("is taken from whoever signs in alone", async () => {
    expect(await app.ask("POST", DEPLOY, { body: SPEC })).toMatchObject({ status: 401, code: "unauthorized" });
    expect(bridge.asked).toEqual([]);
  });

  it("is at most 1 MiB long", async () => {
    const answer = await app.ask("POST", DEPLOY, { as: "alice", body: " ".repeat(1024 * 1024 + 1) });

    expect(answer).toMatchObject({ status: 413, code: "body-too-large" });
    expect(bridge.asked).toEqual([]);
  });
});

describe("a look at the cluster", () => {
  it("goes to the bridge as who is signed in, with its query, and its answer comes back", async () => {
    bridge.answer = (response) =>
      void response
        .writeHead(200, { "content-type": "application/json", etag: '"1"', "x-inner": "1" })
        .end('{"services":[]}');

    const answer = await app.ask("GET", "/api/v1/cluster/services?environment=prod&limit=5", { as: "bob" });

    expect([answer.status, toJson(answer.body), answer.headers.etag]).toEqual([200, { services: [] }, '"1"']);
    expect(answer.headers).not.toHaveProperty("x-inner");
    expect(bridge.asked).toEqual([
      expect.objectContaining({
        line: "GET /api/v1/cluster/services?environment=prod&limit=5",
        headers: expect.objectContaining({ "goldseal-user": "bob", "goldseal-relay": SECRET }),
      }),
    ]);
  });

  it("cannot be had in another's name", async () => {
    bridge.answer = linesOf({});

    await app.ask("GET", "/api/v1/cluster/nodes", {
      as: "bob",
      headers: { "goldseal-user": "admin", "goldseal-relay": "x" },
    });

    expect(bridge.asked[0]?.headers).toMatchObject({ "goldseal-user": "bob", "goldseal-relay": SECRET });
  });

  it("that is refused is on record; one that leads nowhere is not", async () => {
    bridge.answer = problemOf(403, "forbidden", "bob may not view prod");
    const refused = await app.ask("GET", "/api/v1/cluster/services/web/logs?environment=prod", { as: "bob" });
    bridge.answer = problemOf(404, "missing", "there is no service web");
    const missing = await app.ask("GET", "/api/v1/cluster/services/web", { as: "bob" });

    expect([refused.status, toJson(refused.body).decision]).toEqual([403, expect.any(String)]);
    expect([missing.status, toJson(missing.body)]).toEqual([
      404,
      expect.not.objectContaining({ decision: expect.any(String) }),
    ]);
    expect(await recorded("cluster-service-logs")).toEqual([
      expect.objectContaining({ actor: "bob", outcome: "refused", target: "cluster/services/web/logs" }),
    ]);
    expect(await recorded("cluster-service")).toEqual([]);
  });

  it("into an environment that is not there for the user is on record too", async () => {
    bridge.answer = problemOf(404, "not-found", "there is no environment dev");

    const hidden = await app.ask("GET", "/api/v1/cluster/networks?environment=dev", { as: "bob" });

    expect([hidden.status, toJson(hidden.body).decision]).toEqual([404, expect.any(String)]);
    expect(await recorded("cluster-networks")).toEqual([
      expect.objectContaining({
        ...{ actor: "bob", outcome: "refused", target: "cluster/networks" },
        detail: expect.objectContaining({ message: "there is no environment dev" }),
      }),
    ]);
  });

  it("at what a service wrote is on record: who, of which service, of which environment; other looks are not", async () => {
    bridge.answer = (response) =>
      void response
        .writeHead(200, { "content-type": "application/x-ndjson", "goldseal-environment": "prod" })
        .end('{"text":"x"}\n');

    const answer = await app.ask("GET", "/api/v1/cluster/services/api/logs?tail=5", { as: "alice" });
    await app.ask("GET", "/api/v1/cluster/tasks", { as: "alice" });

    expect([answer.status, answer.body.toString()]).toEqual([200, '{"text":"x"}\n']);
    expect((await recorded("cluster-service-logs")).filter(({ outcome }) => outcome === "done")).toEqual([
      expect.objectContaining({
        ...{ actor: "alice", target: "cluster/services/api/logs" },
        detail: expect.objectContaining({ service: "api", environment: "prod" }),
      }),
    ]);
    expect(await recorded("cluster-tasks")).toEqual([]);
  });
});

describe("a bridge that is not there", () => {
  it("is said to be away, and nothing was done", async () => {
    const nowhere = `http://127.0.0.1:${await freePort()}`;
    await using node = await app.openAnother({ GOLDSEAL_BRIDGE_URL: nowhere });

    const answer = await node.ask("POST", DEPLOY, { as: "alice", body: SPEC });

    expect(answer).toMatchObject({ status: 503, code: "bridge-away" });
  });

  it("is not told from any path that leads nowhere, where none is configured", async () => {
    await using plain = await openTestApp();

    const [relayed, nowhere] = [
      await plain.ask("GET", "/api/v1/cluster/nodes", { as: "alice" }),
      await plain.ask("GET", "/api/v1/cluster/none", { as: "alice" }),
    ];

    expect([relayed.status, relayed.body.toString()]).toEqual([404, nowhere.body.toString()]);
  });

  it("that hangs up without an answer may have done it, which is said", async () => {
    bridge.answer = (response) => void response.destroy();

    expect(await deploy()).toMatchObject({ status: 502, code: "bridge-silent" });
  });
});
