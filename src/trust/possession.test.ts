import { describe, expect, it } from "vitest";
import { spkiOf } from "../notary/tuf/key.ts";
import { ecdsaKey, ed25519Key, rsaKey, signBytes } from "../notary/tuf/testing/test-key.ts";
import { type PossessionClaim, possessionMessage, verifyPossession } from "./possession.ts";

const claimOf = (spkiSha256 = "ab".repeat(32)): PossessionClaim => ({
  server: "https://registry.test:5443",
  user: "ann",
  spkiSha256,
  challenge: "cd".repeat(32),
});

describe("the message that proves possession", () => {
  it("is five lines", () => {
    expect(possessionMessage(claimOf()).toString()).toBe(
      `goldseal proof of possession of a key, v1
server: https://registry.test:5443
user: ann
key-sha256: ${"ab".repeat(32)}
challenge: ${"cd".repeat(32)}
`,
    );
  });

  it.each(["ann\nchallenge: x", "ann b", "änn", ""])("has no place for %j", (user) => {
    expect(() => possessionMessage({ ...claimOf(), user })).toThrow("is no word");
  });
});

describe("a proof", () => {
  it.each([
    ["ECDSA", ecdsaKey(), "ecdsa"],
    ["RSA-PSS", rsaKey(), "rsapss"],
    ["RSA PKCS#1", rsaKey(), "rsapkcs1v15"],
    ["Ed25519", ed25519Key(), "eddsa"],
  ])("by %s holds for its own claim and for no other", (_what, pair, method) => {
    const claim = claimOf(spkiOf(pair.key));
    const signature = signBytes(pair.privateKey, method, possessionMessage(claim));

    expect(verifyPossession(pair.key, claim, { method, signature })).toBe(true);
    for (const change of [
      { server: "https://registry.test:5444" },
      { user: "bob" },
      { spkiSha256: "ef".repeat(32) },
      { challenge: "00".repeat(32) },
    ])
      expect(verifyPossession(pair.key, { ...claim, ...change }, { method, signature })).toBe(false);
  });

  it("by another key is none", () => {
    const [own, other] = [ecdsaKey(), ecdsaKey()];
    const claim = claimOf(spkiOf(own.key));
    const signature = signBytes(other.privateKey, "ecdsa", possessionMessage(claim));

    expect(verifyPossession(own.key, claim, { method: "ecdsa", signature })).toBe(false);
  });
});
