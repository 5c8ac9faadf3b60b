/** verifyRole alone, as the bridge and clients use it: nothing before it has refused a bad role. */
import { describe, expect, it } from "vitest";
import { parseSignedFile } from "./signed-file.ts";
import { certificateFor, GUN, signFile } from "./testing/repository.ts";
import { ecdsaKey, inCertificate, type TestKey } from "./testing/test-key.ts";
import { MAX_SIGNATURES, type RoleKeys, verifyRole } from "./verify.ts";

const role = (keys: readonly TestKey[], threshold: number): RoleKeys => ({
  keyIds: keys.map(({ key }) => key.id),
  keys: new Map(keys.map(({ key }) => [key.id, key])),
  threshold,
});
const signedBy = (...keys: readonly TestKey[]) => parseSignedFile(signFile({ _type: "Targets", version: 1 }, keys));
const [one, two] = [ecdsaKey(), ecdsaKey()];
const oneInCertificate = inCertificate(one, certificateFor(GUN));
const oneAgain = inCertificate(one, certificateFor(GUN), (pem) => `${pem}\n`);

describe("verifyRole", () => {
  it.each([
    ["one of one", [one], [one], 1],
    ["two of two", [one, two], [two, one], 2],
    ["one of two keys, threshold one, beside a stranger", [one, two], [ecdsaKey(), two], 1],
    ["as many signatures as allowed", [one], Array.from({ length: MAX_SIGNATURES }, () => one), 1],
  ] as [string, TestKey[], TestKey[], number][])("takes %s", (_what, keys, signers, threshold) => {
    expect(() => verifyRole(signedBy(...signers), "targets", role(keys, threshold))).not.toThrow();
  });

  it.each([
    ["nobody's signature", [one], [], 1, "THRESHOLD"],
    ["one of two", [one, two], [one], 2, "THRESHOLD"],
    ["one key that signs twice", [one, two], [one, one], 2, "THRESHOLD"],
    ["one key listed bare and in a certificate", [one, oneInCertificate], [one, oneInCertificate], 2, "THRESHOLD"],
    ["one key in two certificates", [oneInCertificate, oneAgain], [oneAgain, oneInCertificate], 2, "THRESHOLD"],
    ["a threshold of zero", [one], [two], 0, "THRESHOLD"],
    ["a negative threshold", [one], [one], -1, "THRESHOLD"],
    ["a threshold that is no number", [one], [one], Number.NaN, "THRESHOLD"],
    ["too many signatures", [one], Array.from({ length: MAX_SIGNATURES + 1 }, () => one), 1, "LIMIT"],
  ] as [string, TestKey[], TestKey[], number, string][])("refuses %s", (_what, keys, signers, threshold, code) => {
    const act = () => verifyRole(signedBy(...signers), "targets", role(keys, threshold));

    expect(act).toThrow(expect.objectContaining({ code }));
  });

  it("refuses a key that stands under another key's id", () => {
    const keys: RoleKeys = { keyIds: [one.key.id], keys: new Map([[one.key.id, two.key]]), threshold: 1 };

    expect(() => verifyRole(signedBy(one), "targets", keys)).toThrow("key ID is not valid for key content");
  });
});
