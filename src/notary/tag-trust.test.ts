import { describe, expect, it } from "vitest";
import { openSigner } from "./testing/signer.ts";
import { sign, taken, targetOf, useStates } from "./testing/states.ts";
import { canonicalKeyId, spkiOf } from "./tuf/key.ts";
import { delegate, entry } from "./tuf/testing/delegating.ts";
import { put } from "./tuf/testing/loose.ts";
import { ecdsaKey } from "./tuf/testing/test-key.ts";

const { app, clock, rest, push, prove } = useStates();
const trustOf = async (repository: string, tag: string) => (await rest(`${repository}/tags/${tag}/trust`)).body;

describe("GET …/tags/{tag}/trust", () => {
  it("is signed while the tag names what was signed, and outdated once it is pushed anew", async () => {
    const signer = await openSigner(app(), "alice/states");
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
    await openSigner(app(), "alice/unsigned");
    const { digest } = await push("unsigned", "v1");
    await push("no-trust", "v1");

    const unsigned = { tag: "v1", state: "unsigned", digest, signed: null, problem: null };
    expect(await trustOf("unsigned", "v1")).toEqual(unsigned);
    expect((await trustOf("no-trust", "v1")).state).toBe("unsigned");
  });

  it("is dangling where the registry does not hold what was signed: a publish of it is taken, and flagged (T24)", async () => {
    const signer = await openSigner(app(), "alice/dangling");
    const digest = `sha256:${"5e".repeat(32)}`;
    await sign(signer, "v1", targetOf(digest));
    const { target } = await push("dangling", "v2");
    await sign(signer, "v2", target);
    const before = await trustOf("dangling", "v2");
    await app().ask("DELETE", "/v2/alice/dangling/manifests/v2", { as: "admin" });

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
    const signer = await openSigner(app(), "alice/elsewhere");
    await push("elsewhere", "v1");
    await sign(signer, "v1", targetOf(`sha256:${"5e".repeat(32)}`));

    const { state, signed } = await trustOf("elsewhere", "v1");

    expect([state, signed.held]).toEqual(["outdated", false]);
  });

  it("refuses a publish of a target without a SHA-256, which nobody could pull (T24)", async () => {
    const signer = await openSigner(app(), "alice/sha512");
    const sha512 = { hashes: { sha512: Buffer.alloc(64, 7).toString("base64") }, length: 7 };

    const { status, body } = await signer.publish([signer.part("targets", put(["targets", "v1"], sha512))]);

    expect([status, body.toString()]).toEqual([400, expect.stringContaining('target \\"v1\\" has no sha256 checksum')]);
    expect((await rest("sha512/tags/v1/trust")).status).toBe(404);
  });

  it("follows docker's order: targets/releases, then targets, and no delegation alone", async () => {
    const signer = await openSigner(app(), "alice/order");
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
    const signer = await openSigner(app(), "alice/people");
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
    await app().ask("DELETE", `/api/v1/users/alice/keys/${spkiOf(releases.key)}`, { as: "alice" });

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
    const signer = await openSigner(app(), "alice/expired");
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
    await openSigner(app(), "alice/hidden");
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
    const signer = await openSigner(app(), "alice/list");
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
