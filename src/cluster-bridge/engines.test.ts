import { once } from "node:events";
import { rm } from "node:fs/promises";
import type { ServerResponse } from "node:http";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Engines } from "./engines.ts";
import { EngineSimulator } from "./testing/engine-simulator.ts";

const engines: EngineSimulator[] = [];

beforeEach(async () => {
  engines.push(...(await Promise.all([1, 2, 3].map(() => EngineSimulator.start()))));
  for (const [index, engine] of engines.entries())
    engine.facts = { ...engine.facts, NodeID: `node-${index + 1}`, ControlAvailable: index < 2 };
});
afterEach(async () => {
  await Promise.all(engines.splice(0).map((engine) => engine.stop()));
});

const at = (index: number): EngineSimulator => engines[index] as EngineSimulator;
const unix = (index: number) => ({ kind: "unix" as const, socket: at(index).socket });
/** `engine` is the first, `engines` names the second and third. */
const open = () =>
  Engines.open({
    engine: unix(0),
    engines: new Map([
      ["two", unix(1)],
      ["three", unix(2)],
    ]),
  });
const says = (status: number, message: string) => (_method: string, path: string, response: ServerResponse) => {
  if (path === "/info") return false;
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify({ message }));
  return true;
};
const UNGUARDED = "plugin goldseal failed with error: AuthZPlugin";
/** Nobody listens there any more. */
const unplug = (index: number) => rm(at(index).socket);

describe("Engines", () => {
  it("knows engines by the names of the configuration, and the manager by what it says of itself", async () => {
    const opened = await open();
    await opened.refresh();

    expect(opened.each().map(({ name }) => name)).toEqual(["engine", "two", "three"]);
    expect(opened.get("two")).toBe(opened.each()[1]?.client);
    expect(opened.find({ id: "node-9", hostname: "three" })?.facts?.nodeId).toBe("node-3");
    expect(opened.find({ id: "node-1", hostname: "one" })?.name).toBe("engine");
    expect(opened.find({ id: "node-4", hostname: "four" })).toBeUndefined();
  });

  it("names an engine once that stands there twice", async () => {
    const opened = await Engines.open({ engine: unix(0), engines: new Map([["one", unix(0)]]) });

    expect(opened.each().map(({ name }) => name)).toEqual(["one"]);
  });
});

describe("closed", () => {
  it("it waits for no engine that is silent, and asks none again", async () => {
    const opened = await open();
    at(0).attack = () => true;
    const [reading, changing, streaming] = [
      opened.manager().list("/services"),
      opened.manager().call("POST", "/services/create", { body: Buffer.from("{}") }),
      opened.manager().stream("/events", new AbortController().signal),
    ];
    await expect.poll(() => at(0).asked.length).toBe(3);

    opened.close();

    const silent = { code: "SILENT", message: expect.stringMatching(/: the bridge is stopping$/) };
    // Looked at together: each may be the first to end.
    await Promise.all([reading, changing, streaming].map((one) => expect(one).rejects.toMatchObject(silent)));
    await expect(opened.manager().list("/services")).rejects.toMatchObject(silent);
    expect(engines.flatMap(({ asked }) => asked).length).toBe(3);
  });
});

