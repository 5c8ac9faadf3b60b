import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { canonicalKeyId, type Key } from "../notary/tuf/key.ts";
import { certificateFor } from "../notary/tuf/testing/repository.ts";
import { disguised, ecdsaKey, ed25519Key, inCertificate, rsaKey, signBytes } from "../notary/tuf/testing/test-key.ts";
import { type EnvelopeRule, parseEnvelope, preAuthEncoding, signEnvelope, verifyEnvelope } from "./dsse.ts";
import { alice, bob, mallory, signDetached, signerOf } from "./testing/signers.ts";

const TYPE = "goldseal.test/v1";
const PAYLOAD = Buffer.from('{"digest":"sha256:00"}');
const rule = (threshold: number, ...keys: readonly Key[]): EnvelopeRule => ({ payloadType: TYPE, keys, threshold });
const verify = (bytes: Uint8Array, wanted: EnvelopeRule): void => verifyEnvelope(parseEnvelope(bytes), wanted);
const json = (change: object): Buffer =>
  Buffer.from(JSON.stringify({ ...JSON.parse(signEnvelope(TYPE, PAYLOAD, [signerOf(alice)]).toString()), ...change }));
const refused = (code: string) => expect.objectContaining({ name: "TrustError", code });

describe("preAuthEncoding", () => {
  it("is the specification's", () => {
    expect(preAuthEncoding("http://example.com/HelloWorld", Buffer.from("hello world")).toString()).toBe(
      "DSSEv1 29 http://example.com/HelloWorld 11 hello world",
    );
  });

  it("counts bytes, not characters", () => {
    expect(preAuthEncoding("é", Buffer.from("ü")).toString()).toBe("DSSEv1 2 é 2 ü");
  });
});

describe("verifyEnvelope", () => {
  it.each([
    ["ECDSA P-256", ecdsaKey()],
    ["ECDSA P-384", ecdsaKey("secp384r1")],
    ["ECDSA P-521", ecdsaKey("secp521r1")],
    ["RSA", rsaKey()],
    ["Ed25519", ed25519Key()],
    ["a key in a certificate", inCertificate(ecdsaKey(), certificateFor("alice"))],
  ])("takes a signature of %s", (_name, pair) => {
    verify(signEnvelope(TYPE, PAYLOAD, [signerOf(pair)]), rule(1, pair.key));
  });

  it("takes two of three", () => {
    verify(signEnvelope(TYPE, PAYLOAD, [signerOf(bob), signerOf(alice)]), rule(2, alice.key, bob.key, mallory.key));
  });

  it("takes every signature that node makes, however short its numbers", () => {
    for (let round = 0; round < 600; round++) {
      verify(signEnvelope(TYPE, Buffer.from(String(round)), [signerOf(alice)]), rule(1, alice.key));
    }
  });

  const twice = inCertificate(alice, certificateFor("alice"));
  it.each<[string, Buffer, EnvelopeRule]>([
    ["wrong key", signEnvelope(TYPE, PAYLOAD, [signerOf(mallory)]), rule(1, alice.key)],
    [
      "wrong key under the right id",
      signEnvelope(TYPE, PAYLOAD, [{ ...signerOf(mallory), keyId: canonicalKeyId(alice.key) }]),
      rule(1, alice.key),
    ],
    ["one of two", signEnvelope(TYPE, PAYLOAD, [signerOf(alice)]), rule(2, alice.key, bob.key)],
    [
      "one key that signed twice",
      signEnvelope(TYPE, PAYLOAD, [signerOf(alice), signerOf(alice)]),
      rule(2, alice.key, bob.key),
    ],
    [
      "one key in two forms",
      signEnvelope(TYPE, PAYLOAD, [signerOf(alice), signerOf(twice)]),
      rule(2, alice.key, twice.key),
    ],
    ["a threshold of nobody", signEnvelope(TYPE, PAYLOAD, [signerOf(mallory)]), rule(0, alice.key)],
    ["a threshold that is no number", signEnvelope(TYPE, PAYLOAD, [signerOf(alice)]), rule(Number.NaN, alice.key)],
    [
      "another payload type than was asked for",
      signEnvelope("goldseal.other/v1", PAYLOAD, [signerOf(alice)]),
      rule(1, alice.key),
    ],
    [
      "a payload type changed after signing",
      json({ payloadType: "goldseal.tesT/v1" }),
      { ...rule(1, alice.key), payloadType: "goldseal.tesT/v1" },
    ],
    ["a payload changed after signing", json({ payload: Buffer.from("{}").toString("base64") }), rule(1, alice.key)],
    [
      "a signature over the bare payload",
      json({
        signatures: [{ keyid: canonicalKeyId(alice.key), sig: signDetached(alice, PAYLOAD).toString("base64") }],
      }),
      rule(1, alice.key),
    ],
    [
      "a signature without a key id",
      signEnvelope(TYPE, PAYLOAD, [{ ...signerOf(alice), keyId: "" }]),
      rule(1, alice.key),
    ],
    [
      "a key that can verify nothing",
      signEnvelope(TYPE, PAYLOAD, [{ ...signerOf(alice), keyId: disguised(alice, "x").key.id }]),
      rule(1, disguised(alice, "x").key),
    ],
  ])("refuses %s", (_attack, bytes, wanted) => {
    expect(() => verify(bytes, wanted)).toThrow(refused("SIGNATURE"));
  });

  it("says how many are missing", () => {
    const one = signEnvelope(TYPE, PAYLOAD, [signerOf(alice)]);

    expect(() => verify(one, rule(2, alice.key, bob.key))).toThrow("signed by 1 of the keys that count, 2 must");
  });

  it.each([
    ["raw r‖s", (der: Buffer) => signBytes(alice.privateKey, "ecdsa", der)],
    ["a byte more at the end", (der: Buffer) => Buffer.concat([der, Buffer.from([0])])],
    [
      "a length in two bytes",
      (der: Buffer) => Buffer.concat([der.subarray(0, 1), Buffer.from([0x81]), der.subarray(1)]),
    ],
    ["a zero more before r", (der: Buffer) => longer(der)],
    ["no byte at all", () => Buffer.alloc(0)],
    ["a cut one", (der: Buffer) => der.subarray(0, 20)],
  ])("refuses a second spelling of an ECDSA signature: %s", (_name, change) => {
    const sig = change(signDetached(alice, preAuthEncoding(TYPE, PAYLOAD))).toString("base64");

    const bytes = json({ signatures: [{ keyid: canonicalKeyId(alice.key), sig }] });

    expect(() => verify(bytes, rule(1, alice.key))).toThrow(refused("SIGNATURE"));
  });

  it("refuses an envelope with any one bit changed, or leaves what it says as it was", () => {
    const bytes = signEnvelope(TYPE, PAYLOAD, [signerOf(alice)]);
    fc.assert(
      fc.property(fc.nat(bytes.length * 8 - 1), (bit) => {
        const changed = Buffer.from(bytes);
        changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));

        expect(() => verify(changed, rule(1, alice.key))).toThrow(expect.objectContaining({ name: "TrustError" }));
      }),
    );
  });
});

