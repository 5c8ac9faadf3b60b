import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openTestApp, type TestApp } from "../testing/open-test-app.ts";
import { AUTHORITY, openSigner } from "./testing/signer.ts";

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

describe("a rename that trust data forbids", () => {
  it("tells nothing of the name that was asked for", async () => {
    await openSigner(app, "alice/signed");
    for (const name of ["taken", "left"]) await rest("PUT", name, { visibility: "private" });
    await rest("POST", "left/rename", { name: "alice/gone" });

    const tries = await Promise.all(
      ["taken", "left", "free"].map((name) => rest("POST", "signed/rename", { name: `alice/${name}` })),
    );

    expect(tries.map(({ status, code }) => [status, code])).toEqual(Array(3).fill([409, "has-trust-data"]));
  });
});

describe("the changes of a repository that is gone", () => {
  const GUN = `${AUTHORITY}/alice/former`;
  const changes = async (feed: string, as: string): Promise<string[]> => {
    const { body } = await app.ask("GET", `/v2/${feed}`, { as });
    const { records }: { records: { GUN: string; Category: string }[] } = JSON.parse(body.toString());
    return records.filter(({ GUN: gun }) => gun === GUN).map(({ Category }) => Category);
  };
  /** What somebody reads of the GUN: in its own feed, and in that of all. */
  const feedsOf = async (as: string) => [
    await changes(`${GUN}/_trust/changefeed?records=1000`, as),
    await changes(`${GUN}/_trust/changefeed?records=-1000&change_id=-1`, as),
    await changes("_trust/changefeed?records=1000", as),
    await changes("_trust/changefeed?records=-1000&change_id=-1", as),
  ];
  const four = (...categories: string[]) => Array(4).fill(categories);

  it("are shown to nobody as those of the next one of its name, and in the feed of all to who sees everything", async () => {
    await openSigner(app, "alice/former");
    const before = await feedsOf("alice");
    await rest("DELETE", "former?dropTrust=true");
    await rest("PUT", "former", { visibility: "public" });

    const between = [await feedsOf("alice"), await feedsOf("bob")];
    await openSigner(app, "alice/former");
    const after = [await feedsOf("alice"), await feedsOf("bob")];

    expect(before).toEqual(four("update"));
    expect(between).toEqual([four(), four()]);
    expect(after).toEqual([four("update"), four("update")]);
    const [own, , all] = await feedsOf("admin");
    expect([own, all]).toEqual([["update"], ["update", "deletion", "update"]]);
  });

  it("do not come along when it is renamed, and are none of those who take the name", async () => {
    const other = `${AUTHORITY}/alice/former-too`;
    await openSigner(app, "alice/former-too");
    await rest("POST", "former-too/rename", { name: "alice/later", dropTrust: true });
    await rest("POST", "later/rename", { name: "alice/former-too" });

    const { body } = await app.ask("GET", `/v2/${other}/_trust/changefeed?records=100`, { as: "alice" });

    expect(JSON.parse(body.toString())).toEqual({ count: 0, records: [] });
  });
});

describe("a repository without trust data", () => {
  it("needs no dropTrust", async () => {
    await rest("PUT", "plain", { visibility: "private" });

    expect((await rest("DELETE", "plain")).status).toBe(204);
  });
});
