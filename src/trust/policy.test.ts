import { describe, expect, it } from "vitest";
import { canonicalKeyId } from "../notary/tuf/key.ts";
import { at, drop, type Loose, put } from "../notary/tuf/testing/loose.ts";
import { ecdsaKey, ed25519Key, rsaKey } from "../notary/tuf/testing/test-key.ts";
import { parseRepositoryName } from "../oci/repository-name.ts";
import { signEnvelope } from "./dsse.ts";
import { findRule, openPolicy, POLICY_TYPE, type PolicyPins, type SignedPolicy } from "./policy.ts";
import { diffPolicies } from "./policy-diff.ts";
import { parsePolicyDocument } from "./policy-document.ts";
import { alice, bob, carol, mallory, signerOf, spkiText } from "./testing/signers.ts";

const idOf = ({ key }: typeof alice): string => canonicalKeyId(key);
const [aliceId, bobId, carolId] = [idOf(alice), idOf(bob), idOf(carol)] as const;

const plain = (): Loose => ({
  version: 7,
  expires: "2027-01-01T00:00:00Z",
  environments: {
    prod: {
      images: ["ops/*"],
      require: [
        { team: "qa", k: 1, class: "client-key", gun: "qa/{name}" },
        { team: "acme/ops", k: 2 },
        { k: 1, class: "either" },
      ],
      maxTimestampAge: "48h",
      operators: [aliceId],
      specLimits: { command: true, bindMounts: ["/srv/data"], capabilities: ["NET_ADMIN"], secrets: ["db"] },
      rights: { qa: "view", "acme/ops": "deploy" },
    },
    test: { images: ["**"], require: [{ k: 1 }], operators: [], rights: {} },
  },
  teams: { qa: ["alice"], "acme/ops": ["alice", "bob", "dave"] },
  keys: {
    [aliceId]: { spki: spkiText(alice), user: "alice" },
    [bobId]: { spki: spkiText(bob), user: "bob" },
  },
});

const bytesOf = (change: (document: Loose) => void = () => undefined): Buffer => {
  const document = plain();
  change(document);
  return Buffer.from(JSON.stringify(document));
};
const prod = (...path: readonly (string | number)[]) => ["environments", "prod", ...path];

