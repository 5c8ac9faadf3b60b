import { Readable } from "node:stream";
import { afterAll, beforeAll, expect, it } from "vitest";
import { digestOf, type Place, pushBlob } from "../testing/images.ts";
import { openTestApp, type TestApp } from "../testing/open-test-app.ts";

let app: TestApp;
let place: Place;
beforeAll(async () => {
  app = await openTestApp();
  place = { app, as: "alice", repository: "alice/figures" };
});
afterAll(async () => {
  expect(app.errors()).toEqual([]);
  await app[Symbol.asyncDispose]();
});

/** The sample called `name` with all of `labels`, undefined where there is none. */
async function sample(name: string, labels: Readonly<Record<string, string>> = {}): Promise<number | undefined> {
  const { body } = await app.ask("GET", "/metrics");
  const wanted = Object.entries(labels).map(([label, value]) => `${label}="${value}"`);
  const line = body
    .toString()
    .split("\n")
    .find((one) => (one.startsWith(`${name}{`) || one.startsWith(`${name} `)) && wanted.every((w) => one.includes(w)));
  return line === undefined ? undefined : Number(line.split(" ").at(-1));
}

it("GET /metrics counts requests by route, method and status, refused ones too", async () => {
  for (const as of ["alice", "alice", "bob", undefined])
    await app.ask("GET", "/v2/alice/figures/tags/list", { as, headers: { "user-agent": "counted" } });

  const counted = async (status: string) =>
    sample("goldseal_http_requests_total", { route: "end-8", method: "GET", status });

  expect(await counted("404")).toBe(3);
  expect(await counted("401")).toBe(1);
  expect(await counted("200")).toBeUndefined();
  expect(await sample("goldseal_http_request_seconds_count", { route: "end-8" })).toBe(4);
});

it("GET /metrics counts the bytes of bodies, those that came in chunks too", async () => {
  const content = Buffer.alloc(300_000, 1);
  const path = `/v2/alice/figures/blobs/uploads/?digest=${digestOf(content)}`;
  await app.ask("POST", path, { as: "alice", body: Readable.from([content.subarray(0, 99), content.subarray(99)]) });
  await pushBlob(place, content);
  await app.ask("GET", `/v2/alice/figures/blobs/${digestOf(content)}`, { as: "alice" });

  expect(await sample("goldseal_http_body_bytes_total", { route: "end-4", direction: "in" })).toBe(600_000);
  expect(await sample("goldseal_http_body_bytes_total", { route: "end-2", direction: "out" })).toBe(300_000);
});

it("GET /metrics shows the pool and the lag of the event loop", async () => {
  expect(await sample("goldseal_database_connections", { state: "total" })).toBeGreaterThan(0);
  expect(await sample("goldseal_database_connections", { state: "waiting" })).toBe(0);
  expect(await sample("goldseal_nodejs_eventloop_lag_p99_seconds")).toBeGreaterThanOrEqual(0);
});
