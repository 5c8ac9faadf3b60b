import { describe, expect, it } from "vitest";
import { put } from "../notary/tuf/testing/loose.ts";
import { inDays } from "../notary/tuf/testing/repository.ts";
import { alice, mallory } from "./testing/signers.ts";
import { image, other, signedSet, subjectOf } from "./testing/world.ts";
import { findTagBinding, findTufEvidence } from "./tuf-evidence.ts";

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

it("findTufEvidence hides no fault of our own behind a refusal", async () => {
  const subject = subjectOf("ops/app:1.4");
  const covering = new Map([[image.digest as string, { ...image, bytes: { length: image.bytes.length } as never }]]);
  const set = await signedSet({ roles: { "targets/a": { says: { "1.4": image }, by: [alice] } } });

  expect(() => findTufEvidence(set, { ...subject, covering })).toThrow(TypeError);
});

describe("findTagBinding", () => {
  const bindingOf = async (roles: Parameters<typeof signedSet>[0]["roles"], name = "ops/app:1.4") =>
    findTagBinding(await signedSet({ roles }), subjectOf(name));

  it("is what docker would pull, with who says so and until when", async () => {
    const says = { "1.4": image, "1.3": other };

    expect(
      await bindingOf({
        "targets/releases": { says, by: [alice] },
        "targets/a": { says: { "1.4": other }, by: [alice] },
      }),
    ).toEqual({
      gun: "registry.example.com:5000/ops/app",
      tag: "1.4",
      role: "targets/releases",
      digest: image.digest,
      expiresAt: inDays(14),
      freshAt: inDays(0),
    });
  });

  it.each<[string, Parameters<typeof signedSet>[0]["roles"], string?]>([
    ["nobody speaks of the tag", { "targets/a": { says: { "1.3": image }, by: [alice] } }],
    [
      "it has no SHA-256",
      {
        "targets/a": {
          says: { "1.4": image },
          by: [alice],
          change: put(["targets", "1.4", "hashes"], { md5: "AAAA" }),
        },
      },
    ],
    ["no tag is this digest", { "targets/a": { says: { "1.4": other }, by: [alice] } }, "ops/app"],
  ])("is none where %s", async (_what, roles, name) => {
    expect(await bindingOf(roles, name)).toBeUndefined();
  });
});
