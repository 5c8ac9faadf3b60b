/** Looks at a service, one after the other, and what is to be made of them; time is what a test says. */
import { describe, expect, it } from "vitest";
import type { HeldTask } from "./held-task.ts";
import type { Rollout } from "./rollout.ts";
import { RolloutJudge } from "./rollout-judge.ts";
import { toDefinition } from "./service-definition.ts";
import { parseServiceSpec } from "./service-spec.ts";

const PATIENCE_MS = 300_000;
/** What the engine's own defaults give one task: ten seconds to stop the old one, five until it starts, five to be watched. */
const BATCH_MS = 20_000;

const define = (more: object = {}) =>
  toDefinition({
    spec: parseServiceSpec(Buffer.from(JSON.stringify({ name: "web", image: "r/a/b", replicas: 10, ...more }))),
    ...{ pinned: "r/a/b@sha256:1", ids: { networks: new Map(), secrets: new Map(), configs: new Map() } },
    ...{ placement: {}, labels: {} },
  });
const task = (slot: number, state: string, more: Partial<HeldTask> = {}): HeldTask => ({
  ...{ id: `${slot}`, slot: `${slot}`, state, desired: "running", error: "", spec: {}, container: {}, ...more },
});
/** The engine says of its update nothing. */
const NEW = "";
/** So many of ten are of what was sent, and the last of these is there; the others are of what was before. */
function look(own: readonly HeldTask[], said = "updating", updateMessage = ""): Rollout {
  const updateState = said === NEW ? undefined : said;
  const running = own.filter(({ state }) => state === "running").length;
  return {
    progress: { running, wanted: 10, state: updateState ?? "created" },
    isAll: running === 10,
    ...{ update: { updateState, updateMessage }, own, others: 10 - own.length },
  };
}
const first = (count: number) => Array.from({ length: count }, (_, index) => task(index + 1, "running"));
const stalled = (running: number, seconds: number) => ({
  kind: "failed",
  reason: `${running} of 10 run, and nothing has moved for ${seconds} s`,
});

describe("a rollout", () => {
  it("may take as long as it likes while one replica after the other comes up", () => {
    const judge = new RolloutJudge(define({ update: { delay: "5m" } }), PATIENCE_MS);
    const ends = Array.from({ length: 10 }, (_, done) => judge.judge(look(first(done)), done * 310_000));

    expect(ends).toEqual(Array(10).fill(undefined));
    expect(judge.judge(look(first(10), "completed"), 10 * 310_000)).toEqual({ kind: "converged" });
  });

  it("has failed when nothing moved for five minutes and what one task may take", () => {
    const judge = new RolloutJudge(define(), PATIENCE_MS);
    judge.judge(look(first(4)), 1_000_000);

    expect(judge.judge(look(first(4)), 1_000_000 + PATIENCE_MS + BATCH_MS)).toBeUndefined();
    expect(judge.judge(look(first(4)), 1_000_001 + PATIENCE_MS + BATCH_MS)).toEqual(stalled(4, 320));
  });

  it.each([
    ["the engine's update", look(first(4), "updating", "it goes on")],
    ["a task on its way", look([...first(4), task(5, "starting")])],
    ["a task of what was before", { ...look(first(4)), others: 4 }],
  ])("has moved when %s has", (_what, next) => {
    const judge = new RolloutJudge(define(), PATIENCE_MS);
    judge.judge(look([...first(4), task(5, "assigned")]), 0);
    judge.judge(next, 300_000);

    expect(judge.judge(next, 600_000)).toBeUndefined();
  });

  it("does not move by a replica that starts and ends over and over", () => {
    const judge = new RolloutJudge(define(), PATIENCE_MS);
    for (const [at, state] of ["starting", "running", "ready", "starting", "running", "ready"].entries())
      judge.judge(look([...first(4), task(5, state, { id: `${at}` })]), at * 60_000);

    expect(judge.judge(look([...first(4), task(5, "running", { id: "9" })]), 60_001 + PATIENCE_MS + BATCH_MS)).toEqual(
      stalled(5, 320),
    );
  });

  it.each([
    ["update.delay", { update: { delay: "10m" } }, 600],
    ["update.monitor", { update: { monitor: "2m" } }, 115],
    ["stopGrace", { stopGrace: "1m" }, 50],
    ["restart.delay", { restart: { delay: "1m" } }, 55],
    ["health", { health: { startPeriod: "10m", interval: "1m", timeout: "10s", retries: 2 } }, 740],
    ["health, as the engine has it", { health: { startPeriod: "10m" } }, 780],
  ])("is given what its specification says in %s", (_name, more, seconds) => {
    const judge = new RolloutJudge(define(more), PATIENCE_MS);
    judge.judge(look(first(4)), 0);
    const lastMs = PATIENCE_MS + BATCH_MS + seconds * 1000;

    expect(judge.judge(look(first(4)), lastMs)).toBeUndefined();
    expect(judge.judge(look(first(4)), lastMs + 1)).toMatchObject({ kind: "failed" });
  });

  it("is given half an hour while a node pulls the image", () => {
    const judge = new RolloutJudge(define(), PATIENCE_MS);
    const pulling = look([...first(4), task(5, "preparing")]);
    judge.judge(pulling, 0);

    expect(judge.judge(pulling, 6 * PATIENCE_MS + BATCH_MS)).toBeUndefined();
    expect(judge.judge(pulling, 6 * PATIENCE_MS + BATCH_MS + 1)).toEqual(stalled(4, 1820));
  });

  it("has failed when the engine pauses it, with what its tasks say, each once", () => {
    const judge = new RolloutJudge(define(), PATIENCE_MS);
    const rejected = (id: string) => task(5, "rejected", { id, error: "No such image: r/a/b" });

    expect(judge.judge(look([...first(4), rejected("a"), rejected("b")], "paused", "update paused"), 0)).toEqual({
      kind: "failed",
      reason: "update paused; rejected: No such image: r/a/b",
    });
  });
});

