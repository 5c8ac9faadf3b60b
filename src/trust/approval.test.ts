import { describe, expect, it } from "vitest";
import { certificateFor } from "../notary/tuf/testing/repository.ts";
import { inCertificate } from "../notary/tuf/testing/test-key.ts";
import { APPROVAL_TYPE, type Approval, toApprovalPayload, verifyApproval } from "./approval.ts";
import { signEnvelope } from "./dsse.ts";
import { alice, bob, mallory, signerOf, spkiOfPair } from "./testing/signers.ts";

const approval: Approval = {
  promotion: 7,
  digest: `sha256:${"ab".repeat(32)}`,
  source: "registry.example.com:5000/qa/app",
  destination: "registry.example.com:5000/ops/app",
  tag: "gold",
};
const keys = [bob.key, alice.key];
const signed = (payload: Uint8Array = toApprovalPayload(approval), by = [alice], type = APPROVAL_TYPE): Buffer =>
  signEnvelope(type, payload, by.map(signerOf));
const refused = (code: string, message: RegExp) =>
  expect.objectContaining({ name: "TrustError", code, message: expect.stringMatching(message) });

describe("verifyApproval", () => {
  it("says whose key signed just this", () => {
    expect(verifyApproval(signed(), approval, keys)).toBe(spkiOfPair(alice));
    expect(verifyApproval(signed(), approval, [inCertificate(alice, certificateFor("alice")).key])).toBe(
      spkiOfPair(alice),
    );
    expect(verifyApproval(signed(undefined, [mallory, bob]), approval, keys)).toBe(spkiOfPair(bob));
  });

  it.each<[string, Buffer]>([
    ["by a key of somebody else", signed(undefined, [mallory])],
    ["of another kind", signed(undefined, [alice], "goldseal.policy/v1")],
    [
      "by nobody, in alice's name",
      signEnvelope(APPROVAL_TYPE, toApprovalPayload(approval), [
        { ...signerOf(mallory), keyId: signerOf(alice).keyId },
      ]),
    ],
  ])("refuses a statement %s", (_what, envelope) => {
    expect(() => verifyApproval(envelope, approval, keys)).toThrow(refused("SIGNATURE", /none of the approver's/));
  });

  it.each<[keyof Approval, string | number]>([
    ["promotion", 8],
    ["digest", `sha256:${"cd".repeat(32)}`],
    ["source", "other.example.com/qa/app"],
    ["destination", "registry.example.com:5000/ops/app2"],
    ["tag", "gold2"],
  ])("refuses a statement about another %s", (name, value) => {
    const other = signed(toApprovalPayload({ ...approval, [name]: value }));

    expect(() => verifyApproval(other, approval, keys)).toThrow(refused("BINDING", new RegExp(`another ${name}: `)));
  });

  it.each<[string, Buffer]>([
    ["a member too many", signed(Buffer.from(JSON.stringify({ ...approval, also: "test" })))],
    ["no promotion", signed(Buffer.from(JSON.stringify({ ...approval, promotion: 0 })))],
    ["half a payload", signed(toApprovalPayload(approval).subarray(0, 20))],
    ["no envelope", Buffer.from("{}")],
  ])("refuses %s", (_what, envelope) => {
    expect(() => verifyApproval(envelope, approval, keys)).toThrow(refused("MALFORMED", /./));
  });
});
