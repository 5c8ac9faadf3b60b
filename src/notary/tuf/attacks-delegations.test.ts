/** Hardening T01, T14a, T14c, T15, T16, T20, N07 to N09, L01: the graph of delegations and the keys in it. */
import { type Attack, fault, refuses } from "./testing/attack.ts";
import { all, type Change, put } from "./testing/loose.ts";
import { certificateFor, GUN, keyJsonOf, keysOf, metaOf, Repository, roleOf } from "./testing/repository.ts";
import { disguised, ecdsaKey, ed25519Key, inCertificate, rsaKey, type TestKey } from "./testing/test-key.ts";

const published = Repository.published();
const badTargets = (message: string): Pick<Attack, "code" | "detail"> => ({
  code: "INVALID_UPDATE",
  detail: fault("ErrBadTargets", message),
});

const on = (role: string, name: string, change: Change, message: string): Attack => ({
  name: `${role}: ${name}`,
  repository: published,
  parts: (copy) => [copy.part(role, change)],
  ...badTargets(message),
});

const entry = (name: unknown, keys: readonly TestKey[], threshold = 1, paths: unknown = [""]) => ({
  ...(roleOf(keys, threshold) as object),
  name,
  paths,
});
const delegate = (keys: readonly TestKey[], ...roles: readonly unknown[]): Change =>
  put(["delegations"], { keys: keysOf(...keys), roles });
const signer = ecdsaKey();
const { a } = published.delegates;

refuses("a role that nobody delegated", [
  ...["targets/zz", "targets/zz/b", "targets/a/zz", "targets/a/b/c", "targets/a-", "targets/aa"].map(
    (role): Attack => ({
      name: role,
      repository: published,
      parts: (copy) => [{ ...copy.part("targets/a"), filename: role }],
      ...badTargets(`tuf: invalid role ${role}. delegation does not exist`),
    }),
  ),
  {
    name: "targets/a after its delegation was removed",
    repository: published,
    parts: (copy) => [copy.part("targets", delegate([])), copy.part("targets/a")],
    ...badTargets("tuf: invalid role targets/a. delegation does not exist"),
  },
  {
    name: "targets/a/b whose parent is replaced in the same upload",
    repository: published,
    parts: (copy) => [copy.part("targets/a", delegate([])), copy.part("targets/a/b")],
    ...badTargets("tuf: invalid role targets/a/b. delegation does not exist"),
  },
  {
    name: "targets/a by the key that was replaced in the same upload",
    repository: published,
    parts: (copy) => [copy.part("targets", delegate([signer], entry("targets/a", [signer]))), copy.part("targets/a")],
    ...badTargets("valid signatures did not meet threshold for targets/a"),
  },
  {
    name: "the file of targets/a/b as targets/a",
    repository: published,
    parts: (copy) => [{ ...copy.part("targets/a/b"), filename: "targets/a" }],
    ...badTargets("valid signatures did not meet threshold for targets/a"),
  },
  {
    name: "the file of targets/a as targets",
    repository: published,
    parts: (copy) => [{ ...copy.part("targets/a"), filename: "targets" }],
    ...badTargets("valid signatures did not meet threshold for targets"),
  },
]);

const childOf = (role: string): string => `${role}/x`;
const foreign = (role: string, name: string): Attack =>
  on(
    role,
    `names ${JSON.stringify(name).slice(0, 40)}`,
    delegate([signer], entry(name, [signer])),
    `${role} type metadata invalid: delegation role ${name.slice(0, 300)} invalid`,
  );

refuses("delegations that are not one's own children", [
  ...[
    "targets",
    "root",
    "snapshot",
    "timestamp",
    "targets/a/b",
    "targets/",
    "targets/A",
    "targets/a b",
    "targets/..",
    "targets/.",
    "targets//a",
    "targets/a/",
    "/targets/a",
    "targets/%61",
    "targets/a\u0301",
    "targets/a.json",
    "other/a",
    "",
    "__proto__",
    `targets/${"a".repeat(250)}`,
  ].map((name) => foreign("targets", name)),
  ...["targets/a", "targets/b", "targets/a/b/c", "targets", "targets/a/../b"].map((name) => foreign("targets/a", name)),
]);

