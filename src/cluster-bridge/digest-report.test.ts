import { describe, expect, it } from "vitest";
import { createLog } from "../http/log.ts";
import type { JsonObject } from "../oci/json.ts";
import { ClusterStates } from "./cluster-states.ts";
import { DigestReport } from "./digest-report.ts";
import { BridgeError } from "./errors.ts";
import type { HeldTask } from "./held-task.ts";
import { Ledger } from "./ledger.ts";
import type { RestCall } from "./registry-client.ts";
import type { HeldService } from "./swarm.ts";

const HOST = "registry.test:5443";
const digest = (letter: string): string => `sha256:${letter.repeat(64)}`;
const pinned = (letter: string, repository = "ops/app"): string => `${HOST}/${repository}@${digest(letter)}`;
const HOUR_MS = 3_600_000;

/** What the bridge's parts say, and what the registry was told. */
function makeLab() {
  const services: HeldService[] = [];
  const tasks = new Map<string, string[]>();
  const records: JsonObject[] = [];
  const told: object[] = [];
  const lines: string[] = [];
  const state = {
    now: new Date("2026-11-23T07:00:00Z"),
    error: undefined as Error | undefined,
    refused: "",
    body: "{}",
  };
  const watch = new ClusterStates();
  const report = new DigestReport({
    swarm: {
      services: async () => services,
      tasks: async (id) => (tasks.get(id) ?? []).map((image) => ({ container: { Image: image } }) as never as HeldTask),
    },
    ledger: new Ledger({ records }),
    registry: {
      tryCall: async ({ method, path, body }: RestCall) => {
        if (state.error !== undefined) throw state.error;
        told.push({ method, path, ...body });
        if (state.refused !== "") return { refused: state.refused, status: 403 };
        return { status: 200, headers: {}, body: Buffer.from(state.body) };
      },
    },
    watch,
    authority: HOST,
    now: () => state.now,
    log: createLog({ write: (line) => lines.push(line) }),
  });
  const add = (service: string, image: string, of: string[] = [], labels: JsonObject = PROD): void => {
    const spec = { Name: service, Labels: labels, TaskTemplate: { ContainerSpec: { Image: image } } };
    services.push({ id: service, version: 1, spec, updateState: undefined, updateMessage: "" });
    tasks.set(service, of);
  };
  const ran = (service: string, letter: string): void => {
    const id = `${service}-${letter}`;
    const of = { environment: "prod", service, pinned: pinned(letter), spec: "{}", user: "olga", because: "ann" };
    records.push({ event: "intent", id, ...of }, { event: "converged", id });
  };
  return { report, add, ran, told, lines, state, services, watch, records };
}

const PROD = { "goldseal.environment": "prod" };
const entry = (service: string, letter: string, state = "running") => {
  return { environment: "prod", service, repository: "ops/app", digest: digest(letter), state };
};
const put = (...deployed: object[]) => ({ method: "PUT", path: "/api/v1/cluster-agent/digests", deployed });

