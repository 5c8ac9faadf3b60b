import { describe, expect, it } from "vitest";
import { canonicalKeyId } from "../notary/tuf/key.ts";
import { drop, type Loose, put } from "../notary/tuf/testing/loose.ts";
import { ecdsaKey, ed25519Key, rsaKey } from "../notary/tuf/testing/test-key.ts";
import { parsePolicyDocument } from "./policy-document.ts";
import { aliceId, bobId, bytesOf, carolId, prod } from "./testing/policy-text.ts";
import { bob, spkiText } from "./testing/signers.ts";

describe("parsePolicyDocument", () => {
  it("reads what was written", () => {
    const { version, expiresAt, environments, teams, keys } = parsePolicyDocument(bytesOf());

    expect([version, expiresAt.toISOString()]).toEqual([7, "2027-01-01T00:00:00.000Z"]);
    expect(environments.get("prod")).toEqual({
      images: ["gold/**", "ops/*"],
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
      placement: {
        require: [{ key: "node.labels.tier", operator: "==", value: "prod" }],
        inject: [{ key: "node.role", operator: "!=", value: "manager" }],
        usernsOnly: true,
      },
      onTrustLost: "replace",
      onUnmanaged: "remove",
    });
    expect(environments.get("test")).toMatchObject({
      ...{ specLimits: {}, maxTimestampAgeSeconds: undefined },
      ...{ placement: { require: [], inject: [], usernsOnly: false }, onTrustLost: "alert", onUnmanaged: "alert" },
    });
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
    [
      "a constraint that is none",
      put(prod("placement", "inject", 0), "node.labels.tier=prod"),
      "environments.prod.placement.inject.0: a constraint is KEY==VALUE",
    ],
    ["an unknown rule of placement", put(prod("placement", "prefer"), []), "environments.prod.placement"],
    ["a reaction that is none", put(prod("onTrustLost"), "ignore"), "environments.prod.onTrustLost"],
    ["no reaction", put(prod("onTrustLost"), null), "environments.prod.onTrustLost"],
    ["what cannot be done there", put(prod("onUnmanaged"), "freeze"), "environments.prod.onUnmanaged"],
    ["a team by a bad name", put(["teams", "QA"], []), "teams.QA"],
    ["a team of a team", put(["teams", "acme/qa/web"], []), "teams.acme/qa/web"],
    ["a team of an organization by a bad name", put(["teams", "acme/QA"], []), "teams.acme/QA"],
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
    [
      "constraints that no node can keep",
      put(prod("placement", "inject", 0), "node.labels.tier==test"),
      "environments.prod.placement: no node can be both node.labels.tier==prod and node.labels.tier==test",
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
