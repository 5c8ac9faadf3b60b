/** Hardening T15, T20, N06, N07, L01: keys that are weak, and keys that are counted twice. */
import { type Attack, fault, refuses } from "./testing/attack.ts";
import { badTargets, childOf, delegate, entry, on, published, roles, signer } from "./testing/delegating.ts";
import { all, put } from "./testing/loose.ts";
import { certificateFor, GUN, keyJsonOf, type Repository, roleOf } from "./testing/repository.ts";
import { disguised, ecdsaKey, ed25519Key, inCertificate, rsaKey, type TestKey } from "./testing/test-key.ts";

/** Points of small order and second spellings, as hex: see RFC 7748 section 6 and RFC 8032 section 5.1.3. */
const ODD_POINTS: readonly (readonly [string, string, string])[] = [
  ["the neutral element", `01${"00".repeat(31)}`, "a point of small order"],
  ["the neutral element, negated", `01${"00".repeat(30)}80`, "a point of small order"],
  ["order 2", `ec${"ff".repeat(30)}7f`, "a point of small order"],
  ["order 2, negated", `ec${"ff".repeat(31)}`, "a point of small order"],
  ["order 4", "00".repeat(32), "a point of small order"],
  ["order 4, negated", `${"00".repeat(31)}80`, "a point of small order"],
  ["order 8", "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05", "a point of small order"],
  ["order 8, negated", "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85", "a point of small order"],
  ["order 8, the other", "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a", "a point of small order"],
  [
    "order 8, the other, negated",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
    "a point of small order",
  ],
  ["y = p, which is 0", `ed${"ff".repeat(30)}7f`, "not in its canonical form"],
  ["y = p + 1, which is 1", `ee${"ff".repeat(30)}7f`, "not in its canonical form"],
  ["y = 2^255 - 1", `${"ff".repeat(31)}7f`, "not in its canonical form"],
];
const point = ecdsaKey();
const jwk = point.publicKey.export({ format: "jwk" });
const x = Buffer.from(jwk.x ?? "", "base64url");
const parity = (Buffer.from(jwk.y ?? "", "base64url").at(-1) ?? 0) & 1;
const compressed = Buffer.concat([
  Buffer.from("3039301306072a8648ce3d020106082a8648ce3d030107032200", "hex"),
  Buffer.from([2 + parity]),
  x,
]);
const short = rsaKey(1024);
const weakKeys: readonly (readonly [string, TestKey, string])[] = [
  ...ODD_POINTS.map(
    ([name, hex, why]) =>
      [
        `Ed25519: ${name}`,
        disguised(ed25519Key(), "ed25519", Buffer.from(hex, "hex")),
        `an Ed25519 key is ${why}`,
      ] as const,
  ),
  ["Ed25519: 31 bytes", disguised(signer, "ed25519", Buffer.alloc(31, 7)), "an Ed25519 key has 32 bytes"],
  ["Ed25519: 33 bytes", disguised(signer, "ed25519", Buffer.alloc(33, 7)), "an Ed25519 key has 32 bytes"],
  [
    "Ed25519 as DER",
    disguised(signer, "ed25519", ed25519Key().publicKey.export({ format: "der", type: "spki" })),
    "an Ed25519 key has 32 bytes",
  ],
  [
    "Ed25519 DER called ECDSA",
    disguised(signer, "ecdsa", ed25519Key().publicKey.export({ format: "der", type: "spki" })),
    "not a key on P-256, P-384 or P-521",
  ],
  ["ECDSA: compressed point", disguised(point, "ecdsa", compressed), "a public key is not in its normal DER form"],
  [
    "ECDSA: a byte after the DER",
    disguised(point, "ecdsa", Buffer.concat([point.key.publicBytes, Buffer.of(0)])),
    "a public key is not in its normal DER form",
  ],
  ["ECDSA: P-224", ecdsaKey("secp224r1"), "not a key on P-256, P-384 or P-521"],
  ["ECDSA: secp256k1", ecdsaKey("secp256k1"), "not a key on P-256, P-384 or P-521"],
  [
    "ECDSA: a point that is not on the curve",
    disguised(point, "ecdsa", Buffer.concat([point.key.publicBytes.subarray(0, 27), Buffer.alloc(64, 1)])),
    "not a DER public key",
  ],
  ["ECDSA: nothing", disguised(point, "ecdsa", Buffer.of()), "not a DER public key"],
  [
    "ECDSA: PEM",
    disguised(point, "ecdsa", Buffer.from(String(point.publicKey.export({ format: "pem", type: "spki" })))),
    "not a DER public key",
  ],
  [
    "ECDSA: the private key",
    disguised(point, "ecdsa", point.privateKey.export({ format: "der", type: "pkcs8" })),
    "not a DER public key",
  ],
  ["RSA: 1024 bits", short, "an RSA key of 1024 bits; 2048 to 8192 are taken"],
  ["RSA: exponent 3", rsaKey(2048, 3), "an RSA key with the public exponent 3"],
  ["RSA: exponent 257", rsaKey(2048, 257), "an RSA key with the public exponent 257"],
  ["RSA key called ECDSA", disguised(rsaKey(), "ecdsa"), "not a key on P-256, P-384 or P-521"],
  ["ECDSA key called RSA", disguised(point, "rsa"), "not an RSA key"],
  ["a certificate called ECDSA", disguised(inCertificate(point, certificateFor(GUN)), "ecdsa"), "not a DER public key"],
  ["a bare key called a certificate", disguised(point, "ecdsa-x509"), "not PEM certificates"],
  ["an empty certificate", disguised(point, "ecdsa-x509", Buffer.of()), "no certificate"],
  [
    "a certificate of a short RSA key",
    inCertificate(short, certificateFor(GUN)),
    "an RSA key of 1024 bits; 2048 to 8192 are taken",
  ],
];