describe("parsePolicyDocument", () => {
  it("reads what was written", () => {
    const { version, expiresAt, environments, teams, keys } = parsePolicyDocument(bytesOf());

    expect([version, expiresAt.toISOString()]).toEqual([7, "2027-01-01T00:00:00.000Z"]);
    expect(environments.get("prod")).toEqual({
      images: ["ops/*"],
      require: [
        { team: "qa", k: 1, class: "client-key", gun: "qa/{name}" },
        { team: "acme/ops", k: 2, class: "client-key" },
        { k: 1, class: "either" },
      ],
      maxTimestampAgeSeconds: 48 * 3600,
      operators: new Set([aliceId]),
      specLimits: { command: true, bindMounts: ["/srv/data"], capabilities: ["NET_ADMIN"], secrets: ["db"] },
      rights: new Map([
        ["qa", "view"],
        ["acme/ops", "deploy"],
      ]),
    });
    expect(environments.get("test")).toMatchObject({ specLimits: {}, maxTimestampAgeSeconds: undefined });
    expect(teams.get("acme/ops")).toEqual(new Set(["alice", "bob", "dave"]));
    expect([...keys.values()].map(({ user }) => user)).toEqual(["alice", "bob"]);
  });

  it.each([
    ["90m", 5400],
    ["14d", 14 * 86_400],
    ["1h", 3600],
  ])("reads the duration %s", (text, seconds) => {
    const read = parsePolicyDocument(bytesOf(put(prod("maxTimestampAge"), text)));

    expect(read.environments.get("prod")?.maxTimestampAgeSeconds).toBe(seconds);
  });

  it.each([
    ["RSA", rsaKey()],
    ["Ed25519", ed25519Key()],
    ["P-521", ecdsaKey("secp521r1")],
  ])("takes a key of %s", (_name, pair) => {
    const id = canonicalKeyId(pair.key);

    const { keys } = parsePolicyDocument(bytesOf(put(["keys", id], { spki: spkiText(pair), user: "erin" })));

    expect(keys.get(id)?.user).toBe("erin");
  });

  const weak = rsaKey(1024);
  it.each<[string, (document: Loose) => void, string]>([
    ["an unknown field", put(["mode"], "off"), 'the policy document: Unrecognized key: "mode"'],
    ["an unknown field of an environment", put(prod("mode"), "off"), 'environments.prod: Unrecognized key: "mode"'],
    [
      "an unknown field of a rule",
      put(prod("require", 0, "K"), 0),
      'environments.prod.require.0: Unrecognized key: "K"',
    ],
    ["an unknown limit", put(prod("specLimits", "privileged"), true), "environments.prod.specLimits"],
    ["no rule", put(prod("require"), []), "environments.prod.require"],
    ["no image", put(prod("images"), []), "environments.prod.images"],
    ["no version", drop(["version"]), "version"],
    ["version 0", put(["version"], 0), "version"],
    ["version 1.5", put(["version"], 1.5), "version"],
    ['version "7"', put(["version"], "7"), "version"],
    ["no expiry", drop(["expires"]), "expires"],
    ["an expiry without its zone", put(["expires"], "2027-01-01T00:00:00"), "expires"],
    ["the 30th of February", put(["expires"], "2027-02-30T00:00:00Z"), "expires"],
    ["k 0", put(prod("require", 0, "k"), 0), "environments.prod.require.0.k"],
    ["k 65", put(prod("require", 2, "k"), 65), "environments.prod.require.2.k"],
    ["an unknown class", put(prod("require", 0, "class"), "any"), "environments.prod.require.0.class"],
    ["a GUN that is no repository", put(prod("require", 0, "gun"), "{name}"), "environments.prod.require.0.gun"],
    ["a pattern that is none", put(prod("images", 0), "OPS/*"), "environments.prod.images.0"],
    ["a right that is none", put(prod("rights", "qa"), "admin"), "environments.prod.rights.qa"],
    ["a duration without its unit", put(prod("maxTimestampAge"), "48"), "environments.prod.maxTimestampAge"],
    ["a duration of nothing", put(prod("maxTimestampAge"), "0h"), "environments.prod.maxTimestampAge"],
    [
      "a folder that climbs",
      put(prod("specLimits", "bindMounts", 0), "/srv/../etc"),
      "environments.prod.specLimits.bindMounts.0",
    ],
    [
      "a folder that is relative",
      put(prod("specLimits", "bindMounts", 0), "srv"),
      "environments.prod.specLimits.bindMounts.0",
    ],
    ["a team by a bad name", put(["teams", "QA"], []), "teams.QA"],
    ["a user by a bad name", put(["teams", "qa", 0], "Alice"), "teams.qa.0"],
    ["an environment by a bad name", put(["environments", "Prod"], {}), "environments.Prod"],
    [
      "a member that zod does not see",
      put(["environments", "__proto__"], {}),
      "the policy document has a member __proto__",
    ],
    ["such a member in a list", put(prod("require", 0), JSON.parse('{"__proto__":{}}')), "has a member __proto__"],
    ["a key under a short id", put(["keys", "ab"], { spki: spkiText(bob), user: "bob" }), "keys.ab"],
    [
      "a key that is not base64",
      put(["keys", aliceId, "spki"], "!"),
      `keys.${aliceId}.spki: not a public key in base64`,
    ],
    [
      "a key that is none",
      put(["keys", aliceId, "spki"], "AAAA"),
      `keys.${aliceId}.spki: it holds no key that can be read`,
    ],
    ["a weak key", put(["keys", aliceId, "spki"], spkiText(weak)), `keys.${aliceId}.spki: an RSA key of 1024 bits`],
  ])("refuses %s", (_what, change, message) => {
    expect(() => parsePolicyDocument(bytesOf(change))).toThrow(
      expect.objectContaining({ code: "MALFORMED", message: expect.stringContaining(message) }),
    );
  });

  it.each<[string, (document: Loose) => void, string]>([
    [
      "a key under another's id",
      put(["keys", carolId], { spki: spkiText(bob), user: "carol" }),
      `keys.${carolId}: its key has the id ${bobId}`,
    ],
    [
      "an operator without a key",
      put(prod("operators"), [carolId]),
      `environments.prod.operators: keys has no ${carolId}`,
    ],
    ["rights of an unknown team", put(prod("rights", "dev"), "view"), "environments.prod.rights: there is no team dev"],
    [
      "a rule of an unknown team",
      put(prod("require", 0, "team"), "dev"),
      "environments.prod.require.0: there is no team dev",
    ],
    [
      "a rule that nobody can meet",
      put(prod("require", 1, "k"), 3),
      "environments.prod.require.1: asks for 3 of team acme/ops, of which 2 have a key",
    ],
  ])("refuses %s", (_what, change, message) => {
    expect(() => parsePolicyDocument(bytesOf(change))).toThrow(expect.objectContaining({ code: "POLICY", message }));
  });

  it.each([
    ["a key twice", '{"version":1,"version":2}', 'key "version" stands there twice'],
    ["a number beyond 2^53", '{"version":9007199254740993}', "cannot be kept exactly"],
    ["another spelling of a number", '{"version":1e0}', "cannot be kept exactly"],
    ["nesting without end", `${"[".repeat(100)}${"]".repeat(100)}`, "nested deeper"],
    ["two documents", "{}{}", "bytes after the end"],
  ])("refuses %s", (_what, text, message) => {
    expect(() => parsePolicyDocument(Buffer.from(text))).toThrow(
      expect.objectContaining({ code: "MALFORMED", message: expect.stringContaining(message) }),
    );
  });
});

