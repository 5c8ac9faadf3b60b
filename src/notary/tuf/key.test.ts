import { describe, expect, it } from "vitest";
import { canonicalKeyId, keyJson, makeKey, readKey, spkiOf, verifySignature } from "./key.ts";
import { certificateFor, GUN, keyJsonOf } from "./testing/repository.ts";
import { disguised, ecdsaKey, ed25519Key, inCertificate, rsaKey, signBytes, signWith } from "./testing/test-key.ts";

const message = Buffer.from("message");

describe("a key", () => {
  it.each([
    ["ECDSA P-256", ecdsaKey(), 64],
    ["ECDSA P-384", ecdsaKey("secp384r1"), 96],
    ["ECDSA P-521", ecdsaKey("secp521r1"), 132],
    ["RSA 2048", rsaKey(), 256],
    ["RSA 3072", rsaKey(3072), 384],
    ["Ed25519", ed25519Key(), 64],
  ])("%s verifies its own signatures of the right length", (_what, pair, length) => {
    const { method, sig } = signWith(pair, message);

    expect(sig.length).toBe(length);
    expect(verifySignature(pair.key, method, message, sig)).toBe(true);
    expect(verifySignature(pair.key, method.toUpperCase(), message, sig)).toBe(true);
    expect(verifySignature(pair.key, method, Buffer.from("massage"), sig)).toBe(false);
  });

  it("of RSA verifies PKCS#1 v1.5 too, which clients accept", () => {
    const pair = rsaKey();

    const sig = signBytes(pair.privateKey, "rsapkcs1v15", message);

    expect(verifySignature(pair.key, "rsapkcs1v15", message, sig)).toBe(true);
  });

  it.each([
    ["ECDSA", ecdsaKey()],
    ["RSA", rsaKey()],
  ])("of %s is one key in all its forms, under an id for each", (_what, pair) => {
    const first = inCertificate(pair, certificateFor(GUN));
    const second = inCertificate(pair, certificateFor("alice"), (pem) => `\n${pem} \r\n`);
    const forms = [pair, first, second].map(({ key }) => key);

    expect(new Set(forms.map(spkiOf)).size).toBe(1);
    expect(new Set(forms.map(({ id }) => id)).size).toBe(3);
    expect(forms.map(canonicalKeyId)).toEqual([pair.key.id, pair.key.id, pair.key.id]);
  });

  it("has intermediates after its certificate", () => {
    const ca = inCertificate(ecdsaKey(), { ...certificateFor("CA"), ca: true }).key.publicBytes.toString();
    const { key } = inCertificate(ecdsaKey(), certificateFor(GUN), (pem) => pem + ca);

    expect(key.getMaterial().certificates.length).toBe(2);
  });

  it("of an unknown type stands, and verifies nothing", () => {
    const pair = ecdsaKey();
    const { key } = disguised(pair, "ecdsa-sha2-nistp256");
    const { method, sig } = signWith(pair, message);

    expect(spkiOf(key)).toBeUndefined();
    expect(canonicalKeyId(key)).toBe(key.id);
    expect(verifySignature(key, method, message, sig)).toBe(false);
  });

  it("is written with its public half first, and read in any order", () => {
    const { key } = ed25519Key();
    const base64 = key.publicBytes.toString("base64");

    expect(keyJson(key)).toBe(`{"keytype":"ed25519","keyval":{"public":"${base64}","private":null}}`);
    expect(readKey(keyJsonOf(key) as never).id).toBe(key.id);
    expect(makeKey("ed25519", key.publicBytes).id).toBe(key.id);
  });
});
