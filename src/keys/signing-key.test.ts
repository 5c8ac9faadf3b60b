import { createPublicKey, verify } from "node:crypto";
import nacl from "tweetnacl";
import { describe, expect, it } from "vitest";
import { newSigningKey, openSigningKey } from "./signing-key.ts";

const message = Buffer.from('{"_type":"Timestamp"}');

describe("a signing key", () => {
  it("signs Ed25519 as tweetnacl does, to the byte", () => {
    const { publicBytes, privateBytes } = newSigningKey("ed25519");
    const { secretKey } = nacl.sign.keyPair.fromSeed(new Uint8Array(privateBytes));

    const { method, sig } = openSigningKey("ed25519", privateBytes)(message);

    expect(method).toBe("eddsa");
    expect(Buffer.from(sig)).toEqual(Buffer.from(nacl.sign.detached(new Uint8Array(message), secretKey)));
    expect(publicBytes).toEqual(Buffer.from(secretKey.subarray(32)));
  });

  it("signs ECDSA on P-256 with r and s of 32 bytes each", () => {
    const { publicBytes, privateBytes } = newSigningKey("ecdsa");
    const key = createPublicKey({ key: publicBytes, format: "der", type: "spki" });

    const { method, sig } = openSigningKey("ecdsa", privateBytes)(message);

    expect([method, sig.length]).toEqual(["ecdsa", 64]);
    expect(verify("sha256", message, { key, dsaEncoding: "ieee-p1363" }, sig)).toBe(true);
  });

  it("is never made twice", () => {
    expect(newSigningKey("ed25519").privateBytes).not.toEqual(newSigningKey("ed25519").privateBytes);
  });
});
