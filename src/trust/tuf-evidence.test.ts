import { describe, expect, it } from "vitest";
import { put } from "../notary/tuf/testing/loose.ts";
import { alice, mallory } from "./testing/signers.ts";
import { image, other, signedSet, subjectOf } from "./testing/world.ts";
import { findTufEvidence } from "./tuf-evidence.ts";

describe("findTufEvidence names what does not count", () => {
  const reasons = async (roles: Parameters<typeof signedSet>[0]["roles"], subject = subjectOf("ops/app:1.4")) =>
    findTufEvidence(await signedSet({ roles }), subject).refusals.map(({ where, reason }) => `${where}: ${reason}`);

  it.each<[string, Parameters<typeof signedSet>[0]["roles"], string[]]>([
    [
      "a role that is everybody's",
      { "targets/releases": { says: { "1.4": image }, by: [alice] } },
      ["targets/releases: 1.4: says no person's name: sign it in a delegation of your own"],
    ],
    [
      "a length",
      { "targets/a": { says: { "1.4": image }, by: [alice], change: put(["targets", "1.4", "length"], 1) } },
      [`targets/a: 1.4: is said to be 1 bytes long and is ${image.bytes.length}`],
    ],
    [
      "names beyond what was delegated",
      { "targets/a": { says: { "1.4": image }, by: [alice], paths: ["2"] } },
      ["targets/a: 1.4: is outside the names that were delegated to it"],
    ],
    [
      "no hash that we know",
      {
        "targets/a": {
          says: { "1.4": image },
          by: [alice],
          change: put(["targets", "1.4", "hashes"], { md5: "AAAA" }),
        },
      },
      ["targets/a: 1.4: names no SHA-256"],
    ],
    [
      "a delegation that does not hold",
      { "targets/a": { says: { "1.4": image }, by: [mallory], keys: [alice] } },
      ["targets/a: valid signatures did not meet threshold for targets/a"],
    ],
    ["nothing of other images", { "targets/a": { says: { "1.4": other }, by: [alice] } }, []],
    [
      "nothing of other tags without a hash",
      { "targets/a": { says: { "1.3": image }, by: [alice], change: put(["targets", "1.3", "hashes"], {}) } },
      [],
    ],
  ])("%s", async (_what, roles, expected) => {
    expect(await reasons(roles)).toEqual(expected);
  });

  it("a second hash that is another file's", async () => {
    const change = put(["targets", "1.4", "hashes", "sha512"], Buffer.alloc(64).toString("base64"));

    expect(await reasons({ "targets/a": { says: { "1.4": image }, by: [alice], change } })).toEqual([
      expect.stringContaining("targets/a: 1.4: sha512 checksum for targets/a did not match"),
    ]);
  });
});
