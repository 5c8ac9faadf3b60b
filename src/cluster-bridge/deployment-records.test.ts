import { describe, expect, it } from "vitest";
import type { JsonObject } from "../oci/json.ts";
import { findConverged, findOpen, type Intent } from "./deployment-records.ts";

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