refuses("keys that count elsewhere though they must not", [
  ...roles.flatMap((role) =>
    weakKeys.map(([name, weak, why]) =>
      on(role, name, delegate([weak], entry(childOf(role), [weak])), `key ${weak.key.id} of ${childOf(role)}: ${why}`),
    ),
  ),
  ...weakKeys.map(([name, weak, why]) => ({
    name: `root lists for targets: ${name}`,
    repository: published,
    parts: (copy: Repository) => {
      const keys = put(["keys", weak.key.id], keyJsonOf(weak.key));
      return [copy.part("root", all(keys, put(["roles", "targets"], roleOf([weak]))))];
    },
    code: "INVALID_UPDATE" as const,
    detail: fault("ErrBadRoot", `key ${weak.key.id} of targets: ${why}`),
  })),
]);

const pair = ecdsaKey();
const inCert = inCertificate(pair, certificateFor("alice"));
const other = ecdsaKey();
const twoOf = (keys: readonly TestKey[], signers: readonly TestKey[], message: string, name: string): Attack => ({
  name,
  repository: published,
  parts: (copy) => [
    copy.part("targets", delegate(keys, entry("targets/a", keys, 2))),
    copy.part("targets/a", undefined, signers),
  ],
  ...badTargets(message),
});
const same = ({ key }: TestKey): string => `targets/a lists one key twice: ${pair.key.id} and ${key.id}`;
const short2 = "valid signatures did not meet threshold for targets/a";

refuses("two signatures, one signer", [
  twoOf([pair, other], [pair], short2, "one of two"),
  twoOf([pair, other], [pair, pair], short2, "the same signature twice"),
  twoOf([pair, other], [pair, inCert], short2, "the same key bare and in a certificate that is not listed"),
  twoOf([pair, inCert], [pair, inCert], same(inCert), "the same key bare and in a listed certificate"),
  twoOf([pair, pair], [pair, pair], same(pair), "one id listed twice"),
  {
    name: "the same key in both forms, whoever signs later",
    repository: published,
    parts: (copy) => [copy.part("targets", delegate([pair, inCert], entry("targets/a", [pair, inCert], 2)))],
    ...badTargets(same(inCert)),
  },
  {
    name: "a delegate's certificate signed with SHA-1",
    repository: published,
    parts: (copy) => {
      const weak = inCertificate(pair, { ...certificateFor("alice"), hash: "sha1" });
      const targets = copy.part("targets", delegate([weak], entry("targets/a", [weak])));
      return [targets, copy.part("targets/a", undefined, [weak])];
    },
    ...badTargets("targets/a has a certificate with a weak signature"),
  },
]);
