import { describe, expect, it } from "vitest";
import { type Change, drop, put } from "../notary/tuf/testing/loose.ts";
import { ed25519Key } from "../notary/tuf/testing/test-key.ts";
import { digestOf } from "../oci/digest.ts";
import { findCosignEvidence, type SignatureManifest } from "./cosign-evidence.ts";
import { BUNDLE, bundle, classic, manifestWith, messageSignature, SIMPLE } from "./testing/cosign.ts";
import { alice, bob, mallory, signDetached, spkiOfPair } from "./testing/signers.ts";
import { artifact, image, indexOf, other, row, subjectOf, verdictOf } from "./testing/world.ts";

const subject = subjectOf("ops/app:1.4");
const keys = [alice.key, bob.key];
const find = (...manifests: readonly SignatureManifest[]) => findCosignEvidence(manifests, subject, keys);
const NO_KEY = "is by no key that is known here; cosign signs for Goldseal with a P-256 or RSA key";
const NO_AUTHORITY = "is signed with a certificate, and no timestamp authority says when; sign with a key";

describe("findCosignEvidence", () => {
  it.each([
    ["classic", classic(alice, image)],
    ["bundle", bundle(alice, image)],
    ["message signature", messageSignature(alice, image)],
  ])("finds whose a %s is, and of what", (_kind, manifest) => {
    expect(find(manifest)).toEqual({
      evidence: [
        {
          format: "cosign",
          spki: spkiOfPair(alice),
          digest: image.digest,
          statement: undefined,
          where: manifest.artifact.digest,
        },
      ],
      refusals: [],
    });
  });

  const refused: (readonly [string, SignatureManifest, string])[] = [
    ["wrong key", classic(mallory, image), NO_KEY],
    ["wrong key", bundle(mallory, image), NO_KEY],
    ["wrong key", messageSignature(mallory, image), NO_KEY],
    ["another image", classic(alice, other), `is about ${other.digest}`],
    ["another image", bundle(alice, other), `is about ${other.digest}`],
    ["another image", messageSignature(alice, other), `is about ${other.digest}`],
    ["a signature over another payload", classic(alice, image, { message: Buffer.from("{}") }), NO_KEY],
    [
      "a payload of another type",
      classic(alice, image, { payload: put(["critical", "type"], "atomic container signature") }),
      "critical.type: Invalid input",
    ],
    [
      "a payload with a second digest",
      classic(alice, image, { payload: put(["critical", "image", "docker-manifest-digest2"], image.digest) }),
      "critical.image: Unrecognized key",
    ],
    [
      "a payload that hides behind a member more",
      classic(alice, image, { payload: put(["critical", "note"], 1) }),
      "critical: Unrecognized key",
    ],
    ["a payload without a digest", classic(alice, image, { payload: drop(["critical", "image"]) }), "critical.image"],
    [
      "a payload by SHA-512",
      classic(alice, image, {
        payload: put(["critical", "image", "docker-manifest-digest"], digestOf(image.bytes, "sha512")),
      }),
      "not a SHA-256 digest",
    ],
    [
      "a digest that is none",
      classic(alice, image, { payload: put(["critical", "image", "docker-manifest-digest"], "sha256:00") }),
      "not a SHA-256 digest",
    ],
    [
      "no signature beside it",
      classic(alice, image, { annotations: { "dev.cosignproject.cosign/signature": "" } }),
      "has no signature in base64 beside it",
    ],
    [
      "a signature that is not base64",
      classic(alice, image, { annotations: { "dev.cosignproject.cosign/signature": "?" } }),
      "has no signature in base64 beside it",
    ],
    ["a certificate", classic(alice, image, { annotations: { "dev.sigstore.cosign/certificate": "" } }), NO_AUTHORITY],
    [
      "a certificate",
      bundle(alice, image, { bundle: put(["verificationMaterial", "certificate"], { rawBytes: "" }) }),
      NO_AUTHORITY,
    ],
    [
      "a certificate chain",
      bundle(alice, image, { bundle: put(["verificationMaterial", "x509CertificateChain"], {}) }),
      NO_AUTHORITY,
    ],
    ["no key named", bundle(alice, image, { bundle: put(["verificationMaterial"], {}) }), "the bundle names no key"],
    [
      "an unrelated entry: an attestation",
      bundle(alice, image, { statement: put(["predicateType"], "https://slsa.dev/provenance/v1") }),
      "is a statement https://slsa.dev/provenance/v1, not a signature",
    ],
    [
      "a statement of an older type",
      bundle(alice, image, { statement: put(["_type"], "https://in-toto.io/Statement/v0.1") }),
      "is a statement of the type https://in-toto.io/Statement/v0.1",
    ],
    ["a statement about nothing", bundle(alice, image, { statement: put(["subject"], []) }), "subject"],
    [
      "a statement by SHA-512",
      bundle(alice, image, { statement: put(["subject", 0, "digest"], { sha512: image.digest.slice(7) }) }),
      "is about sha256:undefined",
    ],
    [
      "a payload type that is no statement",
      bundle(alice, image, { payloadType: "text/plain" }),
      "holds text/plain, not an in-toto statement",
    ],
    ["a payload that is none", bundle(alice, image, { bundle: put(["dsseEnvelope", "payload"], "e30=") }), "_type"],
    [
      "a member nobody signed in the envelope",
      bundle(alice, image, { bundle: put(["dsseEnvelope", "note"], 1) }),
      "dsseEnvelope: Unrecognized key",
    ],
    [
      "a bundle with two contents",
      messageSignature(
        alice,
        image,
        put(["dsseEnvelope"], { payload: "", payloadType: "t", signatures: [{ sig: "" }] }),
      ),
      "the bundle holds not exactly one signature",
    ],
    [
      "a bundle with none",
      messageSignature(alice, image, drop(["messageSignature"])),
      "the bundle holds not exactly one signature",
    ],
    [
      "an older bundle",
      bundle(alice, image, { bundle: put(["mediaType"], "application/vnd.dev.sigstore.bundle+json;version=0.2") }),
      "mediaType",
    ],
    [
      "another hash",
      messageSignature(alice, image, put(["messageSignature", "messageDigest", "algorithm"], "SHA2_512")),
      "messageSignature.messageDigest.algorithm",
    ],
    [
      "a hash that is not base64",
      messageSignature(alice, image, put(["messageSignature", "messageDigest", "digest"], "?")),
      "not base64",
    ],
    [
      "a message signature that is not base64",
      messageSignature(alice, image, put(["messageSignature", "signature"], "?")),
      "not base64",
    ],
    [
      "a layer of another type",
      manifestWith(Buffer.from("{}"), "text/plain"),
      "text/plain is no signature that can be read here",
    ],
    ["a payload that cannot be parsed", manifestWith(Buffer.from("{"), SIMPLE), "the payload is not good JSON"],
    ["a bundle that cannot be parsed", manifestWith(Buffer.from("{"), BUNDLE), "the bundle is not good JSON"],
    ["a stripped layer", { ...classic(alice, image), blobs: new Map() }, "is not there"],
    [
      "a manifest that cannot be parsed",
      { artifact: artifact(Buffer.from("{")), blobs: new Map() },
      "the manifest is not good JSON",
    ],
    ["a manifest without layers", { artifact: artifact(Buffer.from('{"layers":[]}')), blobs: new Map() }, "layers"],
    ["a manifest of 65 signatures", { artifact: layered(65), blobs: new Map() }, "layers"],
  ];

  it.each(refused)("names what it refuses: %s", (_attack, manifest, reason) => {
    const { evidence, refusals } = find(manifest);

    expect(evidence).toEqual([]);
    expect(refusals).toEqual([{ where: manifest.artifact.digest, reason: expect.stringContaining(reason) }]);
  });

  it.each(refused)("goes on after %s", (_attack, manifest) => {
    expect(find(manifest, classic(bob, image)).evidence.map(({ spki }) => spki)).toEqual([spkiOfPair(bob)]);
  });

  it("counts a second signature of one key in an envelope once", () => {
    const twice: Change = (whole) =>
      put(["dsseEnvelope", "signatures"], [{ sig: sigOf(whole) }, { sig: sigOf(whole), keyid: "x" }])(whole);

    expect(find(bundle(alice, image, { bundle: twice })).evidence).toHaveLength(1);
  });

  it("finds each signer of one envelope, and goes past a stranger's signature in it", () => {
    const more: Change = (whole) => {
      const envelope = (whole as { dsseEnvelope: { payload: string } }).dsseEnvelope;
      const message = Buffer.concat([
        Buffer.from(`DSSEv1 28 application/vnd.in-toto+json ${Buffer.from(envelope.payload, "base64").length} `),
        Buffer.from(envelope.payload, "base64"),
      ]);
      const sign = (pair: typeof alice) => ({ sig: signDetached(pair, message).toString("base64") });
      put(["dsseEnvelope", "signatures"], [sign(mallory), sign(bob), sign(alice)])(whole);
    };

    expect(find(bundle(alice, image, { bundle: more })).evidence.map(({ spki }) => spki)).toEqual([
      spkiOfPair(bob),
      spkiOfPair(alice),
    ]);
  });

  it("looks at 64 manifests and names the rest", () => {
    const signed = classic(alice, image);

    const { evidence, refusals } = find(...Array(65).fill(signed));

    expect(evidence).toHaveLength(64);
    expect(refusals).toEqual([
      { where: signed.artifact.digest, reason: "is one of more than 64 manifests of signatures" },
    ]);
  });

  it.each([
    [127, 64],
    [128, 63],
  ])("tries 8192 times and no more: 64 signatures with %i keys before the right one", (before, found) => {
    const others = Array(before).fill(ed25519Key().key);

    const { evidence, refusals } = findCosignEvidence(Array(64).fill(classic(alice, image)), subject, [
      ...others,
      alice.key,
    ]);

    expect(evidence).toHaveLength(found);
    expect(refusals.map(({ reason }) => reason)).toEqual(
      Array(64 - found).fill("is one of too many signatures to try all keys on"),
    );
  });

  it("hides no fault of our own behind a refusal", () => {
    const broken = {
      findMaterial: () => {
        throw new Error("a fault");
      },
    };
    const unreadable = {
      digest: image.digest,
      mediaType: undefined,
      get bytes(): Uint8Array {
        throw new Error("a fault");
      },
    };

    expect(() => findCosignEvidence([classic(alice, image)], subject, [broken as never])).toThrow("a fault");
    expect(() => find({ artifact: unreadable, blobs: new Map() })).toThrow("a fault");
  });
});

