import { generateKeyPairSync } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import type { ServerResponse } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Engines } from "./engines.ts";
import { PluginProbe } from "./plugin-probe.ts";
import { EngineSimulator } from "./testing/engine-simulator.ts";

let folder = "";
const engines: EngineSimulator[] = [];
let now = new Date("2026-05-01T00:00:00Z");

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "goldseal-probe-"));
  const { privateKey } = generateKeyPairSync("ed25519");
  await writeFile(join(folder, "allow.key"), privateKey.export({ format: "pem", type: "pkcs8" }));
  engines.push(...(await Promise.all([1, 2].map(() => EngineSimulator.start()))));
});
afterEach(async () => {
  await Promise.all(engines.splice(0).map((engine) => engine.stop()));
  await rm(folder, { recursive: true });
});

async function open(): Promise<PluginProbe> {
  const [one, two] = engines.map(({ socket }) => ({
    kind: "unix" as const,
    socket,
    allowKeyFile: join(folder, "allow.key"),
  }));
  if (one === undefined || two === undefined) throw new Error("there are two engines");
  return new PluginProbe({
    engines: await Engines.open({ engine: one, engines: new Map([["two", two]]) }),
    now: () => now,
  });
}

const answers = (status: number, message: string) => (_method: string, path: string, response: ServerResponse) => {
  if (path !== "/swarm") return false;
  // A note is what it does not come with: the plug-in would let it pass.
  const isNoted = response.req.headers["goldseal-allow"] !== undefined;
  response.writeHead(isNoted ? 200 : status, { "content-type": "application/json" }).end(JSON.stringify({ message }));
  return true;
};
const denies = answers(403, "authorization denied by plugin goldseal: GET /swarm is for the Goldseal bridge alone");

describe("whether the managers ask their plug-ins", () => {
  it("is tried, and those are named that let through what is the bridge's alone", async () => {
    const probe = await open();
    const [one] = engines;
    if (one !== undefined) one.attack = denies;

    expect(await probe.findFaults()).toEqual(["the manager two has no authorization plug-in on"]);
  });

  it("is tried again after a minute, so that one is named whose plug-in was taken away", async () => {
    const probe = await open();
    for (const engine of engines) engine.attack = denies;
    expect(await probe.findFaults()).toEqual([]);
    for (const engine of engines) engine.attack = () => false;

    now = new Date(now.getTime() + 59_000);
    expect(await probe.findFaults()).toEqual([]);
    now = new Date(now.getTime() + 1_000);

    expect(await probe.findFaults()).toEqual([
      "the manager engine has no authorization plug-in on",
      "the manager two has no authorization plug-in on",
    ]);
  });

  it.each([
    ["a worker", 503, "This node is not a swarm manager."],
    ["an engine whose plug-in is down", 500, "plugin goldseal failed with error: dial unix: no such file"],
  ])("says nothing of %s", async (_what, status, message) => {
    const probe = await open();
    for (const engine of engines) engine.attack = answers(status, message);

    expect(await probe.findFaults()).toEqual([]);
  });
});
