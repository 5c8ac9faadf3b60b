import { describe, expect, it } from "vitest";
import { digestOf, pushParts, putManifest } from "../testing/images.ts";
import { entriesOf, readAs } from "./testing/readers.ts";
import { useStates } from "./testing/states.ts";

const { app, rest, push } = useStates();
const AUTO = "targets/goldseal-auto";
const RELEASES = "targets/releases";

const rule = (repository: string, tags: readonly string[], name = "all", headers = {}) =>
  put(`${repository}/auto-sign/${name}`, { tags }, headers);

async function put(path: string, sent: unknown, headers: Record<string, string> = {}, as = "alice") {
  const asked = { as, headers, body: JSON.stringify(sent) };
  const { status, body } = await app().ask("PUT", `/api/v1/orgs/alice/repositories/${path}`, asked);
  return { status, body: JSON.parse(body.toString()) };
}

/** A repository with the rule. */
async function underRule(repository: string, tags: readonly string[]) {
  expect((await put(repository, { visibility: "private" })).status).toBe(201);
  expect((await rule(repository, tags)).status).toBe(201);
}

const read = async (repository: string) => entriesOf(await readAs(app(), "alice", `alice/${repository}`));
const versionOf = async (repository: string) =>
  (await readAs(app(), "alice", `alice/${repository}`))?.timestamp.version;
const remove = (repository: string, reference: string) =>
  app().ask("DELETE", `/v2/alice/${repository}/manifests/${reference}`, { as: "alice" });

describe("a push under a rule", () => {
  it("founds the trust data, and is signed and released before it is answered", async () => {
    await underRule("first", ["v*"]);

    const { digest } = await push("first", "v1");
    await push("first", "latest");

    const trusted = await readAs(app(), "alice", "alice/first");
    expect(entriesOf(trusted)).toMatchObject({ [AUTO]: { v1: digest }, [RELEASES]: { v1: digest } });
    expect(trusted?.roles.get(AUTO as never)?.targets?.targets.get("v1")?.length).toBeGreaterThan(100);
    const { tags } = (await rest("first/tags")).body;
    expect(tags.map(({ tag, state }: { tag: string; state: string }) => [tag, state])).toEqual([
      ["latest", "unsigned"],
      ["v1", "signed"],
    ]);
    expect((await rest("first/trust/root")).body).toMatchObject({ heldBy: "server", version: 1 });
    const { signatures } = (await rest("first/trust/history")).body;
    expect(signatures.map(({ kind, role, tag }: Record<string, string>) => [kind, role, tag])).toEqual([
      ["signed", RELEASES, "v1"],
      ["signed", AUTO, "v1"],
    ]);
  });

  it("changes nothing where all is signed so already, and signs anew what has moved", async () => {
    await underRule("moved", ["*"]);
    await push("moved", "1");
    const before = await versionOf("moved");

    await push("moved", "1");
    const again = await versionOf("moved");
    const { digest } = await push("moved", "1", "other");

    expect([again, await versionOf("moved")]).toEqual([before, (before ?? 0) + 1]);
    expect(await read("moved")).toMatchObject({ [AUTO]: { 1: digest }, [RELEASES]: { 1: digest } });
  });

  it("by digest signs every tag that it names, in one version", async () => {
    await underRule("many", ["1.*", "__proto__"]);
    const place = { app: app(), as: "alice", repository: "alice/many" };
    const text = JSON.stringify((await pushParts(place)).manifest);
    const digest = digestOf(text);

    const { status } = await putManifest(place, digest, text, { query: "?tag=1.0&tag=1.1&tag=__proto__&tag=2.0" });

    expect(status).toBe(201);
    const entries = await read("many");
    expect(Object.entries(entries[AUTO] ?? {}).sort()).toEqual([
      ["1.0", digest],
      ["1.1", digest],
      ["__proto__", digest],
    ]);
    expect(await versionOf("many")).toBe(1);
  });

  it("of many tags at once is signed for each", async () => {
    await underRule("crowd", ["*"]);
    const names = Array.from({ length: 32 }, (_, index) => `t${index}`);

    const pushed = await Promise.all(names.map((name) => push("crowd", name)));

    const expected = Object.fromEntries(names.map((name, index) => [name, pushed[index]?.digest]));
    expect(await read("crowd")).toMatchObject({ [AUTO]: expected, [RELEASES]: expected });
  });

  it("is refused where its digest cannot be signed, and then the tag stays what it was", async () => {
    await underRule("long", ["*"]);
    const place = { app: app(), as: "alice", repository: "alice/long" };
    const text = JSON.stringify((await pushParts(place)).manifest);

    const answer = await putManifest(place, digestOf(text, "sha512"), text, { query: "?tag=big" });

    expect(answer.status).toBe(403);
    expect(JSON.parse(answer.body.toString()).errors[0]).toMatchObject({
      code: "DENIED",
      message: expect.stringMatching(/^sha512:\w+… cannot be signed: push it under its SHA-256/),
    });
    expect((await app().ask("GET", "/v2/alice/long/tags/list", { as: "alice" })).body.toString()).toContain(
      '"tags":[]',
    );
  });
});

