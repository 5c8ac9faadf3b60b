import { describe, expect, it } from "vitest";
import { pushParts, putManifest } from "../testing/images.ts";
import { entriesOf, readAs } from "./testing/readers.ts";
import { openSigner, Signer } from "./testing/signer.ts";
import { taken, useStates } from "./testing/states.ts";
import { type Key, makeKey } from "./tuf/key.ts";
import { parsePublicKeyFile } from "./tuf/public-key-file.ts";
import { all, type Change, put } from "./tuf/testing/loose.ts";
import { keyJsonOf, metaOf, roleOf } from "./tuf/testing/repository.ts";
import { ecdsaKey, type TestKey } from "./tuf/testing/test-key.ts";

const { app, push, rest } = useStates();
const AUTO = "targets/goldseal-auto";

async function setRule(repository: string) {
  const asked = { as: "alice", body: '{"tags":["*"]}' };
  const { status, body } = await app().ask("PUT", `/api/v1/orgs/alice/repositories/${repository}/auto-sign/all`, asked);
  return { status, body: JSON.parse(body.toString()) };
}

/** The server's key, as GET signers gives it. */
async function serverKey(): Promise<Key> {
  const { body } = await app().ask("GET", "/api/v1/orgs/alice/signers", { as: "alice" });
  return parsePublicKeyFile(JSON.parse(body.toString()).signers[0].publicKey).key;
}

interface Delegated {
  readonly key: Key;
  readonly threshold?: number;
  readonly paths?: readonly string[];
}

/** As docker's signer add does it. */
function delegate(...roles: readonly (readonly [name: string, delegated: Delegated])[]): Change {
  const keys = Object.fromEntries(roles.map(([, { key }]) => [key.id, keyJsonOf(key)]));
  const list = roles.map(([name, { key, threshold = 1, paths = [""] }]) => ({
    ...roleOf([{ key } as TestKey], threshold),
    ...{ name, paths },
  }));
  return all(put(["delegations"], { keys, roles: list }));
}

/** One more key for the role that stands there in the delegations. */
const beside =
  (index: number, key: Key): Change =>
  (signed) => {
    const { keys, roles } = signed.delegations as { keys: Record<string, unknown>; roles: { keyids: string[] }[] };
    keys[key.id] = keyJsonOf(key);
    roles[index]?.keyids.push(key.id);
  };

async function pushOnce(repository: string, tag: string) {
  const place = { app: app(), as: "alice", repository: `alice/${repository}` };
  const answer = await putManifest(place, tag, JSON.stringify((await pushParts(place, tag)).manifest));
  return {
    status: answer.status,
    error: answer.status === 201 ? undefined : JSON.parse(answer.body.toString()).errors[0],
  };
}

const read = async (repository: string) => entriesOf(await readAs(app(), "alice", `alice/${repository}`));

