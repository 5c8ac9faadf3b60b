import { appendFile, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CompactSign } from "jose";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { canonicalKeyId } from "../notary/tuf/key.ts";
import { put } from "../notary/tuf/testing/loose.ts";
import { ecdsaKey, ed25519Key, rsaKey, type TestKey } from "../notary/tuf/testing/test-key.ts";
import { type PolicyDocument, parsePolicyDocument } from "../trust/policy-document.ts";
import { alice, bob, carol, mallory, spkiText } from "../trust/testing/signers.ts";
import { ORDER_TYPE } from "./order-signature.ts";
import { acceptOrder, type Wanted } from "./orders.ts";
import { ReplayStore } from "./replay-store.ts";
import { plainPolicy } from "./testing/bridge-lab.ts";
import { type Signing, signOrder } from "./testing/order-signing.ts";

const NOW = new Date("2026-11-22T12:00:00Z");
const SECONDS = NOW.getTime() / 1000;
const spec = Buffer.from('{"name":"web"}');
const wanted: Wanted = { environment: "prod", action: "service.deploy", spec };

function policyOf(change = put(["version"], 7)): PolicyDocument {
  const document = plainPolicy();
  change(document);
  return parsePolicyDocument(Buffer.from(JSON.stringify(document)));
}

/** A policy in which this pair is alice's, and orders. */
function ordering(pair: TestKey): PolicyDocument {
  return policyOf((document) => {
    const id = canonicalKeyId(pair.key);
    put(["keys", id], { spki: spkiText(pair), user: "alice" })(document);
    put(["environments", "prod", "operators"], [id])(document);
  });
}

let folder: string;
let replays: ReplayStore;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "goldseal-orders-"));
  replays = await ReplayStore.open(folder);
});
afterEach(async () => {
  await replays.close();
  await rm(folder, { recursive: true });
});

const accept = (jws: string, policy = policyOf(), now = NOW, what = wanted) =>
  acceptOrder({ policy, replays, now }, jws, what);
const signed = (rest: Partial<Signing> = {}, what = wanted) => signOrder(what, { by: alice, now: NOW, ...rest });
const refusal = (reason: string | RegExp, code = "ORDER") =>
  expect.objectContaining({ code, message: expect.stringMatching(reason) });

describe("acceptOrder", () => {
  it("takes what an operator of the environment signed for exactly this", async () => {
    expect(await accept(await signed())).toMatchObject({ ...wanted, user: "alice", keyId: canonicalKeyId(alice.key) });
  });

  it.each<[string, TestKey, string]>([
    ["P-384", ecdsaKey("secp384r1"), "ES384"],
    ["P-521", ecdsaKey("secp521r1"), "ES512"],
    ["RSA", rsaKey(), "PS256"],
    ["Ed25519", ed25519Key(), "EdDSA"],
  ])("takes a key of %s, by its own algorithm alone", async (_family, by, alg) => {
    expect(await accept(await signed({ by, alg }), ordering(by))).toMatchObject({ user: "alice" });
    const other = await signed({ alg: "ES256", header: { kid: canonicalKeyId(by.key) } });
    await expect(accept(other, ordering(by))).rejects.toEqual(refusal("does not hold"));
  });

  it.each<[string, Partial<Signing>, RegExp]>([
    ["a stranger's key", { by: mallory }, /a key that the policy does not know/],
    [
      "a stranger's key under an operator's id",
      { by: mallory, header: { kid: canonicalKeyId(alice.key) } },
      /does not hold/,
    ],
    ["a key that is no operator's", { by: bob }, /this key of bob is none of the operators of prod/],
    ["another typ", { header: { typ: "JWT" } }, /has the typ goldseal-order\+jws/],
    ["an expired order", { claims: { exp: SECONDS } }, /has expired/],
    ["an order that is good for longer", { claims: { exp: SECONDS + 301 } }, /five minutes at most/],
    ["no expiry", { claims: { exp: undefined } }, /exp/],
    ["another environment", { claims: { environment: "test" } }, /the order is for test/],
    ["another action", { claims: { action: "service.remove" } }, /the order is for service.remove/],
    ["an action that is none", { claims: { action: "shell" } }, /action/],
    ["another specification", { claims: { spec: "0".repeat(64) } }, /for another specification/],
    ["a short nonce", { claims: { nonce: "abc" } }, /nonce/],
    ["a claim more", { claims: { admin: true } }, /admin/],
  ])("refuses %s", async (_what, change, reason) => {
    await expect(accept(await signed(change))).rejects.toEqual(refusal(reason));
  });

  it("refuses a changed specification, one byte of it", async () => {
    const jws = await signed();
    const changed = { ...wanted, spec: Buffer.from('{"name":"wec"}') };

    await expect(accept(jws, policyOf(), NOW, changed)).rejects.toEqual(refusal("for another specification"));
  });

  it("refuses alg none, a symmetric key made of the public one, and what is no JWS", async () => {
    const [, payload] = (await signed()).split(".");
    const kid = canonicalKeyId(alice.key);
    const none = Buffer.from(JSON.stringify({ alg: "none", typ: ORDER_TYPE, kid })).toString("base64url");
    await expect(accept(`${none}.${payload}.`)).rejects.toEqual(refusal("does not hold"));
    const secret = Buffer.from(alice.publicKey.export({ format: "pem", type: "spki" }));
    const bytes = Buffer.from(payload ?? "", "base64url");
    const hmac = new CompactSign(bytes).setProtectedHeader({ alg: "HS256", typ: ORDER_TYPE, kid });
    await expect(accept(await hmac.sign(secret))).rejects.toEqual(refusal("does not hold"));

    for (const text of ["", "a.b.c", "é", "x".repeat(9000)]) await expect(accept(text)).rejects.toEqual(refusal(/./));
  });

  it("refuses who has the key and not the right", async () => {
    const policy = policyOf(put(["environments", "prod", "rights"], { qa: "operate", ops: "deploy" }));

    await expect(accept(await signed(), policy)).rejects.toEqual(
      refusal("alice is in no team that may deploy in prod"),
    );
    const remove: Wanted = { ...wanted, action: "service.remove" };
    expect(await accept(await signed({}, remove), policy, NOW, remove)).toMatchObject({ action: "service.remove" });
  });

  it("refuses everything under an expired policy, and of an environment that is none", async () => {
    const late = new Date("2027-01-01T00:00:00Z");
    await expect(accept(await signOrder(wanted, { by: alice, now: late }), policyOf(), late)).rejects.toEqual(
      refusal("the policy expired", "POLICY"),
    );
    const nowhere = { ...wanted, environment: "nowhere" };

    await expect(accept(await signed({}, nowhere), policyOf(), NOW, nowhere)).rejects.toEqual(
      refusal("has no environment nowhere", "POLICY"),
    );
  });

  it("refuses a user whose key is in no such policy any more", async () => {
    const policy = policyOf(put(["environments", "prod", "operators"], [canonicalKeyId(carol.key)]));

    await expect(accept(await signed(), policy)).rejects.toEqual(refusal("none of the operators"));
  });
});

