/** A look is never kept waiting by an engine that is silent: design.md promises ten seconds of all the others. */
import type { ServerResponse } from "node:http";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { Engines } from "../engines.ts";
import { ClusterSimulator, type NodeSimulator } from "../testing/cluster-simulator.ts";
import { Lookout, type Sight } from "./lookout.ts";

const NODE_MS = 2_000;
const cluster = new ClusterSimulator();
let lookout: Lookout;
let nowMs = 0;

beforeAll(async () => {
  for (const name of ["m1", "m2", "w1", "w2"]) await cluster.addNode(name, name.startsWith("m") ? "manager" : "worker");
});
afterAll(() => cluster.stop());
beforeEach(async () => {
  cluster.reset();
  const endpoints = cluster.nodes.map(({ name, socket }) => [name, { kind: "unix" as const, socket }] as const);
  const [first] = endpoints;
  if (first === undefined) throw new Error("no engine");
  const engines = await Engines.open({ engine: first[1], engines: new Map(endpoints) });
  lookout = new Lookout(engines, { elapsedMs: () => nowMs, nodeMs: NODE_MS });
  await expect.poll(looked).toBe("m1 seen, m2 seen, w1 seen, w2 seen");
});

/** Polled where all that answer are to be seen: in the time of one look a busy machine may stand still. */
const looked = async () => statesOf(await lookout.look());
const statesOf = ({ nodes }: Sight): string => nodes.map(({ hostname, state }) => `${hostname} ${state}`).join(", ");

function node(wanted: string): NodeSimulator {
  const found = cluster.nodes.find(({ name }) => name === wanted);
  if (found === undefined) throw new Error(`no ${wanted}`);
  return found;
}

const timesAsked = (name: string, path: string): number =>
  node(name).asked.filter((asked) => asked === `GET ${path}`).length;

/** From now on it takes these, and answers none. */
function silence(name: string, path: string): ServerResponse[] {
  const held: ServerResponse[] = [];
  node(name).attack = (_method, asked, response) => asked === path && held.push(response) > 0;
  return held;
}

const says = (response: ServerResponse | undefined, status: number, body: unknown): void => {
  response?.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
};

describe("an engine that takes what it is asked and answers nothing", () => {
  it("is not waited for when all are asked who they are", async () => {
    const held = silence("w2", "/info");
    nowMs += 60_000;

    const sight = await lookout.look();

    await expect.poll(() => held.map(({ closed }) => closed)).toEqual([false]);
    expect(statesOf(sight)).toBe("m1 seen, m2 seen, w1 seen, w2 seen");
    says(held[0], 200, {});
  });

  it("is asked less often than the others are looked at, and is unseen meanwhile", async () => {
    const held = silence("w2", "/containers/json");
    const before = timesAsked("w1", "/containers/json");
    const looksMore = () => timesAsked("w1", "/containers/json") - before - held.length;

    while (looksMore() < 3) await lookout.look();

    await expect.poll(looked).toBe("m1 seen, m2 seen, w1 seen, w2 unseen");
  });

  it("is seen again when it answers again", async () => {
    const held = silence("w2", "/containers/json");
    expect(statesOf(await lookout.look())).toContain("w2 unseen");
    node("w2").attack = () => false;
    for (const response of held) says(response, 200, []);

    await expect.poll(looked).toContain("w2 seen");
  });

  it("has the others looked at meanwhile when it is the manager", async () => {
    const held = silence("m1", "/nodes");
    const before = timesAsked("w1", "/containers/json");

    const looking = lookout.look();

    await expect.poll(() => timesAsked("w1", "/containers/json")).toBe(before + 1);

    expect(held.map(({ closed }) => closed)).toEqual([false]);
    says(held[0], 503, { message: "This node is not a swarm manager." });
    expect(statesOf(await looking)).toBe("m1 seen, m2 seen, w1 seen, w2 seen");
  });
});

describe("a node of which a look cannot read all in time", () => {
  it("is unseen, and the next look goes on where it ended", async () => {
    const ids = Array.from({ length: 20 }, (_, at) => `c${at}`);
    node("w2").containers = ids.map((Id) => ({ Id }));
    const inspect = (_method: string, path: string, response: ServerResponse, isSlow: (id: string) => boolean) => {
      const [, id] = /^\/containers\/(c\d+)\/json$/.exec(path) ?? [];
      if (id !== undefined && !isSlow(id)) says(response, 200, { Id: id, Name: `/${id}`, Image: "sha256:1" });
      return id !== undefined;
    };
    node("w2").attack = (method, path, response) => inspect(method, path, response, (id) => id === "c19");
    expect(statesOf(await lookout.look())).toContain("w2 unseen");
    node("w2").attack = (method, path, response) => inspect(method, path, response, () => false);

    await expect.poll(looked).toContain("w2 seen");

    expect(timesAsked("w2", "/containers/c0/json")).toBe(1);
    expect((await lookout.look()).containers.map(({ id }) => id)).toEqual(ids);
  });
});