describe("where people hold the root", () => {
  it("a rule is refused until they let the server sign, and the refusal says how", async () => {
    const signer = await openSigner(app(), "alice/owned");
    const key = await serverKey();

    const refused = await setRule("owned");
    await taken(signer, [signer.part("targets", delegate([AUTO, { key }]))]);
    const let1 = await setRule("owned");
    const { digest } = await push("owned", "1");

    expect(refused).toMatchObject({ status: 409, body: { code: "trust-refused" } });
    expect(refused.body.detail).toBe(
      `the owner of the trust data of registry.test/alice/owned does not let this server sign there: ${AUTO} does not list its key ${key.id}; ` +
        "whoever holds the repository key adds it: goldseal trust init registry.test/alice/owned --releases, " +
        "or docker trust signer add --key KEY.pub goldseal-auto registry.test/alice/owned, with the key that goldseal org signer alice goldseal-auto prints",
    );
    expect(let1.status).toBe(201);
    expect(await read("owned")).toEqual({ targets: {}, [AUTO]: { 1: digest } });
    // Signed, and not released: docker would not pull it.
    expect((await rest("owned/tags/1/trust")).body.state).toBe("unsigned");
    expect((await rest("owned/trust/root")).body).toMatchObject({ heldBy: "people", version: 1 });
  });

  it("it releases where they let it, beside what they released themselves", async () => {
    const signer = await openSigner(app(), "alice/released");
    const [key, own] = [await serverKey(), ecdsaKey()];
    const both = delegate([AUTO, { key }], ["targets/releases", { key }]);
    await taken(signer, [signer.part("targets", all(both, beside(1, own.key)))]);
    const file = { hashes: { sha256: Buffer.alloc(32, 7).toString("base64") }, length: 7 };
    const releases = { _type: "Targets", delegations: { keys: {}, roles: [] }, targets: { hand: file } };
    await taken(signer, [
      signer.repository.part("targets/releases", (signed) => Object.assign(signed, releases), [own]),
    ]);

    expect((await setRule("released")).status).toBe(201);
    const { digest } = await push("released", "1");

    const entries = await read("released");
    expect(entries[AUTO]).toEqual({ 1: digest });
    expect(entries["targets/releases"]).toEqual({ hand: `sha256:${Buffer.alloc(32, 7).toString("hex")}`, 1: digest });
    expect((await rest("released/tags/1/trust")).body.state).toBe("signed");
  });

  it.each([
    ["asks for another signature too", { threshold: 2 }],
    ["lists another key", { key: makeKey("ecdsa", ecdsaKey().key.publicBytes) }],
  ])("a rule is refused where the role %s", async (what, change) => {
    const repository = `odd-${what.split(" ")[0]}`;
    const signer = await openSigner(app(), `alice/${repository}`);
    const key = await serverKey();
    const other = ecdsaKey().key;
    const delegation = delegate([AUTO, { key, ...change }]);
    await taken(signer, [signer.part("targets", all(delegation, beside(0, other)))]);

    expect(await setRule(repository)).toMatchObject({ status: 409, body: { code: "trust-refused" } });
  });

  it("a rule is refused where a client holds the snapshot key", async () => {
    const signer = await new Signer(app(), "alice", "alice/snapshot").begin();
    signer.repository.keys.snapshot = ecdsaKey();
    const parts = [signer.part("root"), signer.part("targets", delegate([AUTO, { key: await serverKey() }]))];
    const snapshot = signer.part("snapshot", (signed) => {
      for (const { filename = "", bytes } of parts) put(["meta", filename], metaOf(bytes))(signed);
    });
    await taken(signer, [...parts, snapshot]);

    const refused = await setRule("snapshot");

    expect(refused).toMatchObject({ status: 409, body: { code: "trust-refused" } });
    expect(refused.body.detail).toContain(
      "its snapshot key is with a client; whoever holds the root key hands it over: notary key rotate registry.test/alice/snapshot snapshot -r",
    );
  });

  it("a push is refused, and its tag stays what it was, once they let the server sign no more", async () => {
    const signer = await openSigner(app(), "alice/taken-back");
    await taken(signer, [signer.part("targets", delegate([AUTO, { key: await serverKey() }]))]);
    await setRule("taken-back");
    const { digest } = await push("taken-back", "1");
    await taken(signer, [signer.part("targets", put(["delegations"], { keys: {}, roles: [] }))]);

    const refused = await pushOnce("taken-back", "1");
    const fresh = await pushOnce("taken-back", "2");

    for (const { status, error } of [refused, fresh]) {
      expect([status, error.code]).toEqual([403, "DENIED"]);
      expect(error.message).toContain(
        "does not let this server sign there: targets/goldseal-auto does not list its key",
      );
      expect(error.message).toContain("goldseal trust init registry.test/alice/taken-back --releases");
    }
    const head = await app().ask("HEAD", "/v2/alice/taken-back/manifests/1", { as: "alice" });
    expect(head.headers["docker-content-digest"]).toBe(digest);
    // Nothing that counts says anything of it, so it can go.
    expect((await app().ask("DELETE", "/v2/alice/taken-back/manifests/1", { as: "alice" })).status).toBe(202);
  });

  it("a push is refused for a tag that they keep for themselves", async () => {
    const signer = await openSigner(app(), "alice/paths");
    await taken(signer, [signer.part("targets", delegate([AUTO, { key: await serverKey(), paths: ["ci-"] }]))]);
    expect((await setRule("paths")).status).toBe(201);

    const refused = await pushOnce("paths", "gold");

    expect((await pushOnce("paths", "ci-1")).status).toBe(201);
    expect([refused.status, refused.error.code]).toEqual([403, "DENIED"]);
    expect(refused.error.message).toContain("as targets/goldseal-auto only tags that begin with ci-");
  });

  it("what they publish meanwhile is kept, and every push is signed", async () => {
    const signer = await openSigner(app(), "alice/race");
    await taken(signer, [signer.part("targets", delegate([AUTO, { key: await serverKey() }]))]);
    await setRule("race");
    const names = Array.from({ length: 6 }, (_, index) => `t${index}`);

    const [pushed] = await Promise.all([
      Promise.all(names.map((name) => push("race", name))),
      (async () => {
        for (const name of names) await taken(signer, [signer.tag(`hand-${name}`)]);
      })(),
    ]);

    const entries = await read("race");
    expect(entries[AUTO]).toEqual(Object.fromEntries(names.map((name, index) => [name, pushed[index]?.digest])));
    expect(Object.keys(entries.targets ?? {})).toEqual(names.map((name) => `hand-${name}`));
  });

  it("whoever signed the same role before a push is told that a newer version is there", async () => {
    const signer = await openSigner(app(), "alice/lost");
    const [key, own] = [await serverKey(), ecdsaKey()];
    const both = delegate([AUTO, { key }], ["targets/releases", { key }]);
    await taken(signer, [signer.part("targets", all(both, beside(1, own.key)))]);
    await setRule("lost");
    const composed = signer.repository.part("targets/releases", () => undefined, [own]);

    await push("lost", "1");

    const { status, body } = await signer.publish([composed]);
    expect([status, JSON.parse(body.toString()).errors[0].code]).toEqual([400, "VERSION"]);
  });
});
