import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { digestOf, pushParts, putManifest } from "../testing/images.ts";
import { openTestApp, PUBLIC_URL, type TestApp } from "../testing/open-test-app.ts";
import { possessionMessage } from "../trust/possession.ts";
import { openSigner, type Signer } from "./testing/signer.ts";
import { canonicalKeyId, spkiOf } from "./tuf/key.ts";
import { delegate, entry } from "./tuf/testing/delegating.ts";
import { drop, put } from "./tuf/testing/loose.ts";
import { ecdsaKey, signBytes, type TestKey } from "./tuf/testing/test-key.ts";
import type { UploadedPart } from "./tuf/upload.ts";

let app: TestApp;
const clock: { now: Date | undefined } = { now: undefined };
beforeAll(async () => {
  app = await openTestApp({}, () => clock.now ?? new Date());
});
afterAll(async () => {
  expect(app.errors()).toEqual([]);
  await app[Symbol.asyncDispose]();
});

const rest = async (path: string, as = "alice", method = "GET") => {
  const { status, body, headers } = await app.ask(method, `/api/v1/orgs/alice/repositories/${path}`, { as });
  return { status, headers, body: body.length === 0 ? undefined : JSON.parse(body.toString()) };
};
const trustOf = async (repository: string, tag: string) => (await rest(`${repository}/tags/${tag}/trust`)).body;

/** Pushes an image under the tag; its digest, as a target names it. */
async function push(repository: string, tag: string, name = tag) {
  const place = { app, as: "alice", repository: `alice/${repository}` };
  const { manifest } = await pushParts(place, name);
  const text = JSON.stringify(manifest);
  expect((await putManifest(place, tag, text)).status).toBe(201);
  const digest = digestOf(text);
  return { digest, target: targetOf(digest, text.length) };
}

const targetOf = (digest: string, length = 7) => ({
  hashes: { sha256: Buffer.from(digest.slice("sha256:".length), "hex").toString("base64") },
  length,
});

async function taken(signer: Signer, parts: readonly UploadedPart[]): Promise<void> {
  const { status, body } = await signer.publish(parts);
  expect([status, body.toString()]).toEqual([200, ""]);
}

const sign = (signer: Signer, tag: string, target: unknown) =>
  taken(signer, [signer.part("targets", put(["targets", tag], target))]);

