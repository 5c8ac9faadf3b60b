import { describe, expect, it } from "vitest";
import { certificateFor } from "../notary/tuf/testing/repository.ts";
import { ecdsaKey, ed25519Key, inCertificate, rsaKey } from "../notary/tuf/testing/test-key.ts";
import { useLab } from "./test-lab.ts";
import { codeOf, idOf, keysOf, pathOf, pemOf } from "./test-user-keys.ts";

const lab = useLab();
const { rest, must, as, server } = lab;
const { add, challenge, sendProof, prove, addProved } = keysOf(lab);

describe("a proof of possession", () => {
  it.each([
    ["ECDSA", ecdsaKey()],
    ["RSA", rsaKey()],
    ["Ed25519", ed25519Key()],
    ["a certificate's key", inCertificate(ecdsaKey(), certificateFor("ann"))],
  ])("by %s makes the key count", async (what, pair) => {
    const name = what.replaceAll(/\W/g, "-");
    const publicKey = pair.key.type.endsWith("x509") ? pair.key.publicBytes.toString() : pemOf(pair);
    await add("ann", pair, { name, publicKey });

    const { status, body } = await prove("ann", pair);

    expect([status, body.state, body.provedAt]).toEqual([200, "proved", server().clock.now.toISOString()]);
  });

  it("is of one server, user, key and challenge, and the challenge outlives what was wrong", async () => {
    const [pair, other] = [ecdsaKey(), ecdsaKey()];
    await add("ann", pair, { name: "strict" });
    const asked = await challenge("ann", pair);

    const wrong = [
      await sendProof("ann", pair, asked, { server: "https://other.test:5443" }),
      await sendProof("ann", pair, asked, { user: "member" }),
      await sendProof("ann", pair, asked, { spkiSha256: idOf(other) }),
      await sendProof("ann", pair, "00".repeat(32)),
      await sendProof("ann", { ...pair, privateKey: other.privateKey }, asked),
      await sendProof("ann", { ...pair, method: "eddsa", privateKey: ed25519Key().privateKey }, asked),
    ];

    expect(wrong.map(codeOf)).toEqual(wrong.map(() => [400, "bad-proof"]));
    expect((await rest("GET", pathOf(pair), undefined, as("ann"))).body.state).toBe("unproven");
    expect((await sendProof("ann", pair, asked)).status).toBe(200);
  });

  it("uses its challenge up", async () => {
    const pair = ecdsaKey();
    await add("ann", pair, { name: "once" });
    const asked = await challenge("ann", pair);

    const twice = [await sendProof("ann", pair, asked), await sendProof("ann", pair, asked)];

    expect(twice.map(codeOf)).toEqual([
      [200, undefined],
      [409, "no-challenge"],
    ]);
  });

  it("is taken for five minutes, over the newest challenge alone", async () => {
    const pair = ecdsaKey();
    await add("ann", pair, { name: "slow" });
    const first = await challenge("ann", pair);
    const second = await challenge("ann", pair);

    const outdated = await sendProof("ann", pair, first);
    server().clock.now = new Date(server().clock.now.getTime() + 300_000);
    const late = await sendProof("ann", pair, second);
    const third = await challenge("ann", pair);
    server().clock.now = new Date(server().clock.now.getTime() + 299_999);
    const justInTime = await sendProof("ann", pair, third);

    expect([outdated, late, justInTime].map(codeOf)).toEqual([
      [400, "bad-proof"],
      [409, "no-challenge"],
      [200, undefined],
    ]);
  });

  it("that was recorded proves nothing after the key was removed and added again", async () => {
    const pair = ecdsaKey();
    await add("ann", pair, { name: "replay" });
    const asked = await challenge("ann", pair);
    await sendProof("ann", pair, asked);
    await must("DELETE", pathOf(pair));
    const again = await add("ann", pair, { name: "replay" });

    const replayed = await sendProof("ann", pair, asked);
    await challenge("ann", pair);
    const withNew = await sendProof("ann", pair, asked);

    expect([again.status, again.body.state]).toEqual([201, "unproven"]);
    expect([replayed, withNew].map(codeOf)).toEqual([
      [409, "no-challenge"],
      [400, "bad-proof"],
    ]);
  });

  it("of a key that is not there is not found", async () => {
    const pair = ecdsaKey();

    expect(codeOf(await rest("POST", `${pathOf(pair)}/challenge`, undefined, as("ann")))).toEqual([404, "not-found"]);
    expect(codeOf(await sendProof("ann", pair, "00".repeat(32)))).toEqual([404, "not-found"]);
    expect(codeOf(await rest("GET", "users/ann/keys/laptop", undefined, as("ann")))).toEqual([404, "not-found"]);
  });
});

describe("a key of two people", () => {
  it("is whose proof is first; a bare claim keeps nobody out", async () => {
    const pair = ecdsaKey();
    const claims = [await add("member", pair, { name: "stolen" }), await add("ann", pair, { name: "own" })];
    const asked = await challenge("member", pair);

    const proved = await prove("ann", pair);
    const late = await sendProof("member", pair, asked);
    const asking = await rest("POST", `${pathOf(pair, "member")}/challenge`, undefined, as("member"));

    expect(claims.map(({ status }) => status)).toEqual([201, 201]);
    expect(proved.status).toBe(200);
    expect([late, asking].map(codeOf)).toEqual([
      [409, "key-taken"],
      [409, "key-taken"],
    ]);
  });

  it("belongs to one of them when both prove at once", async () => {
    const pair = ecdsaKey();
    for (const user of ["ann", "member"]) await add(user, pair, { name: "race" });
    const [own, other] = [await challenge("ann", pair), await challenge("member", pair)];

    const answers = await Promise.all([sendProof("ann", pair, own), sendProof("member", pair, other)]);

    expect(answers.map(({ status }) => status).sort()).toEqual([200, 409]);
    const owners = await server().database.query("", "select 1 from key_owners where spki_sha256 = decode($1, 'hex')", [
      idOf(pair),
    ]);
    expect(owners.length).toBe(1);
  });

  it("stays its owner's after removal: another is refused without a name, the owner proves again", async () => {
    const pair = ecdsaKey();
    await addProved("ann", pair);
    await must("DELETE", pathOf(pair));

    const other = await add("member", pair, { name: "mine-now" });
    const gone = await rest("GET", pathOf(pair), undefined, as("ann"));
    await addProved("ann", pair);

    expect(codeOf(other)).toEqual([409, "key-taken"]);
    expect(other.text).not.toContain("ann");
    expect(codeOf(gone)).toEqual([404, "not-found"]);
  });

  it("outlives its owner, and is not inherited with the name", async () => {
    const pair = ecdsaKey();
    await must("PUT", "users/leaver", { password: "leaver's password" });
    await addProved("leaver", pair);
    await must("DELETE", "users/leaver");
    await must("PUT", "users/leaver", { password: "leaver's password" });

    const answers = [await add("leaver", pair), await add("ann", pair, { name: "found" })];

    expect(answers.map(codeOf)).toEqual([
      [409, "key-taken"],
      [409, "key-taken"],
    ]);
    await must("DELETE", "users/leaver");
  });
});
