import { describe, expect, it } from "vitest";
import type { ViewDeps } from "../cluster-bridge/views/list-view.ts";
import { viewOperations } from "../cluster-bridge/views/view-operations.ts";
import { VIEWS } from "./views.ts";

const told = (query: object | undefined): string[] => Object.keys(query ?? {}).sort();

describe("what can be looked at", () => {
  it("is the same at the registry and at the bridge: routes, their names, their filters", () => {
    const bridge = viewOperations({} as ViewDeps).map(({ route: { id, method, path }, query }) => [
      ...[id, method, path],
      told(query?.shape),
    ]);

    const registry = Object.entries(VIEWS).map(([id, { path, query }]) => [
      ...[id, "GET", `/api/v1/cluster/${path}`],
      told(query.shape),
    ]);

    expect(new Set(bridge.map((one) => JSON.stringify(one)))).toEqual(
      new Set(registry.map((one) => JSON.stringify(one))),
    );
  });
});