describe("openPolicy", () => {
  const pins = (stored?: SignedPolicy, threshold = 2): PolicyPins => ({
    keys: [alice.key, bob.key],
    threshold,
    stored,
  });
  const signed = (payload: Buffer, ...pairs: readonly (typeof alice)[]): Buffer =>
    signEnvelope(POLICY_TYPE, payload, pairs.map(signerOf));
  const both = (payload: Buffer): Buffer => signed(payload, alice, bob);
  const version = (number: number): Buffer => bytesOf(put(["version"], number));
  const seven = openPolicy(both(bytesOf()), pins());

  it("takes the first, the same again, and the next", () => {
    expect(seven.document.version).toBe(7);
    expect(openPolicy(both(bytesOf()), pins(seven)).sha256).toBe(seven.sha256);
    expect(openPolicy(both(version(8)), pins(seven)).document.version).toBe(8);
    expect(openPolicy(both(version(700)), pins(seven)).document.version).toBe(700);
  });

  it.each<[string, Buffer, string]>([
    ["an older version", both(version(6)), "VERSION"],
    ["another document of the same version", both(bytesOf(put(["teams", "qa"], ["alice", "bob"]))), "VERSION"],
    ["too few signatures", signed(version(8), alice), "SIGNATURE"],
    ["foreign signatures", signed(version(8), alice, mallory), "SIGNATURE"],
    [
      "an approval that is passed off as a policy",
      signEnvelope("goldseal.approval/v1", version(8), [signerOf(alice), signerOf(bob)]),
      "SIGNATURE",
    ],
    ["a document without a signature", version(8), "MALFORMED"],
    ["a signed document that is none", both(Buffer.from("{}")), "MALFORMED"],
  ])("refuses %s", (_attack, bytes, code) => {
    expect(() => openPolicy(bytes, pins(seven))).toThrow(expect.objectContaining({ code }));
  });

  it("looks at the signatures before it reads what they sign", () => {
    expect(() => openPolicy(signed(Buffer.from("{"), mallory), pins())).toThrow(
      expect.objectContaining({ code: "SIGNATURE" }),
    );
  });
});

describe("findRule", () => {
  const document = parsePolicyDocument(bytesOf());
  const find = (environment: string, repository: string, now = new Date("2026-12-31T23:59:59.999Z")) =>
    findRule(document, environment, parseRepositoryName(repository), now);

  it("finds what the environment asks", () => {
    expect(find("prod", "ops/app")).toMatchObject({ kind: "rule", environment: { images: ["ops/*"] } });
  });

  it.each([
    ["another environment", "staging", "ops/app", undefined, "the policy has no environment staging"],
    ["an image that is none of its", "prod", "dev/app", undefined, "dev/app is none of the images of prod: ops/*"],
    [
      "an expired policy",
      "prod",
      "ops/app",
      new Date("2027-01-01T00:00:00Z"),
      "the policy expired at 2027-01-01T00:00:00.000Z; nothing new is deployed until a newer one is signed",
    ],
  ] as const)("refuses %s", (_what, environment, repository, now, reason) => {
    expect(find(environment, repository, now)).toEqual({ kind: "refuse", reason });
  });

  it("refuses under a clock that is none", () => {
    expect(find("prod", "ops/app", new Date(Number.NaN))).toMatchObject({ kind: "refuse" });
  });
});

describe("diffPolicies", () => {
  const changed = (change: (document: Loose) => void) => {
    const after = plain();
    change(after);
    return diffPolicies(plain() as never, after as never);
  };

  it("says nothing of equal documents, in whatever order", () => {
    expect(changed((document) => (at(document, ["teams", "acme/ops"]) as string[]).reverse())).toEqual([]);
  });

  it("says what came, went and changed", () => {
    const changes = changed((document) => {
      put(["version"], 8)(document);
      put(["teams", "qa"], ["carol"])(document);
      put(prod("require", 1, "k"), 1)(document);
      drop(prod("maxTimestampAge"))(document);
      put(["environments", "test"], null)(document);
    });

    expect(changes).toEqual([
      { path: "environments.prod.maxTimestampAge", before: "48h", after: undefined },
      { path: "environments.prod.require.1.k", before: 2, after: 1 },
      { path: "environments.test", before: at(plain(), ["environments", "test"]), after: null },
      { path: "teams.qa.alice", before: "alice", after: undefined },
      { path: "teams.qa.carol", before: undefined, after: "carol" },
      { path: "version", before: 7, after: 8 },
    ]);
  });
});