describe("GET …/tags/{tag}/trust", () => {
  it("is signed while the tag names what was signed, and outdated once it is pushed anew", async () => {
    const signer = await openSigner(app, "alice/states");
    const { digest, target } = await push("states", "v1");
    await sign(signer, "v1", target);

    const signed = await trustOf("states", "v1");
    const again = await push("states", "v1", "another");
    const outdated = await trustOf("states", "v1");

    const { targets, root } = signer.repository.keys;
    const expiresAt = JSON.parse(String(signer.repository.stored.get("targets" as never))).signed.expires;
    expect(signed).toEqual({
      ...{ tag: "v1", state: "signed", digest, problem: null },
      signed: {
        ...{ digest, size: target.length, held: true, signedAt: expect.any(String), expiresAt },
        signers: [{ role: "targets", keyIds: [canonicalKeyId(targets.key)], users: [] }],
      },
    });
    expect(root.key.id).not.toBe(targets.key.id);
    expect(outdated).toEqual({ ...signed, state: "outdated", digest: again.digest });
  });

  it("is unsigned for a tag that nobody signed, and where there is no trust data", async () => {
    await openSigner(app, "alice/unsigned");
    const { digest } = await push("unsigned", "v1");
    await push("no-trust", "v1");

    const unsigned = { tag: "v1", state: "unsigned", digest, signed: null, problem: null };
    expect(await trustOf("unsigned", "v1")).toEqual(unsigned);
    expect((await trustOf("no-trust", "v1")).state).toBe("unsigned");
  });

  it("is dangling where the registry does not hold what was signed: a publish of it is taken, and flagged (T24)", async () => {
    const signer = await openSigner(app, "alice/dangling");
    const digest = `sha256:${"5e".repeat(32)}`;
    await sign(signer, "v1", targetOf(digest));
    const { target } = await push("dangling", "v2");
    await sign(signer, "v2", target);
    const before = await trustOf("dangling", "v2");
    await app.ask("DELETE", "/v2/alice/dangling/manifests/v2", { as: "admin" });

    const dangling = await trustOf("dangling", "v1");

    expect([dangling.state, dangling.digest, dangling.signed]).toEqual([
      "dangling",
      null,
      expect.objectContaining({ digest, held: false }),
    ]);
    expect([before.state, (await trustOf("dangling", "v2")).state]).toEqual(["signed", "dangling"]);
    // What clients read is what was signed, to the byte.
    const file = await signer.ask("GET", "targets.json");
    expect(file.body.toString()).toBe(String(signer.repository.stored.get("targets" as never)));
  });

  it("says that the registry does not hold what a tag was signed as, when it names something else", async () => {
    const signer = await openSigner(app, "alice/elsewhere");
    await push("elsewhere", "v1");
    await sign(signer, "v1", targetOf(`sha256:${"5e".repeat(32)}`));

    const { state, signed } = await trustOf("elsewhere", "v1");

    expect([state, signed.held]).toEqual(["outdated", false]);
  });

  it("refuses a publish of a target without a SHA-256, which nobody could pull (T24)", async () => {
    const signer = await openSigner(app, "alice/sha512");
    const sha512 = { hashes: { sha512: Buffer.alloc(64, 7).toString("base64") }, length: 7 };

    const { status, body } = await signer.publish([signer.part("targets", put(["targets", "v1"], sha512))]);

    expect([status, body.toString()]).toEqual([400, expect.stringContaining('target \\"v1\\" has no sha256 checksum')]);
    expect((await rest("sha512/tags/v1/trust")).status).toBe(404);
  });

  it("follows docker's order: targets/releases, then targets, and no delegation alone", async () => {
    const signer = await openSigner(app, "alice/order");
    const [releases, ann, own] = [ecdsaKey(), ecdsaKey(), ecdsaKey()];
    const roles = delegate([releases, ann, own], entry("targets/releases", [releases]), entry("targets/ann", [ann]));
    const [v1, v2, v3] = [await push("order", "v1"), await push("order", "v2"), await push("order", "v3")];
    await taken(signer, [
      signer.part("targets", (signed) => {
        roles(signed);
        signed.targets = { v1: targetOf(`sha256:${"11".repeat(32)}`), v2: v2.target };
      }),
      signer.repository.part("targets/releases", put(["targets"], { v1: v1.target }), [releases]),
      signer.repository.part("targets/ann", put(["targets"], { v1: v1.target, v3: v3.target }), [ann]),
    ]);

    const [one, two, three] = await Promise.all(["v1", "v2", "v3"].map((tag) => trustOf("order", tag)));

    const rolesOf = ({ signed }: { signed: { signers: { role: string }[] } }) => signed.signers.map(({ role }) => role);
    expect([one.state, rolesOf(one)]).toEqual(["signed", ["targets/releases", "targets/ann"]]);
    expect([two.state, rolesOf(two)]).toEqual(["signed", ["targets"]]);
    expect([three.state, three.signed]).toEqual(["unsigned", null]);
    expect(one.signed.signers[1].keyIds).toEqual([canonicalKeyId(ann.key)]);
  });

  it("names people of the namespace whose proved keys signed, and not once a key was removed", async () => {
    const signer = await openSigner(app, "alice/people");
    const releases = ecdsaKey();
    const { target } = await push("people", "v1");
    await taken(signer, [
      signer.part("targets", delegate([releases], entry("targets/releases", [releases]))),
      signer.repository.part("targets/releases", put(["targets", "v1"], target), [releases]),
    ]);
    await sign(signer, "v1", target);
    const usersOf = async () =>
      (await trustOf("people", "v1")).signed.signers.map(({ users }: { users: string[] }) => users);

    const before = await usersOf();
    await prove("alice", releases);
    await prove("bob", signer.repository.keys.targets);
    const proved = await usersOf();
    await app.ask("DELETE", `/api/v1/users/alice/keys/${spkiOf(releases.key)}`, { as: "alice" });

    expect([before, proved, await usersOf()]).toEqual([
      [[], []],
      [["alice"], []],
      [[], []],
    ]);
    const { signatures } = (await rest("people/trust/history")).body;
    expect(signatures.map(({ role, users }: { role: string; users: string[] }) => [role, users])).toEqual([
      ["targets", []],
      ["targets/releases", ["alice"]],
    ]);
  });

  it("says why nothing counts, where clients refuse all of it", async () => {
    const signer = await openSigner(app, "alice/expired");
    const { target } = await push("expired", "v1");
    await sign(signer, "v1", target);

    clock.now = new Date(Date.now() + 11 * 365 * 86_400_000);
    const expired = await trustOf("expired", "v1");
    clock.now = undefined;

    expect([expired.state, expired.signed, expired.problem]).toEqual([
      "unsigned",
      null,
      expect.stringMatching(/expired|certificate/),
    ]);
  });

  it("is 404 for a tag that is neither there nor signed, for a repository that is not there, and one that is hidden", async () => {
    await openSigner(app, "alice/hidden");
    await push("hidden", "v1");

    const statuses = await Promise.all([
      rest("hidden/tags/v2/trust"),
      rest("nowhere/tags/v1/trust", "bob"),
      rest("hidden/tags/v1/trust", "bob"),
      rest("hidden/tags", "bob"),
      rest("hidden/trust/history", "bob"),
      rest("nowhere/tags", "admin"),
      rest("nowhere/trust/history", "admin"),
    ]);

    expect(statuses.map(({ status }) => status)).toEqual(Array(7).fill(404));
    const [missing, hidden] = [statuses[1], statuses[2]].map((answer) => ({ ...answer?.body, requestId: "" }));
    expect(JSON.stringify(hidden)).toBe(JSON.stringify(missing).replace("nowhere", "hidden"));
  });
});

