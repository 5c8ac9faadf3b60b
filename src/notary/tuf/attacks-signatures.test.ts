/** Hardening T01, N01, N06, N10: who signed, with what, and how often. */
import { constants, sign } from "node:crypto";
import { parseJson } from "../../oci/json.ts";
import { toCanonical } from "./canonical-json.ts";
import { parseSignedFile, type Signature, type SignedFile, toFileBytes } from "./signed-file.ts";
import { type Attack, fault, refuses } from "./testing/attack.ts";
import { invalid, ROTATION_FAILED, TARGETS_OF_ATTACK, type Target, unsigned } from "./testing/each-role.ts";
import { certificateFor, GUN, Repository } from "./testing/repository.ts";
import { ecdsaKey, ed25519Key, inCertificate, rsaKey, signWith, type TestKey } from "./testing/test-key.ts";

type Resign = (file: SignedFile, signer: TestKey, repository: Repository) => readonly Signature[];

/** The honest next file with other signatures. */
const onSignatures = (name: string, resign: Resign, refusal = unsigned): Attack[] =>
  TARGETS_OF_ATTACK.map((target) => ({
    name: `${target.role}: ${name}`,
    repository: target.repository,
    parts: (copy) => {
      const file = parseSignedFile(target.file(copy));
      const bytes = toFileBytes(file.message, resign(file, copy.signerOf(target.role), copy));
      return [{ filename: target.role, bytes }];
    },
    honest: target.honest,
    ...refusal(target),
  }));

const method =
  (name: string): Resign =>
  (file) =>
    file.signatures.map((signature) => ({ ...signature, method: name }));
const sig =
  (change: (sig: Buffer) => Buffer): Resign =>
  (file) =>
    file.signatures.map((signature) => ({ ...signature, sig: change(Buffer.from(signature.sig)) }));
const stranger = inCertificate(ecdsaKey(), certificateFor(GUN));
const strangerRsa = rsaKey();

refuses("arbitrary software: files that the role's keys did not sign", [
  ...onSignatures("signed by a stranger under the stranger's id", ({ message }) => [signWith(stranger, message)]),
  ...onSignatures("signed by a stranger under the signer's id", ({ message }, { key }) => [
    { ...signWith(stranger, message), keyId: key.id },
  ]),
  ...onSignatures("signed by the timestamp's key", ({ message }, _signer, { keys }) => [
    signWith(keys.timestamp, message),
  ]),
  ...onSignatures("an honest signature of the version before", (_file, signer, repository) => {
    const [role] = [...repository.stored.keys()];
    return [signWith(signer, repository.stored.get(role ?? ("root" as never)) ?? Buffer.of())];
  }),
  ...onSignatures("signed over the file's text instead of its canonical form", ({ message }, signer) => [
    signWith(signer, Buffer.concat([message, Buffer.from(" ")])),
  ]),
  ...onSignatures("an empty key id", (file) => file.signatures.map((signature) => ({ ...signature, keyId: "" }))),
  ...onSignatures("the key id in capitals", (file) =>
    file.signatures.map((signature) => ({ ...signature, keyId: signature.keyId.toUpperCase() })),
  ),
  ...onSignatures("the key id __proto__", (file) =>
    file.signatures.map((signature) => ({ ...signature, keyId: "__proto__" })),
  ),
  ...onSignatures(
    "no signature",
    () => [],
    (target) => (target.role === "root" ? unsigned(target) : invalid("tuf: data has no signatures")(target)),
  ),
  ...onSignatures(
    "an empty signature",
    sig(() => Buffer.of()),
  ),
  ...onSignatures(
    "a signature of zeros",
    sig((old) => Buffer.alloc(old.length)),
  ),
  ...onSignatures(
    "a signature one byte short",
    sig((old) => old.subarray(1)),
  ),
  ...onSignatures(
    "a signature with a byte more",
    sig((old) => Buffer.concat([old, Buffer.of(0)])),
  ),
  ...onSignatures(
    "one flipped bit",
    sig((old) => Buffer.from(old.map((byte, index) => (index === 9 ? byte ^ 1 : byte)))),
  ),
  ...onSignatures("a signature in DER", ({ message }, { key, privateKey }) => [
    { keyId: key.id, method: "ecdsa", sig: sign("sha256", message, privateKey) },
  ]),
  ...onSignatures("a signature over SHA-384", ({ message }, { key, privateKey }) => [
    { keyId: key.id, method: "ecdsa", sig: sign("sha384", message, { key: privateKey, dsaEncoding: "ieee-p1363" }) },
  ]),
]);

refuses("a method that is not the key's", [
  ...[
    "rsapss",
    "rsapkcs1v15",
    "eddsa",
    "pycrypto-pkcs#1 pss",
    "ecdsa-sha2-nistp256",
    "none",
    "",
    "constructor",
    "ECDSA ",
  ].flatMap((name) => onSignatures(`ECDSA key, method ${JSON.stringify(name)}`, method(name))),
  ...onSignatures("another key's RSA signature under the ECDSA key's id", ({ message }, { key }) => [
    { ...signWith(strangerRsa, message), keyId: key.id },
  ]),
  ...onSignatures("an Ed25519 signature under the ECDSA key's id", ({ message }, { key }) => [
    { ...signWith(ed25519Key(), message), keyId: key.id },
  ]),
]);