describe("parseEnvelope", () => {
  const signature = { keyid: "", sig: "AAAA" };

  it.each<[string, Buffer]>([
    ["no JSON", Buffer.from("{")],
    ["a list", Buffer.from("[]")],
    ["a member twice", Buffer.from('{"payload":"AA==","payload":"AA==","payloadType":"t","signatures":[]}')],
    ["a member that nobody signed", json({ note: "trust me" })],
    ["a signature with a member more", json({ signatures: [{ ...signature, cert: "x" }] })],
    ["no signature", json({ signatures: [] })],
    ["65 signatures", json({ signatures: Array(65).fill(signature) })],
    ["a payload that is not base64", json({ payload: "e30" })],
    ["a payload in URL-safe base64", json({ payload: "-_-_" })],
    ["a payload with loose bits", json({ payload: "e31=" })],
    ["a signature that is not base64", json({ signatures: [{ ...signature, sig: "=" }] })],
    ["no payload type", json({ payloadType: "" })],
    ["a payload type without end", json({ payloadType: "t".repeat(256) })],
    ["a key id without end", json({ signatures: [{ ...signature, keyid: "k".repeat(256) }] })],
  ])("refuses %s", (_what, bytes) => {
    expect(() => parseEnvelope(bytes)).toThrow(refused("MALFORMED"));
  });

  it("takes 64 signatures, and one without a key id", () => {
    expect(parseEnvelope(json({ signatures: Array(64).fill({ sig: "AAAA" }) })).signatures).toHaveLength(64);
  });
});

/** r with one zero more before it, all lengths right. */
function longer(der: Buffer): Buffer {
  const length = der[3] ?? 0;
  const head = [0x30, (der[1] ?? 0) + 1, 0x02, length + 1, 0];
  return Buffer.concat([Buffer.from(head), der.subarray(4)]);
}