describe("GET …/tags", () => {
  it("lists tags and what was signed without one, each with its state, page by page", async () => {
    const signer = await openSigner(app, "alice/list");
    const { target } = await push("list", "b");
    for (const tag of ["d", "Z"]) await push("list", tag);
    await taken(signer, [
      signer.part("targets", put(["targets"], { b: target, c: target, e: target, "no tag": target })),
    ]);

    const [first, rest1] = [await rest("list/tags?limit=3"), await rest("list/tags?after=c&limit=3")];

    const states = (body: { tags: { tag: string; state: string }[] }) =>
      body.tags.map(({ tag, state }) => [tag, state]);
    expect(states(first.body)).toEqual([
      ["Z", "unsigned"],
      ["b", "signed"],
      ["c", "dangling"],
    ]);
    expect(first.body.next).toBe("/api/v1/orgs/alice/repositories/list/tags?after=c&limit=3");
    expect(states(rest1.body)).toEqual([
      ["d", "unsigned"],
      ["e", "dangling"],
    ]);
    expect(rest1.body.next).toBeUndefined();
  });
});

describe("GET …/trust/history", () => {
  const kinds = (body: { signatures: { kind: string; tag: string }[] }) =>
    body.signatures.map(({ kind, tag }) => `${kind} ${tag}`);

  it("tells what was signed, signed anew and revoked, newest first, by whom and when", async () => {
    const signer = await openSigner(app, "alice/history");
    const [one, two] = [`sha256:${"01".repeat(32)}`, `sha256:${"02".repeat(32)}`];
    await sign(signer, "v1", targetOf(one));
    await sign(signer, "v1", targetOf(one));
    await sign(signer, "v1", targetOf(two));
    await taken(signer, [signer.part("targets", drop(["targets", "v1"]))]);

    const { body } = await rest("history/trust/history");

    const keyIds = [canonicalKeyId(signer.repository.keys.targets.key)];
    const of = {
      tag: "v1",
      role: "targets",
      keyIds,
      users: [],
      id: expect.stringMatching(/^\d+$/),
      at: expect.any(String),
    };
    expect(body.signatures).toEqual([
      { ...of, kind: "revoked", digest: two, previous: null, version: 6 },
      { ...of, kind: "re-signed", digest: two, previous: one, version: 5 },
      { ...of, kind: "signed", digest: one, previous: null, version: 3 },
    ]);
  });

  it("goes page by page, and by tag", async () => {
    const signer = await openSigner(app, "alice/pages");
    for (const tag of ["a", "b", "c"]) await sign(signer, tag, targetOf(`sha256:${"01".repeat(32)}`));
    await sign(signer, "a", targetOf(`sha256:${"02".repeat(32)}`));

    const first = await rest("pages/trust/history?limit=3");
    const { body: second } = await rest(first.body.next.replace(/.*repositories\//, ""));
    const { body: ofTag } = await rest("pages/trust/history?tag=a&limit=1");
    const { body: rest1 } = await rest(ofTag.next.replace(/.*repositories\//, ""));

    expect(kinds(first.body)).toEqual(["re-signed a", "signed c", "signed b"]);
    expect([kinds(second), second.next]).toEqual([["signed a"], undefined]);
    expect([kinds(ofTag), kinds(rest1), rest1.next]).toEqual([["re-signed a"], ["signed a"], undefined]);
    expect(first.headers.link).toBe(`<${first.body.next}>; rel="next"`);
  });

  it("keeps nothing of a publish that was refused", async () => {
    const signer = await openSigner(app, "alice/refused");
    const part = signer.repository.part("targets", put(["targets", "v1"], targetOf(`sha256:${"01".repeat(32)}`)), [
      ecdsaKey(),
    ]);

    expect((await signer.publish([part])).status).toBe(400);
    expect((await rest("refused/trust/history")).body).toEqual({ signatures: [] });
  });

  it("outlives the trust data, and goes with the repository: who has the name next sees none of it", async () => {
    const signer = await openSigner(app, "alice/gone");
    await sign(signer, "v1", targetOf(`sha256:${"01".repeat(32)}`));
    expect((await signer.ask("DELETE", "", "admin")).status).toBe(200);

    const kept = await rest("gone/trust/history");
    await app.ask("DELETE", "/api/v1/orgs/alice/repositories/gone", { as: "admin" });
    await app.ask("PUT", "/api/v1/orgs/alice/repositories/gone", { as: "admin", body: '{"visibility":"private"}' });

    expect(kinds(kept.body)).toEqual(["deleted null", "signed v1"]);
    expect((await rest("gone/trust/history")).body).toEqual({ signatures: [] });
  });

  it.each(["after=x", "limit=0", "tags=v1", "after=9999999999999999999"])("refuses ?%s", async (query) => {
    await openSigner(app, `alice/bad-${query.replace(/\W.*/, "")}-${query.length}`);

    expect((await rest(`bad-${query.replace(/\W.*/, "")}-${query.length}/trust/history?${query}`)).status).toBe(400);
  });
});

/** The key becomes the user's, as `goldseal key add` and `prove` do it. */
async function prove(user: string, pair: TestKey): Promise<void> {
  const publicKey = String(pair.publicKey.export({ format: "pem", type: "spki" }));
  const spkiSha256 = String(spkiOf(pair.key));
  const send = async (method: string, path: string, body: object = {}) => {
    const answer = await app.ask(method, `/api/v1/users/${user}/keys${path}`, { as: user, body: JSON.stringify(body) });
    if (answer.status >= 300) throw new Error(`${method} ${path}: ${answer.status} ${answer.body}`);
    return JSON.parse(answer.body.toString());
  };
  await send("POST", "", { name: "laptop", publicKey });
  const answer = await app.ask("POST", `/api/v1/users/${user}/keys/${spkiSha256}/challenge`, { as: user });
  const { challenge } = JSON.parse(answer.body.toString());
  const message = possessionMessage({ server: PUBLIC_URL, user, spkiSha256, challenge });
  const signature = signBytes(pair.privateKey, pair.method, message).toString("base64");
  await send("PUT", `/${spkiSha256}/proof`, { method: pair.method, signature });
}
