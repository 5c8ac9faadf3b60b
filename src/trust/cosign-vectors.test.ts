import { describe, expect, it } from "vitest";
import { findCosignEvidence } from "./cosign-evidence.ts";
import { BUNDLE, manifestWith, messageBundle, nameOfKey, vector, vectorImages, vectorKeys } from "./testing/cosign.ts";
import { subjectOf } from "./testing/world.ts";

const NO_KEY = "is by no key that is known here; cosign signs for Goldseal with a P-256 or RSA key";
const NO_AUTHORITY = "is signed with a certificate, and no timestamp authority says when; sign with a key";

describe("what real cosign pushed", () => {
  const whole = subjectOf("lab/app:1", [vectorImages.index, vectorImages.image]);
  const read = (version: string, name: string, about = whole) => {
    const { evidence, refusals } = findCosignEvidence(vector(version, name), about, [...vectorKeys.values()]);
    return {
      by: evidence.map(({ spki }) => nameOfKey(spki)),
      about: evidence.map(({ digest }) => digest),
      why: refusals.map(({ reason }) => reason),
    };
  };
  const [index, child] = [vectorImages.index.digest, vectorImages.image.digest];
  const attested = {
    v2: "application/vnd.dsse.envelope.v1+json is no signature that can be read here",
    v3: "is a statement https://cosign.sigstore.dev/attestation/v1, not a signature",
  };

  it.each(
    (["v2", "v3"] as const).flatMap(
      (version) =>
        [
          [version, "p256", ["p256"], [child], []],
          [version, "rsa", ["rsa"], [child], []],
          [version, "annotated", ["p256"], [child], []],
          [version, "two signers", ["p256", "mallory"], [child, child], []],
          [version, "index", ["p256"], [index], []],
          [version, "index and children", ["p256", "p256"], [child, index], []],
          [version, "p384", [], [], [NO_KEY]],
          [version, "ed25519", [], [], [NO_KEY]],
          [version, "certificate", [], [], [NO_AUTHORITY]],
          [version, "attestation", [], [], [attested[version]]],
        ] as const,
    ),
  )("%s %s", (version, name, by, about, why) => {
    const found = read(version, name);

    expect([[...found.by].sort(), [...found.about].sort(), found.why]).toEqual([
      [...by].sort(),
      [...about].sort(),
      why,
    ]);
  });

  it("sign-blob of the manifest", () => {
    const { evidence } = findCosignEvidence([manifestWith(messageBundle, BUNDLE)], whole, [...vectorKeys.values()]);

    expect(evidence.map(({ spki, digest }) => [nameOfKey(spki), digest])).toEqual([["p256", child]]);
  });

  it("says nothing of an index by its child, nor of another image", () => {
    expect(read("v3", "p256", subjectOf("lab/app:1", [vectorImages.index])).why).toEqual([`is about ${child}`]);
    expect(read("v2", "index", subjectOf("lab/app:1", [vectorImages.image])).why).toEqual([`is about ${index}`]);
  });
});