describe("the manager", () => {
  it("is the next one when the first is gone, for what is read and for what is changed", async () => {
    const manager = (await open()).manager();
    await unplug(0);

    expect(await manager.list("/services")).toEqual([]);
    await manager.call("POST", "/services/create", {
      body: Buffer.from('{"Name":"web","TaskTemplate":{"ContainerSpec":{}}}'),
    });

    expect(at(1).asked.filter((asked) => asked.includes("services"))).toEqual([
      "GET /services",
      "POST /services/create",
    ]);
    expect(at(2).asked).toEqual(["GET /info"]);
  });

  it("is never told twice of a change that the first may have begun", async () => {
    const manager = (await open()).manager();
    await manager.list("/services");
    at(0).attack = (method, _path, response) => method === "POST" && response.destroy() !== undefined;

    const told = manager.call("POST", "/services/create", { body: Buffer.from("{}") });

    await expect(told).rejects.toMatchObject({ code: "SILENT" });
    expect(engines.map(({ asked }) => asked.filter((one) => one.startsWith("POST")).length)).toEqual([1, 0, 0]);
  });

  it("waits while there is no leader", async () => {
    const manager = (await open()).manager();
    let answers = 0;
    at(0).attack = (method, path, response) =>
      ++answers < 3 && says(503, "rpc error: The swarm does not have a leader.")(method, path, response);

    await manager.call("POST", "/services/create", {
      body: Buffer.from('{"Name":"web","TaskTemplate":{"ContainerSpec":{}}}'),
    });

    expect(answers).toBe(3);
  });

  it("does not repeat a change that a leader heard who is gone then", async () => {
    const manager = (await open()).manager();
    at(0).attack = says(500, "rpc error: code = Unknown desc = node lost leader status");

    const told = manager.call("POST", "/services/create", { body: Buffer.from("{}") });

    await expect(told).rejects.toMatchObject({ code: "SILENT" });
    expect(at(0).asked).toEqual(["POST /services/create"]);
  });

  it("is the next one when the first one's authorization plug-in is down", async () => {
    const manager = (await open()).manager();
    at(0).attack = says(
      500,
      `${UNGUARDED}.AuthZReq: Post "http://plugin/AuthZPlugin.AuthZReq": dial unix: no such file`,
    );

    await manager.call("POST", "/services/create", {
      body: Buffer.from('{"Name":"web","TaskTemplate":{"ContainerSpec":{}}}'),
    });

    expect(at(1).asked).toContain("POST /services/create");
  });

  it("is not asked twice when its plug-in is down and there is no other", async () => {
    const alone = await Engines.open({ engine: unix(0), engines: new Map() });
    at(0).attack = says(
      500,
      `${UNGUARDED}.AuthZReq: Post "http://plugin/AuthZPlugin.AuthZReq": dial unix: no such file`,
    );

    await expect(alone.manager().list("/services")).rejects.toMatchObject({ code: "SILENT" });

    expect(at(0).asked).toEqual(["GET /services", "GET /info"]);
  });

  it("is not told of a change again whose answer the first one's plug-in kept back", async () => {
    const manager = (await open()).manager();
    at(0).attack = says(500, `${UNGUARDED}.AuthZRes: Post "http://plugin/AuthZPlugin.AuthZRes": EOF`);

    const told = manager.call("POST", "/services/create", { body: Buffer.from("{}") });

    await expect(told).rejects.toMatchObject({ code: "SILENT" });
    expect(engines.map(({ asked }) => asked.filter((one) => one.startsWith("POST")).length)).toEqual([1, 0, 0]);
  });

  it("is not asked again because of a registry that is away", async () => {
    const manager = (await open()).manager();
    at(0).attack = says(500, "Get https://registry/v2/: dial tcp 10.0.0.1:5443: connect: connection refused");

    await expect(manager.list("/distribution/registry/json")).rejects.toMatchObject({ code: "ENGINE" });

    expect(at(0).asked.length).toBe(1);
  });

  it("is none that was made a worker", async () => {
    const manager = (await open()).manager();
    at(0).attack = says(
      503,
      "This node is not a swarm manager. Worker nodes can't be used to view or modify cluster state.",
    );

    expect(await manager.list("/services")).toEqual([]);
    expect(at(1).asked).toContain("GET /services");
  });

  it("is silent when none is there", async () => {
    const manager = (await open()).manager();
    await Promise.all([unplug(0), unplug(1), unplug(2)]);

    await expect(manager.list("/services")).rejects.toMatchObject({ code: "SILENT" });
  });

  it("streams from whichever is there", async () => {
    const opened = await open();
    await opened.refresh();
    await unplug(0);
    at(1).attack = (_method, path, response) => path === "/events" && response.writeHead(200).write("{}\n");
    const ended = new AbortController();

    const stream = await opened.manager().stream("/events", ended.signal);
    const [piece] = await once(stream, "data");

    expect(String(piece)).toBe("{}\n");
    stream.once("error", () => undefined);
    ended.abort();
  });
});
