/** Hardening T01, T08, T11, T13, T15, T22, N02, N06 to N08: taking over, or weakening, a repository by its root. */
import { type Attack, fault, refuses } from "./testing/attack.ts";
import type { CertificateOptions } from "./testing/certificate.ts";
import { INTEGRITY_FAILED, NO_CERTIFICATE, ROTATION_FAILED } from "./testing/each-role.ts";
import { all, put } from "./testing/loose.ts";
import { badRoot, published, roleKeys, root } from "./testing/next-root.ts";
import { certificateFor, GUN, inDays, keysOf, Repository, roleOf } from "./testing/repository.ts";
import { disguised, ecdsaKey, ed25519Key, inCertificate, rsaKey, type TestKey } from "./testing/test-key.ts";

const fresh = new Repository();

/** `next` takes the root's place; `signers` sign. */
const handOver = (name: string, next: TestKey, signers: readonly TestKey[], message: string): Attack => ({
  name,
  repository: published,
  parts: (copy) => {
    const { targets, snapshot, timestamp } = copy.keys;
    const keys = put(["keys"], keysOf(copy.keys.root, next, targets, snapshot, timestamp));
    return [copy.part("root", all(keys, put(["roles", "root"], roleOf([next]))), signers)];
  },
  ...badRoot(message),
});

const current = published.keys.root;
const honest = inCertificate(ecdsaKey(), certificateFor(GUN));
const certified = (options: Partial<CertificateOptions>, pair: TestKey = ecdsaKey()): TestKey =>
  inCertificate(pair, { ...certificateFor(GUN), ...options });
const named = (...commonNames: string[]): TestKey => certified({ commonNames });
const unusable = (name: string, next: TestKey): Attack => handOver(name, next, [current, next], NO_CERTIFICATE);

refuses("taking over by rotation", [
  handOver("the new key signs alone", honest, [honest], ROTATION_FAILED),
  handOver("the old key signs alone, for a key it does not hold", honest, [current], INTEGRITY_FAILED),
  handOver("nobody signs", honest, [], ROTATION_FAILED),
  handOver("the targets key signs for the old one", honest, [published.keys.targets, honest], ROTATION_FAILED),
  handOver("another repository's root signs", honest, [Repository.published().keys.root, honest], ROTATION_FAILED),
  {
    name: "the old key under the new key's id",
    repository: published,
    parts: (copy) => {
      const part = copy.part("root", undefined, [copy.keys.root]);
      const text = Buffer.from(part.bytes).toString();
      return [{ ...part, bytes: Buffer.from(text.replace(/"keyid":"\w+"/, `"keyid":"${honest.key.id}"`)) }];
    },
    ...badRoot(ROTATION_FAILED),
  },
  root("threshold 2 of which one signs", roleKeys("root", [honest, current], 2), INTEGRITY_FAILED),
]);

refuses("a root certificate that is not this repository's", [
  ...[
    ["another repository", "registry.example.com:5000/team/other"],
    ["another port", "registry.example.com:5001/team/app"],
    ["no port", "registry.example.com/team/app"],
    ["capitals", "Registry.example.com:5000/team/app"],
    ["a slash at the end", `${GUN}/`],
    ["a blank at the end", `${GUN} `],
    ["a NUL and more", `${GUN}\0.evil`],
    ["only its beginning", "registry.example.com:5000/team/ap"],
    ["more than it", `${GUN}2`],
    ["a full-width letter", "registry.example.com:5000/team/\uff41pp"],
    ["a line feed in the name", `x\nCN=${GUN}`],
    ["* in the middle", "registry.*/team/app"],
    ["another prefix with *", "registry.example.com:5000/other/*"],
    ["nothing", ""],
  ].map(([what = "", name = ""]) => unusable(`common name: ${what}`, named(name))),
  unusable("two common names, the first right", named(GUN, "evil")),
  unusable("two common names, the last right", named("evil", GUN)),
  unusable("no common name", named()),
  {
    name: "the root of repository A sent to repository B",
    repository: new Repository({ gun: "registry.example.com:5000/team/other" as never }),
    parts: (copy) => {
      Object.assign(copy.keys, published.keys);
      return [copy.part("root"), copy.part("targets")];
    },
    ...badRoot(NO_CERTIFICATE),
  },
]);