const withTargetsKey = (key: TestKey): Repository => {
  const repository = new Repository();
  repository.keys.targets = key;
  repository.publish([repository.part("root"), repository.part("targets")]);
  return repository;
};
const ofTargets = (name: string, key: TestKey, resign: Resign): Attack => ({
  name,
  repository: withTargetsKey(key),
  parts: (copy) => {
    const file = parseSignedFile(copy.part("targets").bytes);
    return [{ filename: "targets", bytes: toFileBytes(file.message, resign(file, key, copy)) }];
  },
  code: "INVALID_UPDATE",
  detail: fault("ErrBadTargets", "valid signatures did not meet threshold for targets"),
});
const rsa = rsaKey();
const rsaSign =
  (hash: string, options: { padding: number; saltLength?: number }, name: string): Resign =>
  ({ message }, { key, privateKey }) => [
    { keyId: key.id, method: name, sig: sign(hash, message, { key: privateKey, ...options }) },
  ];
const { RSA_PKCS1_PSS_PADDING: PSS, RSA_PKCS1_PADDING: PKCS1 } = constants;

refuses("verifier confusion with RSA and Ed25519 keys", [
  ...["ecdsa", "eddsa", "", "rsa", "pycrypto-pkcs#1 pss"].map((name) =>
    ofTargets(`RSA key, method ${JSON.stringify(name)}`, rsa, method(name)),
  ),
  ofTargets("PSS called PKCS#1", rsa, method("rsapkcs1v15")),
  ofTargets("PKCS#1 called PSS", rsa, rsaSign("sha256", { padding: PKCS1 }, "rsapss")),
  ofTargets("PSS without salt", rsa, rsaSign("sha256", { padding: PSS, saltLength: 0 }, "rsapss")),
  ofTargets("PSS with the longest salt", rsa, rsaSign("sha256", { padding: PSS, saltLength: 222 }, "rsapss")),
  ofTargets("PSS over SHA-1", rsa, rsaSign("sha1", { padding: PSS, saltLength: 20 }, "rsapss")),
  ofTargets("PKCS#1 over SHA-1", rsa, rsaSign("sha1", { padding: PKCS1 }, "rsapkcs1v15")),
  ...["ecdsa", "rsapss", "rsapkcs1v15", "", "ed25519"].map((name) =>
    ofTargets(`Ed25519 key, method ${JSON.stringify(name)}`, ed25519Key(), method(name)),
  ),
  ofTargets("Ed25519 with S + L", ed25519Key(), sig(addGroupOrder)),
  ofTargets(
    "Ed25519 cut to 63 bytes",
    ed25519Key(),
    sig((old) => old.subarray(0, 63)),
  ),
  ...["secp384r1", "secp521r1"].map((curve) =>
    ofTargets(
      `${curve}: the same numbers padded to P-256's length`,
      ecdsaKey(curve),
      sig((old) => old.subarray(0, 64)),
    ),
  ),
]);

/** The other S that an inexact verifier takes (hardening M1). */
function addGroupOrder(signature: Buffer): Buffer {
  const order = 2n ** 252n + 27742317777372353535851937790883648493n;
  const s = BigInt(`0x${Buffer.from(signature.subarray(32)).reverse().toString("hex")}`) + order;
  const twin = Buffer.from(s.toString(16).padStart(64, "0"), "hex").reverse();
  return Buffer.concat([signature.subarray(0, 32), twin]);
}

refuses("endless signatures", [
  ...onSignatures(
    "65 times the same",
    (file) => Array.from({ length: 65 }, () => file.signatures).flat(),
    ({ role, errorName }) => ({
      code: "INVALID_UPDATE",
      detail: fault(errorName, role === "root" ? ROTATION_FAILED : `${role} has more than 64 signatures`),
    }),
  ),
  ...onSignatures(
    "10,000 of strangers before the honest one",
    (file) => [
      ...Array.from({ length: 10_000 }, (_, index) => ({
        keyId: index.toString(16).padStart(64, "0"),
        method: "ecdsa",
        sig: Buffer.alloc(64),
      })),
      ...file.signatures,
    ],
    ({ role, errorName }) => ({
      code: "INVALID_UPDATE",
      detail: fault(errorName, role === "root" ? ROTATION_FAILED : `${role} has more than 64 signatures`),
    }),
  ),
]);

/** Signs what stands there, not its canonical form (free-form members in another order). */
const overText =
  (custom: string) =>
  (target: Target): Attack => ({
    name: `${target.role}: signed over its own spelling of ${custom}`,
    repository: target.repository,
    parts: (copy) => {
      const text = toCanonical(parseJson(Buffer.from(JSON.stringify(copy.next(target.role))))).toString();
      const spelled = text.replace("{", `{"Custom":${custom},`);
      const { keyId, method: name, sig: bytes } = signWith(copy.signerOf(target.role), Buffer.from(spelled));
      const signatures = `[{"keyid":"${keyId}","method":"${name}","sig":"${Buffer.from(bytes).toString("base64")}"}]`;
      return [{ filename: target.role, bytes: Buffer.from(`{"signed":${spelled},"signatures":${signatures}}`) }];
    },
    honest: target.honest,
    ...unsigned(target),
  });

refuses("signatures over a text that nobody else computes", [
  ...TARGETS_OF_ATTACK.map(overText('{"b":1,"a":2}')),
  ...TARGETS_OF_ATTACK.map(overText('"\\u003c"')),
  ...TARGETS_OF_ATTACK.map(overText('{"\u{10000}":1,"\uff61":2}')),
  ...TARGETS_OF_ATTACK.map(overText("[1, 2]")),
]);