describe("the registry is told", () => {
  it("what services and their tasks are of, and what they may be rolled back to", async () => {
    const { report, add, ran, told } = makeLab();
    add("web", pinned("b"), [pinned("a"), pinned("b")]);
    add("theirs", pinned("c"), [], {});
    add("elsewhere", "docker.io/library/nginx@sha256:abc");
    for (const letter of ["1", "2", "3", "4", "5", "6", "a", "b", "6"]) ran("web", letter);

    await report.refresh();

    expect(told).toEqual([
      put(
        ...["3", "4", "5", "6"].map((letter) => entry("web", letter, "rollback")),
        ...["a", "b"].map((letter) => entry("web", letter)),
      ),
    ]);
  });

  it("what runs on the nodes themselves, each once, whoever started it", async () => {
    const { report, add, told, watch } = makeLab();
    add("web", pinned("a"), [pinned("a")]);
    const judged = { node: "n", state: "unmanaged" as const, reason: "", since: new Date(0), service: undefined };
    const stray = { ...judged, environment: undefined, image: pinned("b") };
    watch.put({
      lookedAt: new Date(0),
      services: [{ ...judged, id: "s1", name: "web", environment: "prod", pinned: pinned("a") }],
      containers: [
        { ...judged, id: "1", name: "web.1", service: "s1", environment: "prod", image: pinned("a") },
        { ...stray, id: "2", name: "by-hand" },
        { ...stray, id: "3", name: "_odd" },
        { ...stray, id: "4", name: "other", image: "busybox" },
      ],
      nodes: [],
    });

    await report.refresh();

    const unmanaged = (service: string) => ({ ...entry(service, "b"), environment: "unmanaged" });
    expect(told).toEqual([put(entry("web", "a"), unmanaged("by-hand"), unmanaged("unmanaged"))]);
    expect(report.toldAt).toEqual(new Date("2026-11-23T07:00:00Z"));
  });

  it("of an image before the engine is, and again when it was told long ago or something changed", async () => {
    const { report, add, told, state, services } = makeLab();

    await report.announce({ environment: "prod", service: "web", pinned: pinned("a") });
    expect(told.splice(0)).toEqual([put(entry("web", "a"))]);
    add("web", pinned("a"));
    await report.refresh();
    expect(told.splice(0)).toEqual([]);
    state.now = new Date(state.now.getTime() + 7 * HOUR_MS);
    await report.refresh();
    expect(told.splice(0)).toEqual([put(entry("web", "a"))]);
    services.length = 0;
    await report.refresh();
    expect(told).toEqual([put()]);
  });

  it("at once of an image that it does not keep yet, and in the next list that another service has it too", async () => {
    const { report, told, state } = makeLab();
    await report.announce({ environment: "prod", service: "web", pinned: pinned("a") });

    await report.announce({ environment: "prod", service: "api", pinned: pinned("a") });

    expect(told).toEqual([put(entry("web", "a"))]);
    await report.refresh();
    expect(told.slice(1)).toEqual([put(entry("api", "a"), entry("web", "a"))]);

    state.body = JSON.stringify({ kept: 2, missing: [{ repository: "ops/app", digest: digest("b") }] });
    for (const service of ["api", "web"]) await report.announce({ environment: "prod", service, pinned: pinned("b") });
    expect(told.slice(2)).toEqual([
      put(entry("api", "b"), entry("web", "a")),
      put(entry("api", "b"), entry("web", "b")),
    ]);

    state.error = new BridgeError("REGISTRY", "no route");
    await report.announce({ environment: "prod", service: "web", pinned: pinned("c") });
    state.error = undefined;
    await report.announce({ environment: "prod", service: "web", pinned: pinned("a") });
    expect(told.slice(4)).toEqual([put(entry("api", "b"), entry("web", "a"))]);
  });

  it("of an image that is on its way for a quarter of an hour, whatever the engine shows", async () => {
    const { report, told, state } = makeLab();
    await report.announce({ environment: "prod", service: "web", pinned: pinned("a") });

    await report.refresh();
    expect(told).toHaveLength(1);
    state.now = new Date(state.now.getTime() + HOUR_MS / 3);
    await report.refresh();

    expect(told.slice(1)).toEqual([put()]);
  });

  it("of an image for as long as its deployment goes on", async () => {
    const { report, ran, told, state, records } = makeLab();
    ran("web", "a");
    const end = records.pop();
    await report.announce({ environment: "prod", service: "web", pinned: pinned("a") });
    state.now = new Date(state.now.getTime() + HOUR_MS / 3);
    await report.refresh();
    expect(told).toEqual([put(entry("web", "a"))]);

    records.push(end as JsonObject);
    await report.refresh();

    expect(told.slice(1)).toEqual([put()]);
  });

  it("later when it was away; a day of that is a fault", async () => {
    const { report, add, told, state, lines } = makeLab();
    add("web", pinned("a"));
    await report.refresh();
    add("api", pinned("b"));
    state.error = new BridgeError("REGISTRY", "it is away");
    for (let round = 0; round < 3; round++) await report.refresh();
    expect([report.findFaults(), lines.length]).toEqual([[], 1]);

    state.now = new Date(state.now.getTime() + 25 * HOUR_MS);
    await report.refresh();
    expect(report.findFaults()).toEqual(["the registry is not told what runs: it is away"]);
    state.error = undefined;
    await report.refresh();

    expect(told.at(-1)).toEqual(put(entry("api", "b"), entry("web", "a")));
    expect(report.findFaults()).toEqual([]);
  });

  it("nothing more where it does not want to know, which is logged; and what it does not have is", async () => {
    const { report, add, told, state, lines } = makeLab();
    state.refused = "bob is not the account";
    add("web", pinned("a"));
    for (let round = 0; round < 3; round++) await report.refresh();
    expect([told.length, lines.length, report.findFaults()]).toEqual([1, 1, []]);

    [state.refused, state.body] = ["", JSON.stringify({ kept: 0, missing: [{ repository: "ops/app", digest: "x" }] })];
    add("api", pinned("b"));
    await report.refresh();

    expect(lines[1]).toContain("missing");
  });

  it("in words that it takes, whatever somebody calls what is his", async () => {
    const { report, add, told } = makeLab();
    for (const [name, environment] of [
      ["theirs", "X Y"],
      ["other", ""],
    ] as const)
      add(name, pinned("b"), [], { "goldseal.environment": environment });
    for (const repository of ["app", "ops/App", "ops//app"]) add("odd", pinned("c", repository));
    add("web", pinned("a"));

    await report.refresh();

    const unmanaged = (service: string) => ({ ...entry(service, "b"), environment: "unmanaged" });
    expect(told).toEqual([put(entry("web", "a"), unmanaged("other"), unmanaged("theirs"))]);
  });

  it("of ten thousand at most, first of what runs, and what finds no room is a fault", async () => {
    const { report, add, ran, told, services } = makeLab();
    for (const letter of ["1", "2", "3"]) ran("web", letter);
    add("web", pinned("3"));
    for (let one = 0; one < 9_998; one++) add(`api-${one}`, pinned("a"));
    await report.refresh();

    expect(report.findFaults()).toEqual(["the registry is not told of 1 images that run or may be gone back to"]);
    const [{ deployed }] = told as [{ deployed: ReturnType<typeof entry>[] }];
    expect(deployed.length).toBe(10_000);
    expect(deployed.filter(({ service }) => service === "web")).toEqual([
      entry("web", "3"),
      entry("web", "1", "rollback"),
    ]);
    services.length = 1;
    await report.refresh();
    expect(report.findFaults()).toEqual([]);
  });
});