describe("judge of cosign's evidence", () => {
  const verdict = (manifests: readonly SignatureManifest[], given: Parameters<typeof verdictOf>[0] = {}) =>
    verdictOf({ ...given, more: findCosignEvidence(manifests, given.subject ?? subject, keys).evidence });

  it("allows what a person of the team signed, in whatever repository and under whatever tag it is", async () => {
    for (const name of ["ops/app:1.4", "dev/other:gold", "dev/other"]) {
      const given = { subject: subjectOf(name), rows: [row({ gun: "qa/{name}" })] };
      expect((await verdict([classic(alice, image)], given)).allowed).toBe(true);
    }
  });

  it("allows the child of a signed index, and refuses one that was swapped", async () => {
    const chain = subjectOf("ops/app:1.4", [indexOf(image), image]);
    const signed = bundle(alice, indexOf(image));

    expect((await verdict([signed], { subject: chain })).allowed).toBe(true);
    expect(
      (await verdict([signed], { subject: subjectOf("ops/app:1.4", [indexOf(image, other), other]) })).allowed,
    ).toBe(false);
  });

  it("refuses when the referrer was stripped", async () => {
    expect((await verdict([bundle(alice, image)])).allowed).toBe(true);
    expect((await verdict([])).allowed).toBe(false);
  });

  it("counts one person once over all formats", async () => {
    const all3 = [classic(alice, image), bundle(alice, image), messageSignature(alice, image)];

    expect((await verdict(all3, { rows: [row({ k: 2 })] })).missing).toEqual([
      expect.stringContaining("and is by alice;"),
    ]);
    expect((await verdict([...all3, classic(bob, image)], { rows: [row({ k: 2 })] })).allowed).toBe(true);
  });
});

const sigOf = (whole: unknown): string => {
  const { dsseEnvelope } = whole as { dsseEnvelope: { signatures: { sig: string }[] } };
  return dsseEnvelope.signatures[0]?.sig ?? "";
};

function layered(count: number) {
  const layer = { mediaType: SIMPLE, digest: digestOf("x"), size: 1 };
  return artifact(Buffer.from(JSON.stringify({ layers: Array(count).fill(layer) })));
}