refuses("a certificate that is unfit for a root", [
  unusable("a CA's", certified({ ca: true })),
  unusable("expired", certified({ notAfter: inDays(-1), notBefore: inDays(-9) })),
  unusable("valid only in two days", certified({ notBefore: inDays(2) })),
  unusable("signed with SHA-1", certified({ hash: "sha1" })),
  unusable("RSA signed with SHA-1", certified({ hash: "sha1" }, rsaKey())),
  unusable("RSA of 1024 bits", certified({}, rsaKey(1024))),
  unusable("RSA with exponent 3", certified({}, rsaKey(2048, 3))),
  unusable("P-224", certified({}, ecdsaKey("secp224r1"))),
  unusable("secp256k1", certified({}, ecdsaKey("secp256k1"))),
  unusable("none: a bare ECDSA key", ecdsaKey()),
  unusable("none: a bare RSA key", rsaKey()),
  unusable("none: an Ed25519 key", ed25519Key()),
  unusable("an ECDSA certificate called RSA", disguised(honest, "rsa-x509")),
  unusable("an RSA certificate called ECDSA", disguised(certified({}, rsaKey()), "ecdsa-x509")),
  unusable("of an unknown type", disguised(honest, "ed25519-x509")),
  ...(
    [
      ["text before it", (pem) => `subject=x\n${pem}`],
      ["text after it", (pem) => `${pem}x`],
      ["headers in the block", (pem) => pem.replace("-----\n", "-----\nProc-Type: 4,ENCRYPTED\n\n")],
      ["a second one that is no CA either", (pem) => pem + pemOf(named(GUN))],
      ["a CA before it", (pem) => pemOf(certified({ ca: true })) + pem],
      ["a private key after it", (pem) => `${pem}-----BEGIN EC PRIVATE KEY-----\nAAAA\n-----END EC PRIVATE KEY-----\n`],
      ["nine of them", (pem) => pem + pemOf(certified({ ca: true })).repeat(8)],
      ["a byte too many in its DER", (pem) => pem.replace(/=*\n-----END/, "AAAA\n-----END")],
      ["half of it", (pem) => pem.slice(0, 300)],
      ["no PEM, but DER", (pem) => Buffer.from(pem.replace(/-----.*-----/g, ""), "base64").toString("latin1")],
    ] as [string, (pem: string) => string][]
  ).map(([what, change]) => unusable(what, inCertificate(ecdsaKey(), certificateFor(GUN), change))),
]);

function pemOf({ key }: TestKey): string {
  return key.publicBytes.toString();
}

const bare = ecdsaKey();
const otherServer = Repository.published({ gun: "registry.example.com:5000/team/other" as never });

refuses("server keys that are not this repository's", [
  root(
    "another repository's timestamp key",
    roleKeys("timestamp", [otherServer.keys.timestamp]),
    "no  timestamp keys exist on the server",
  ),
  root(
    "the snapshot key as timestamp key",
    roleKeys("timestamp", [published.keys.snapshot]),
    "no  timestamp keys exist on the server",
  ),
  root("a client's timestamp key", roleKeys("timestamp", [bare]), "no  timestamp keys exist on the server"),
  root(
    "threshold 2 of which the server holds one",
    roleKeys("timestamp", [published.keys.timestamp, bare], 2),
    "no  timestamp keys exist on the server",
  ),
  ...[
    ["another repository's snapshot key", otherServer.keys.snapshot] as const,
    ["the timestamp key as snapshot key", published.keys.timestamp] as const,
    ["a client's snapshot key, and no snapshot", bare] as const,
  ].map(
    ([name, key]): Attack => ({
      name,
      repository: published,
      parts: (copy) => [copy.part("root", roleKeys("snapshot", [key]))],
      code: "INVALID_UPDATE",
      detail: {
        Name: "ErrBadHierarchy",
        Error: {
          Missing: "snapshot",
          Msg: "no snapshot was included in update and server does not hold current snapshot key for repository",
        },
      },
    }),
  ),
]);

refuses("a first root", [
  ...[3, 2 ** 31, 0, -1].map(
    (version): Attack => ({
      name: `version ${version}`,
      repository: fresh,
      parts: (copy) => [copy.part("root", put(["version"], version)), copy.part("targets")],
      ...badRoot(`Root modifications must increment the version. Current 1, new ${version}`),
    }),
  ),
  {
    name: "signed by nobody",
    repository: fresh,
    parts: (copy) => [copy.part("root", undefined, []), copy.part("targets")],
    ...badRoot(INTEGRITY_FAILED),
  },
  {
    name: "without targets",
    repository: fresh,
    parts: (copy) => [copy.part("root")],
    code: "INVALID_UPDATE",
    detail: fault("ErrValidation", "targets must be loaded first"),
  },
  ...[[], ["targets"], ["targets/a"], ["snapshot"], ["timestamp"]].map(
    (roles): Attack => ({
      name: `missing, with ${roles[0] ?? "nothing"}`,
      repository: fresh,
      parts: (copy) => roles.map((role) => copy.part(role)),
      code: "INVALID_UPDATE",
      detail: fault("ErrValidation", "no pre-existing root and no root provided in update."),
    }),
  ),
]);