describe("a replay", () => {
  it("is refused, also of ten at once, and after a restart", async () => {
    const jws = await signed();
    const all = await Promise.allSettled(Array.from({ length: 10 }, () => accept(jws)));
    expect(all.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
    await replays.close();
    replays = await ReplayStore.open(folder);

    await expect(accept(jws)).rejects.toEqual(refusal("this order was carried out before"));
    expect(await accept(await signed())).toMatchObject({ user: "alice" });
  });

  it("is no replay what was refused before for another reason", async () => {
    const jws = await signed();
    await expect(accept(jws, policyOf(put(["environments", "prod", "rights"], {})))).rejects.toEqual(
      refusal("no team"),
    );

    expect(await accept(jws)).toMatchObject({ user: "alice" });
  });

  it("is known by what is on disk before an order is carried out", async () => {
    await accept(await signed({ claims: { nonce: "n".repeat(22) } }));

    expect((await readFile(join(folder, "nonces"))).toString()).toBe(
      `${(SECONDS + 240) * 1000} ${canonicalKeyId(alice.key)}.${"n".repeat(22)}\n`,
    );
  });

  it("is known over a line that was cut short, and refused where the file is damaged", async () => {
    const jws = await signed();
    await accept(jws);
    await replays.close();
    await appendFile(join(folder, "nonces"), "1234");
    replays = await ReplayStore.open(folder);
    await expect(accept(jws)).rejects.toEqual(refusal("carried out before"));

    await writeFile(join(folder, "nonces"), "what is this\n");

    await expect(ReplayStore.open(folder)).rejects.toMatchObject({ code: "STORE" });
  });

  it("is refused also when the clock is stepped back after the order had expired", async () => {
    const jws = await signed();
    await accept(jws);
    const later = new Date(NOW.getTime() + 241_000);
    await accept(await signed({ now: later }), policyOf(), later);

    await expect(accept(jws, policyOf(), new Date(later.getTime() - 60_000))).rejects.toEqual(
      refusal("carried out before"),
    );
  });

  it("is forgotten ten minutes after the order it is of has expired", async () => {
    const store = await ReplayStore.open(join(folder, "other"));
    const atEnd = (ms: number) => new Date(SECONDS * 1000 + 600_000 + ms);
    expect(await store.take("a", new Date(SECONDS * 1000 + 1), NOW)).toBe(true);
    expect(await store.take("b", atEnd(9), atEnd(1))).toBe(true);
    expect(await store.take("a", NOW, NOW)).toBe(false);
    expect(await store.take("c", atEnd(9), atEnd(2))).toBe(true);

    expect(await store.take("b", NOW, NOW)).toBe(false);
    expect(await store.take("a", NOW, NOW)).toBe(true);
    await store.close();
  });
});

describe("acceptOrder for a node, which belongs to every environment", () => {
  const wanted: Wanted = { environment: "prod", action: "node.update", spec };
  /** With an environment of its own beside prod. */
  const policyWith = (test: Record<string, unknown>): PolicyDocument =>
    policyOf((document) => {
      const { prod } = document.environments as Record<string, Record<string, unknown>>;
      put(["environments", "test"], { ...prod, ...test })(document);
    });

  it("takes what is by an operator of all of them", async () => {
    expect(await accept(await signed({}, wanted), policyWith({}), NOW, wanted)).toMatchObject({
      action: "node.update",
    });
  });

  it("refuses a key that one of them does not list, and a user who may not operate in one", async () => {
    const noKey = accept(await signed({}, wanted), policyWith({ operators: [] }), NOW, wanted);
    await expect(noKey).rejects.toEqual(refusal("this key of alice is none of the operators of test"));
    const noRight = accept(await signed({}, wanted), policyWith({ rights: { qa: "view" } }), NOW, wanted);
    await expect(noRight).rejects.toEqual(refusal("alice is in no team that may operate in test"));
  });

  it("asks of all else for the one environment alone", async () => {
    expect(await accept(await signed(), policyWith({ operators: [] }))).toMatchObject({ user: "alice" });
  });
});