describe("what is new", () => {
  it("has come up when all ran for as long as is watched, without one in another's place", () => {
    const judge = new RolloutJudge(define(), PATIENCE_MS);
    const another = [...first(9), task(10, "running", { id: "another" })];

    expect(judge.judge(look(first(10), NEW), 1_000)).toBeUndefined();
    expect(judge.judge(look(first(9), NEW), 3_000)).toBeUndefined();
    expect(judge.judge(look(first(10), NEW), 4_000)).toBeUndefined();
    expect(judge.judge(look(another, NEW), 8_000)).toBeUndefined();
    expect(judge.judge(look(another, NEW), 12_999)).toBeUndefined();
    expect(judge.judge(look(another, NEW), 13_000)).toEqual({ kind: "converged" });
  });

  it("may have failed once or twice in each replica", () => {
    const judge = new RolloutJudge(define(), PATIENCE_MS);
    const ended = Array.from({ length: 20 }, (_, at) =>
      task((at % 10) + 1, "failed", { id: `past-${at}`, desired: "shutdown", error: "task: non-zero exit (1)" }),
    );
    judge.judge(look([], NEW), 0);

    expect(judge.judge(look([...first(10), ...ended], NEW), 1_000)).toBeUndefined();
    expect(judge.judge(look([...first(10), ...ended], NEW), 6_000)).toEqual({ kind: "converged" });
  });

  it("has failed when one replica ended three times, also of those that the engine forgot since", () => {
    const judge = new RolloutJudge(define(), PATIENCE_MS);
    judge.judge(look([], NEW), 0);
    const ends = ["a", "b", "c"].map((id, at) =>
      judge.judge(look([...first(9), task(10, "complete", { id, desired: "shutdown" })], NEW), at * 10),
    );

    expect(ends).toEqual([
      ...[undefined, undefined],
      { kind: "failed", reason: "as replica 10 it ended 3 times; complete: exit status 0" },
    ]);
  });

  it("does not answer for what had ended before anybody looked", () => {
    const judge = new RolloutJudge(define(), PATIENCE_MS);
    const ended = ["a", "b", "c"].map((id) => task(1, "failed", { id, desired: "shutdown" }));

    expect(judge.judge(look([...first(10), ...ended], NEW), 0)).toBeUndefined();
    expect(judge.judge(look([...first(10), ...ended], NEW), 5_000)).toEqual({ kind: "converged" });
  });

  it("does not answer for what the engine itself took away", () => {
    const judge = new RolloutJudge(define({ restart: { condition: "none" } }), PATIENCE_MS);
    judge.judge(look([], NEW), 0);
    const gone = ["shutdown", "running", "orphaned"].map((state) =>
      task(10, state, { id: state, desired: "shutdown" }),
    );
    const removed = [11, 12].map((slot) => task(slot, "failed", { desired: "remove" }));

    expect(judge.judge(look([...first(9), ...gone, ...removed], NEW), 1_000)).toBeUndefined();
  });
});
