import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { digestOf, OCI_MANIFEST, type Place, pushParts, putManifest, startUpload } from "../testing/images.ts";
import { openTestApp, type TestApp } from "../testing/open-test-app.ts";

let app: TestApp;
let manifest: Record<string, unknown>;
const admin = (): Place => ({ app, as: "admin", repository: "lab/app" });
/** May pull and sign in lab/app; bob may only pull. */
const alice = (): Place => ({ ...admin(), as: "alice" });

beforeAll(async () => {
  app = await openTestApp();
  await app.addOrg("lab");
  ({ manifest } = await pushParts(admin()));
  await putManifest(admin(), "1", manifest);
  for (const [user, team, extra] of [
    ["alice", "qa", ["sign"]],
    ["bob", "readers", []],
  ] as const) {
    await put(`orgs/lab/members/${user}`, { role: "member" });
    await put(`orgs/lab/teams/${team}`, {});
    await put(`orgs/lab/teams/${team}/members/${user}`, {});
    await put(`orgs/lab/teams/${team}/grants/app`, { level: "read-only", extra });
  }
});
afterAll(async () => {
  expect(app.errors()).toEqual([]);
  await app[Symbol.asyncDispose]();
});

async function put(noun: string, body: object): Promise<void> {
  const { status } = await app.ask("PUT", `/api/v1/${noun}`, { as: "admin", body: JSON.stringify(body) });
  expect(status).toBe(201);
}

/** With a token of alice's for what docker asks for: it names what she may, which is not to push. */
async function withToken(reference: string, body: string) {
  const { body: answer } = await app.ask("GET", "/token?scope=repository:lab/app:push,pull", { as: "alice" });
  const { token, scope } = JSON.parse(answer.toString());
  expect(scope).toBe("repository:lab/app:pull");
  const headers = { authorization: `Bearer ${token}`, "content-type": OCI_MANIFEST };
  return app.ask("PUT", `/v2/lab/app/manifests/${reference}`, { headers, body });
}

describe("end-7 PUT manifest by somebody who may sign, but not push,", () => {
  it("answers 201 for the tag's own bytes, and stores nothing", async () => {
    const before = await app.stored();

    const answer = await putManifest(alice(), "1", manifest);

    expect(answer.status).toBe(201);
    expect(answer.headers["docker-content-digest"]).toBe(digestOf(JSON.stringify(manifest)));
    expect(answer.headers.location).toMatch(/\/v2\/lab\/app\/manifests\/1$/);
    expect((await withToken("1", JSON.stringify(manifest))).status).toBe(201);
    expect(await app.stored()).toEqual(before);
  });

  it.each([
    ["another manifest under the tag", "1", { annotations: { a: "b" } }],
    ["a new tag for what is there", "2", {}],
    ["the manifest by its digest, which moves no tag", "", {}],
  ])("answers 403 for %s, and says what to use", async (_what, tag, change) => {
    const before = await app.stored();
    const body = JSON.stringify({ ...manifest, ...change });
    const reference = tag === "" ? digestOf(body) : tag;

    for (const answer of [await putManifest(alice(), reference, body), await withToken(reference, body)]) {
      expect([answer.status, answer.code]).toEqual([403, "DENIED"]);
      expect(JSON.parse(answer.body.toString()).errors[0].message).toContain(
        `use goldseal trust sign registry.test/lab/app:${tag || "TAG"}`,
      );
    }
    expect(await app.stored()).toEqual(before);
  });

  it("answers 403 for a body that is no manifest, and 201 for every tag in ?tag= only if all have it", async () => {
    expect((await putManifest(alice(), "1", "no manifest")).status).toBe(403);

    const digest = digestOf(JSON.stringify(manifest));
    expect((await putManifest(alice(), digest, manifest, { query: "?tag=1" })).status).toBe(201);
    expect((await putManifest(alice(), digest, manifest, { query: "?tag=1&tag=2" })).status).toBe(403);
  });

  it("answers uploads with 403 as before, and says what to use", async () => {
    await expect(startUpload(alice())).rejects.toThrow(/403 .*use goldseal trust sign/);
  });

  it("is told no more than before elsewhere: where he may only read, and where nothing is", async () => {
    const elsewhere = await putManifest({ ...alice(), repository: "lab/none" }, "1", manifest);
    const reader = await putManifest({ ...admin(), as: "bob" }, "1", manifest);

    expect([elsewhere.status, elsewhere.code]).toEqual([403, "DENIED"]);
    expect([reader.status, reader.code]).toEqual([403, "DENIED"]);
    expect(reader.body.toString()).not.toContain("goldseal trust sign");
  });
});
