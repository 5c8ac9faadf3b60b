import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { checkCoverage } from "../conformance/matrix/coverage.ts";
import { findUndeclared, readRouteTable, type TableRow } from "../conformance/matrix/route-table.ts";
import { type Handler, route } from "./http/route.ts";
import { openTestApp, type TestApp } from "./testing/open-test-app.ts";

let app: TestApp;
beforeAll(async () => {
  app = await openTestApp();
});
afterAll(() => app[Symbol.asyncDispose]());

const toRow = ({ id, method, path, access }: TableRow): TableRow => ({ id, method, path, access });
const handler: Handler = async () => ({ status: 200, headers: {} });

describe("the route table", () => {
  it("that the access matrix covers is the one that is served", () => {
    const byId = (a: TableRow, b: TableRow) => (a.id < b.id ? -1 : 1);

    expect(app.routes.map(toRow).sort(byId)).toEqual(readRouteTable().sort(byId));
  });

  it("is wholly covered by the operations of the access matrix, which fails for a route that is not", () => {
    const table = readRouteTable();

    expect(() => checkCoverage(table)).not.toThrow();
    const planted: TableRow = {
      id: "x",
      method: "GET",
      path: "/v2/<name>/x",
      access: { kind: "repository", action: "pull" },
    };
    expect(() => checkCoverage([...table, planted])).toThrow("no operation covers the route x");
    expect(() => checkCoverage(table.slice(1))).toThrow(`there is no route ${table[0]?.id}`);
  });

  it("has ids of its own for every route", () => {
    const ids = app.routes.map(({ id }) => id);

    expect(ids.filter((id, index) => ids.indexOf(id) !== index)).toEqual([]);
  });

  it("declares for each route what it asks for", () => {
    expect(findUndeclared(app.routes)).toEqual([]);
  });

  it.each<[string, TableRow]>([
    ["nothing at all", { id: "x", method: "GET", path: "/x", access: undefined }],
    ["that anyone may read a repository", { id: "x", method: "GET", path: "/v2/<name>/x", access: { kind: "open" } }],
    [
      "a repository without an action",
      { id: "x", method: "GET", path: "/v2/<name>/x", access: { kind: "repository" } },
    ],
    [
      "any user for an organization",
      { id: "x", method: "PUT", path: "/api/v1/orgs/<org>/x", access: { kind: "user" } },
    ],
    [
      "an action of the repository that is undefined",
      { id: "x", method: "PUT", path: "/api/v1/orgs/<org>/repositories/<repo>", access: { kind: "org-repository" } },
    ],
  ])("is caught declaring %s", (_what, row) => {
    expect(findUndeclared([...app.routes, row])).toEqual([`x: ${row.method} ${row.path}`]);
  });

  it("without an action does not compile", () => {
    // @ts-expect-error: tsc fails here the day that a route may leave its access out
    const silent = route("x", "GET", "/v2/<name>/x", undefined, handler);
    // @ts-expect-error: nor may a repository's route leave the action out
    const vague = route("x", "GET", "/v2/<name>/x", { kind: "repository" }, handler);

    expect(findUndeclared([silent, vague])).toHaveLength(2);
  });
});
