import { describe, expect, it } from "vitest";
import { put } from "../notary/tuf/testing/loose.ts";
import { parseRepositoryName } from "../oci/repository-name.ts";
import { signEnvelope } from "./dsse.ts";
import { findRule, openPolicy, POLICY_TYPE, type PolicyPins, peopleOf, type SignedPolicy } from "./policy.ts";
import { parsePolicyDocument } from "./policy-document.ts";
import { bytesOf, carolId } from "./testing/policy-text.ts";
import { alice, bob, carol, mallory, signerOf, spkiOfPair, spkiText } from "./testing/signers.ts";

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
    expect(find("prod", "ops/app")).toMatchObject({ kind: "rule", environment: { images: ["gold/**", "ops/*"] } });
  });

  it.each([
    ["another environment", "staging", "ops/app", undefined, "the policy has no environment staging"],
    [
      "an image that is none of its",
      "prod",
      "dev/app",
      undefined,
      "dev/app is none of the images of prod: gold/**, ops/*",
    ],
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

describe("peopleOf", () => {
  it("knows every key of the document by what it is, with the teams of its user", () => {
    const people = peopleOf(
      parsePolicyDocument(bytesOf(put(["keys", carolId], { spki: spkiText(carol), user: "carol" }))),
    );

    const person = { kind: "person", proved: true, removed: false };
    expect(people).toEqual(
      new Map([
        [spkiOfPair(alice), { ...person, user: "alice", teams: new Set(["qa", "acme/ops"]) }],
        [spkiOfPair(bob), { ...person, user: "bob", teams: new Set(["acme/ops"]) }],
        [spkiOfPair(carol), { ...person, user: "carol", teams: new Set() }],
      ]),
    );
  });
});