const roles = ["targets", "targets/a", "targets/a/b"];

refuses("a malformed graph", [
  ...roles.map((role) =>
    on(
      role,
      "one name twice",
      delegate([signer, a], entry(childOf(role), [signer]), entry(childOf(role), [a])),
      `delegation ${childOf(role)} stands there twice`,
    ),
  ),
  ...roles.flatMap((role) =>
    ([0, -1, null, "1", true] as const).map((threshold) =>
      on(
        role,
        `threshold ${JSON.stringify(threshold)}`,
        delegate([signer], { ...entry(childOf(role), [signer]), threshold }),
        `${role} type metadata invalid: invalid threshold specified for ${childOf(role)}: ${typeof threshold === "number" ? threshold : threshold === null ? 0 : "no whole number"} `,
      ),
    ),
  ),
  ...roles.map((role) =>
    on(
      role,
      "threshold 3 of two keys",
      delegate([signer, a], entry(childOf(role), [signer, a], 3)),
      `invalid threshold specified for ${childOf(role)}: 3 of 2 keys`,
    ),
  ),
  ...roles.map((role) =>
    on(
      role,
      "a key id without its key",
      put(["delegations"], { keys: {}, roles: [entry(childOf(role), [signer])] }),
      `${role} type metadata invalid: key ID ${signer.key.id} specified in ${childOf(role)} without corresponding key`,
    ),
  ),
  ...roles.map((role) =>
    on(
      role,
      "a key under another key's id",
      put(["delegations"], {
        keys: { [signer.key.id]: keyJsonOf(a.key) },
        roles: [entry(childOf(role), [signer])],
      }),
      `${role}: key ID ${signer.key.id} is not valid for key content`,
    ),
  ),
  ...roles.map((role) =>
    on(
      role,
      "a published private key",
      put(["delegations", "keys", signer.key.id], { keytype: "ecdsa", keyval: { private: "AAAA", public: "" } }),
      "a key carries its private half",
    ),
  ),
  ...roles.map((role) =>
    on(
      role,
      "Roles beside roles",
      put(["delegations", "Roles"], []),
      'delegations has a member "Roles" that others read as roles',
    ),
  ),
  ...roles.map((role) =>
    on(
      role,
      "Delegations beside delegations",
      put(["Delegations"], {}),
      `${role} has a member "Delegations" that others read as delegations`,
    ),
  ),
  ...roles.map((role) =>
    on(
      role,
      "1,025 delegations",
      delegate([signer], ...Array.from({ length: 1025 }, (_, n) => entry(`${role}/${n}`, [signer]))),
      `${role} lists more than 1024 keys or roles`,
    ),
  ),
  ...roles.map((role) =>
    on(
      role,
      "10,000 keys",
      put(
        ["delegations", "keys"],
        Object.fromEntries(
          Array.from({ length: 10_000 }, (_, n) => [n.toString(16).padStart(64, "0"), keyJsonOf(a.key)]),
        ),
      ),
      `${role} lists more than 1024 keys or roles`,
    ),
  ),
  on("targets", "delegations as a list", put(["delegations"], []), "delegations is not an object"),
  on("targets", "roles as an object", put(["delegations", "roles"], {}), "delegation roles is not a list"),
  on("targets", "paths as text", put(["delegations", "roles", 0, "paths"], "x"), "paths is not a list"),
  on("targets", "a path that is a number", put(["delegations", "roles", 0, "paths"], [1]), "a path is not a string"),
  on(
    "targets",
    "a key without keyval",
    put(["delegations", "keys", signer.key.id], { keytype: "ecdsa" }),
    "keyval is not an object",
  ),
  on(
    "targets",
    "a key id in capitals",
    put(["delegations", "keys", "AB".repeat(32)], keyJsonOf(a.key)),
    "a key ID is 64 lower-case hex digits",
  ),
  on(
    "targets",
    "a key id with a path in it",
    put(["delegations", "keys", "../../root"], keyJsonOf(a.key)),
    "a key ID is 64 lower-case hex digits",
  ),
]);

