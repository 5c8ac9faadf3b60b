import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { digestOf, pathOf, pushBlob, startUpload } from "../testing/images.ts";
import { openTestApp, type TestApp } from "../testing/open-test-app.ts";

let app: TestApp;
beforeAll(async () => {
  app = await openTestApp();
});
afterAll(async () => {
  expect(app.errors()).toEqual([]);
  await app[Symbol.asyncDispose]();
});

describe("end-11 POST ?mount=", () => {
  const mount = (as: string, repository: string, query: string) =>
    app.ask("POST", `/v2/${repository}/blobs/uploads/?${query}`, { as });
  const digest = digestOf("to be mounted");
  beforeAll(async () => {
    await pushBlob({ app, as: "alice", repository: "alice/source" }, "to be mounted");
  });

  it("answers 201 from a repository that the actor may pull, and the blob is there", async () => {
    const answer = await mount("alice", "alice/target", `mount=${digest}&from=alice/source`);

    expect([answer.status, pathOf(answer)]).toEqual([201, `/v2/alice/target/blobs/${digest}`]);
    const blob = await app.ask("GET", pathOf(answer), { as: "alice" });
    expect(blob.body.toString()).toBe("to be mounted");
  });

  it("answers 201 without from, where the actor may pull some holder", async () => {
    const answer = await mount("alice", "alice/target-2", `mount=${digest}`);

    expect(answer.status).toBe(201);
  });

  it.each([
    ["another's private repository", `mount=${digest}&from=alice/source`],
    ["a repository that is not there", `mount=${digest}&from=no/such`],
    ["whoever has it, which nobody whom the actor may pull has", `mount=${digest}`],
    ["a repository of one's own that does not have it", `mount=${digest}&from=bob/empty`],
    ["nowhere, a digest that nobody has", `mount=${digestOf("nobody has this")}`],
  ])("begins an upload (202) from %s, and the blob is not there", async (_what, query) => {
    await pushBlob({ app, as: "bob", repository: "bob/empty" }, "something");

    const answer = await mount("bob", "bob/target", query);

    expect([answer.status, answer.headers.range]).toEqual([202, "0-0"]);
    expect((await app.ask("GET", `/v2/bob/target/blobs/${digest}`, { as: "bob" })).status).toBe(404);
    expect((await app.ask("GET", pathOf(answer), { as: "bob" })).status).toBe(204);
  });

  it("tells a stranger the same, whether a hidden repository has the blob or not", async () => {
    const answers = [
      await mount("bob", "bob/target", `mount=${digest}&from=alice/source`),
      await mount("bob", "bob/target", `mount=${digest}&from=alice/missing`),
    ];

    const [known, unknown] = answers.map(({ status, rawHeaders, body }) => [
      status,
      rawHeaders.filter((_, index) => index % 2 === 0),
      body.length,
    ]);
    expect(known).toEqual(unknown);
  });

  it("answers 401 or 403 without the right to push, whatever the source", async () => {
    const anonymous = await app.ask("POST", `/v2/alice/target/blobs/uploads/?mount=${digest}&from=alice/source`);
    const stranger = await mount("bob", "alice/target", `mount=${digest}&from=alice/source`);

    expect([anonymous.status, anonymous.code]).toEqual([401, "UNAUTHORIZED"]);
    expect([stranger.status, stranger.code]).toEqual([403, "DENIED"]);
  });

  it("answers 400 NAME_INVALID for a source that is no name", async () => {
    for (const from of ["../etc", "UPPER/x", "a//b", "", "%00"]) {
      const answer = await mount("alice", "alice/target", `mount=${digest}&from=${from}`);

      expect([from, answer.status, answer.code]).toEqual([from, 400, "NAME_INVALID"]);
    }
  });

  it("goes on as any upload when it could not be made", async () => {
    const path = await startUpload({ app, as: "bob", repository: "bob/after" }, `?mount=${digest}&from=alice/source`);

    const done = await app.ask("PUT", `${path}?digest=${digest}`, { as: "bob", body: "to be mounted" });

    expect(done.status).toBe(201);
  });
});
