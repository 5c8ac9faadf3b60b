import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openTestApp, type TestApp } from "../testing/open-test-app.ts";
import { openSigner } from "./testing/signer.ts";

let app: TestApp;
beforeAll(async () => {
  app = await openTestApp();
  await app.addOrg("tools");
});
afterAll(async () => {
  expect(app.errors()).toEqual([]);
  await app[Symbol.asyncDispose]();
});

const rest = (method: string, noun: string, body?: object) =>
  app.ask(method, `/api/v1/orgs/alice/repositories/${noun}`, {
    as: "admin",
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });

describe("a repository with trust data", () => {
  it("is not deleted without dropTrust, and keeps everything", async () => {
    const signer = await openSigner(app, "alice/kept");

    const { status, code } = await rest("DELETE", "kept");

    expect([status, code]).toEqual([409, "has-trust-data"]);
    expect((await signer.ask("GET", "timestamp.json")).status).toBe(200);
    expect((await rest("GET", "kept")).status).toBe(200);
  });

  it("is deleted with dropTrust=true; a repository made anew under the name has none of it", async () => {
    const signer = await openSigner(app, "alice/dropped");

    const { status } = await rest("DELETE", "dropped?dropTrust=true");
    await rest("PUT", "dropped", { visibility: "private" });

    expect(status).toBe(204);
    expect((await signer.ask("GET", "root.json")).status).toBe(404);
    expect((await signer.ask("GET", "1.root.json")).status).toBe(404);
  });

  it.each([
    ["renamed", "alice/elsewhere"],
    ["moved to another organization", "tools/elsewhere"],
  ])("is not %s without dropTrust", async (_, to) => {
    const repository = `from-${to.replace("/", "-")}`;
    const signer = await openSigner(app, `alice/${repository}`);

    const refused = await rest("POST", `${repository}/rename`, { name: to });
    const taken = await rest("POST", `${repository}/rename`, { name: to, dropTrust: true });

    expect([refused.status, refused.code, taken.status]).toEqual([409, "has-trust-data", 200]);
    const { body } = await app.ask("GET", `/v2/${signer.gun}/_trust/tuf/root.json`, { as: "admin" });
    expect(body.toString()).toContain('"detail":{}');
  });
});

describe("a repository without trust data", () => {
  it("needs no dropTrust", async () => {
    await rest("PUT", "plain", { visibility: "private" });

    expect((await rest("DELETE", "plain")).status).toBe(204);
  });
});
