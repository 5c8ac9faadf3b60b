import { describe, expect, it } from "vitest";
import type { JsonObject } from "../oci/json.ts";
import { findConverged, findOpen, findOpenRemovals, type Intent } from "./deployment-records.ts";
import { findOpenStacks } from "./stacks/stack-records.ts";

const intent = (id: string, service = "web", more: JsonObject = {}): JsonObject => ({
  ...{
    event: "intent",
    id,
    environment: "prod",
    service,
    pinned: `r/a/b@${id}`,
    spec: "{}",
    user: "olga",
    because: "ann",
  },
  ...more,
});
const mark = (event: string, id: string): JsonObject => ({ event, id });
const found = (records: readonly JsonObject[]) =>
  findOpen(records).map(({ intent: { id }, stage }) => `${id} ${stage}`);

describe("findOpen", () => {
  it("tells how far the last intent of each service came, unless it ended", () => {
    expect(found([intent("1")])).toEqual(["1 intent"]);
    expect(found([intent("1"), mark("applied", "1")])).toEqual(["1 applied"]);
    expect(found([intent("1"), mark("applied", "1"), mark("failed", "1")])).toEqual(["1 failed"]);
    for (const end of ["converged", "abandoned", "ended"]) expect(found([intent("1"), mark(end, "1")])).toEqual([]);
    expect(found([intent("1"), intent("2", "db"), mark("converged", "2")])).toEqual(["1 intent"]);
  });

  it("forgets what something newer took the place of", () => {
    expect(found([intent("1"), intent("2"), mark("converged", "2")])).toEqual([]);
    expect(found([intent("1"), mark("failed", "1"), intent("2", "web", { rollbackOf: "1" })])).toEqual(["2 intent"]);
  });

  it("passes over records of other things", () => {
    expect(found([{ event: "break-glass" }, { event: "intent", id: "1" }])).toEqual([]);
  });
});

describe("findConverged", () => {
  it("answers what ran well in this service of this environment, newest first", () => {
    const records = [
      ...["1", "2", "3"].flatMap((id) => [intent(id), mark(id === "2" ? "failed" : "converged", id)]),
      ...[
        intent("4", "db"),
        mark("converged", "4"),
        intent("5", "web", { environment: "test" }),
        mark("converged", "5"),
      ],
    ];

    expect(findConverged(records, { environment: "prod", service: "web" } as Intent).map(({ id }) => id)).toEqual([
      "3",
      "1",
    ]);
  });
});

const removal = (id: string, service = "web"): JsonObject => ({
  ...{ event: "remove", id, environment: "prod", service, user: "olga" },
});
const candidates = (records: readonly JsonObject[]) =>
  findConverged(records, { environment: "prod", service: "web" }).map(({ id }) => id);
const ran = (id: string, more: JsonObject = {}) => [intent(id, "web", more), mark("converged", id)];

describe("findOpenRemovals", () => {
  it("answers what was begun and is not over, and nothing that something newer was ordered after", () => {
    const open = (records: readonly JsonObject[]) => findOpenRemovals(records).map(({ id }) => id);

    expect(open([...ran("1"), removal("2")])).toEqual(["2"]);
    expect(open([removal("2"), mark("removed", "2")])).toEqual([]);
    expect(open([removal("2"), mark("abandoned", "2")])).toEqual([]);
    expect(open([removal("2"), intent("3")])).toEqual([]);
    expect(open([removal("2"), intent("3", "db")])).toEqual(["2"]);
  });

  it("ends what was open in the service", () => {
    expect(found([intent("1"), removal("2")])).toEqual([]);
    expect(found([intent("1"), removal("2", "db")])).toEqual(["1 intent"]);
    expect(found([removal("2"), intent("3")])).toEqual(["3 intent"]);
  });
});

describe("findConverged, of a service that ran long", () => {
  it("goes no further back than the registry is asked to keep its images: six of them, however often each ran", () => {
    const again = ran("4-again", { pinned: "r/a/b@4" });

    expect(candidates([...["1", "2", "3", "4", "5", "6", "7"].flatMap((id) => ran(id)), ...again])).toEqual([
      "4-again",
      "7",
      "6",
      "5",
      "4",
      "3",
      "2",
    ]);
  });
});

describe("findConverged, of a service that was removed", () => {
  it("forgets what ran before the service was removed", () => {
    expect(candidates([...ran("1"), removal("2"), mark("removed", "2"), ...ran("3")])).toEqual(["3"]);
    expect(candidates([...ran("1"), removal("2", "db")])).toEqual(["1"]);
  });

  it("leaves out what was taken back, under any id, until somebody orders it once more", () => {
    const back = [...ran("1"), ...ran("2"), ...ran("3", { pinned: "r/a/b@1", rollbackOf: "2" })];

    expect(candidates(back)).toEqual(["3", "1"]);
    expect(candidates([...back, ...ran("4", { pinned: "r/a/b@2" })])).toEqual(["4", "3", "2", "1"]);
  });
});

it("reads of a record of something else nothing but its event: journals are long", () => {
  const read: PropertyKey[] = [];
  const refused = new Proxy(
    { event: "refused" },
    { get: (record, name) => read.push(name) > 0 && Reflect.get(record, name) },
  );
  const records = Array.from({ length: 3 }, () => refused as JsonObject);

  for (const find of [found, findOpenRemovals, findOpenStacks, candidates]) find(records);

  expect([...new Set(read)]).toEqual(["event"]);
});