describe("a tag that goes", () => {
  it("takes its entry with it, deleted by itself or with its manifest", async () => {
    await underRule("gone", ["*"]);
    const first = await push("gone", "a", "one");
    const second = await push("gone", "b", "two");
    await push("gone", "c", "two");
    await push("gone", "d", "three");

    const statuses = [await remove("gone", "a"), await remove("gone", second.digest)].map(({ status }) => status);

    expect(statuses).toEqual([202, 202]);
    const entries = await read("gone");
    expect([entries[AUTO], entries[RELEASES]].map((one) => Object.keys(one ?? {}))).toEqual([["d"], ["d"]]);
    expect((await rest("gone/tags")).body.tags).toHaveLength(1);
    expect((await remove("gone", first.digest)).status).toBe(202);
  });

  it("leaves it where no rule is any more, and pushes are not signed then", async () => {
    await underRule("free", ["*"]);
    const { digest } = await push("free", "1");
    expect((await rest("free/auto-sign/all", "alice", "DELETE")).status).toBe(204);

    await push("free", "2");
    await remove("free", "1");

    expect((await read("free"))[AUTO]).toEqual({ 1: digest });
    const { tags } = (await rest("free/tags")).body;
    expect(tags.map(({ state }: { state: string }) => state)).toEqual(["dangling", "unsigned"]);
  });
});

describe("/api/v1/orgs/{org}/repositories/{repo}/auto-sign", () => {
  it("keeps rules by name, changed only as they were seen", async () => {
    await put("rules", { visibility: "private" });

    const made = await rule("rules", ["v*", "v*", "latest"], "releases");
    const { headers } = await rest("rules/auto-sign/releases");
    const stale = await rule("rules", ["*"], "releases", { "if-match": '"0"' });
    const taken = await rule("rules", ["*"], "releases", { "if-none-match": "*" });
    const changed = await rule("rules", ["*"], "releases", { "if-match": String(headers.etag) });

    expect([made, changed]).toEqual([
      { status: 201, body: { name: "releases", tags: ["v*", "latest"] } },
      { status: 200, body: { name: "releases", tags: ["*"] } },
    ]);
    expect([stale.status, stale.body.code, taken.status]).toEqual([412, "precondition-failed", 412]);
    expect((await rest("rules/auto-sign")).body).toEqual({ rules: [{ name: "releases", tags: ["*"] }] });
    expect((await rest("rules/auto-sign/releases", "alice", "DELETE")).status).toBe(204);
    expect((await rest("rules/auto-sign/releases", "alice", "DELETE")).status).toBe(404);
    expect((await rest("rules/auto-sign/releases")).status).toBe(404);
  });

  it.each([
    ["no tags", { tags: [] }],
    ["what no tag is", { tags: ["a b"] }],
    ["two stars in a row", { tags: ["v**"] }],
    ["five stars", { tags: ["*a*b*c*d*"] }],
    ["an unknown field", { tags: ["*"], sign: true }],
  ])("refuses %s", async (_, sent) => {
    await put("strict", { visibility: "private" });

    expect(await put("strict/auto-sign/bad", sent)).toMatchObject({ status: 400, body: { code: "invalid-request" } });
  });

  it("is for those who administer the repository, and read by those who pull from it", async () => {
    await put("mine", { visibility: "private" });
    await put("open", { visibility: "public" });

    const others = [
      (await put("mine/auto-sign/all", { tags: ["*"] }, {}, "bob")).status,
      (await put("open/auto-sign/all", { tags: ["*"] }, {}, "bob")).status,
      (await rest("open/auto-sign", "bob")).status,
      (await rest("mine/auto-sign", "bob")).status,
      (await rest("none/auto-sign")).status,
      (await put("none/auto-sign/all", { tags: ["*"] })).status,
      (await put("mine/auto-sign/NO", { tags: ["*"] })).status,
    ];

    expect(others).toEqual([404, 403, 200, 404, 404, 404, 400]);
  });

  it("takes * for any characters and everything else for itself", async () => {
    await underRule("pattern", ["a_c", "1.*-rc", "*-x"]);
    const tags = ["a_c", "abc", "1.0-rc", "1x0-rc", "1.-rc", "1.0-rc2", "-x".padStart(4, "y"), "_-x"];

    for (const tag of tags) await push("pattern", tag);

    const signed = Object.keys((await read("pattern"))[AUTO] ?? {});
    expect(signed.sort()).toEqual(["1.-rc", "1.0-rc", "_-x", "a_c", "yy-x"]);
  });
});