/** `targets/a` may sign `team/` only. */
const narrowed = published.copy();
narrowed.publish([narrowed.part("targets", put(["delegations", "roles", 0, "paths"], ["team/", "v1"]))]);

refuses("handing on more than one was given", [
  ...["", "t", "team", "other/", "Team/", "v", "v2", "\u0076\u200b1"].map(
    (path): Attack => ({
      name: `path ${JSON.stringify(path)} under team/ and v1`,
      repository: narrowed,
      parts: (copy) => [copy.part("targets/a", put(["delegations", "roles", 0, "paths"], ["team/x", path]))],
      ...badTargets(`targets/a/b: path ${JSON.stringify(path)} is not in targets/a`),
      honest: (copy) => [copy.part("targets/a", put(["delegations", "roles", 0, "paths"], ["team/x", "v10"]))],
    }),
  ),
]);

/** targets/1/1/1/…: eight levels deep, the deepest of which delegates once more. */
const deep = (() => {
  const repository = Repository.published();
  const names = Array.from({ length: 8 }, (_, level) => `targets${"/1".repeat(level + 1)}`);
  const parts = ["targets", ...names].map((role, level) => {
    const signed = {
      _type: "Targets",
      expires: "2028-01-01T00:00:00Z",
      version: role === "targets" ? 3 : 1,
      targets: {},
    };
    const delegations =
      level < 8 ? { keys: keysOf(signer), roles: [entry(`${role}/1`, [signer])] } : { keys: {}, roles: [] };
    const keys = role === "targets" ? [repository.keys.targets] : [signer];
    return {
      filename: role,
      bytes: repository.part("targets", (draft) => Object.assign(draft, signed, { delegations }), keys).bytes,
    };
  });
  repository.publish(parts);
  return { repository, bottom: names.at(-1) ?? "" };
})();

refuses("a chain without end", [
  {
    name: "the eighth level delegates",
    repository: deep.repository,
    parts: (copy) => [
      {
        filename: deep.bottom,
        bytes: copy.part("targets", all(put(["version"], 2), delegate([signer], entry(`${deep.bottom}/1`, [signer]))), [
          signer,
        ]).bytes,
      },
    ],
    ...badTargets(`${deep.bottom} may not delegate: more than 8 levels`),
  },
  {
    name: "a file for the ninth level",
    repository: deep.repository,
    parts: (copy) => [{ ...copy.part("targets"), filename: `${deep.bottom}/1` }],
    code: "INVALID_ROLE",
    detail: `${deep.bottom}/1`,
  },
]);

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

const target = (name: string, value: unknown, message: string): Attack[] =>
  roles.map((role) => on(role, `a target with ${name}`, put(["targets", "v1"], value), message));
const { hashes } = metaOf(Buffer.from("an image")) as { hashes: object };

refuses("targets that two readers read differently", [
  ...target("half a hash", { hashes: { sha256: "AAAA" }, length: 1 }, "invalid sha256 checksum length: 3 bytes"),
  ...target("an empty hash", { hashes: { sha256: "" }, length: 1 }, "invalid sha256 checksum length: 0 bytes"),
  ...target("a hash in hex", { hashes: { sha256: "zz" }, length: 1 }, "a hash is not base64"),
  ...target("a hash that is a number", { hashes: { sha256: 1 }, length: 1 }, "a hash is not a string"),
  ...target("a negative length", { hashes, length: -1 }, "a target has a negative length"),
  ...target("a length in quotes", { hashes, length: "5" }, "a length is not a whole number"),
  ...target(
    "Length beside length",
    { hashes, length: 5, Length: 6 },
    'a target has a member "Length" that others read as length',
  ),
  ...target(
    "Ha\u017fhes beside hashes",
    { hashes, length: 5, "ha\u017fhes": {} },
    'a target has a member "ha\u017fhes" that others read as hashes',
  ),
  ...target("nothing", null, "a target is not an object"),
  ...roles.map((role) => on(role, "targets as a list", put(["targets"], []), "targets is not an object")),
  ...roles.map((role) =>
    on(
      role,
      "Targets beside targets",
      put(["Targets"], {}),
      `${role} has a member "Targets" that others read as targets`,
    ),
  ),
]);
