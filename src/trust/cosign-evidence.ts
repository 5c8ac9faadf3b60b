import { z } from "zod";
import { type Key, spkiOf } from "../notary/tuf/key.ts";
import { MAX_SIGNATURES } from "../notary/tuf/verify.ts";
import { type Digest, parseDigest } from "../oci/digest.ts";
import { BUNDLE, readBundle, readSimpleSigning, SIMPLE_SIGNING, type Signed } from "./cosign-signed.ts";
import { verifyDetached } from "./detached-signature.ts";
import { TrustError } from "./error.ts";
import type { Evidence, Found, Refusal } from "./evidence.ts";
import { readStrict } from "./strict-json.ts";
import type { Artifact, Subject } from "./subject.ts";

/** cosign signs with SHA-384 by P-384 and with Ed25519ph by Ed25519 keys: the one has no key here, the other no verifier. */
const NO_KEY = "is by no key that is known here; cosign signs for Goldseal with a P-256 or RSA key";

/** A manifest that holds cosign signatures: under the tag `sha256-<hex>.sig`, or among the referrers. */
export interface SignatureManifest {
  readonly artifact: Artifact;
  /** Its layers by digest, as far as they are there. */
  readonly blobs: ReadonlyMap<Digest, Uint8Array>;
}

/** As the manifest in which it stands. */
export type CosignEvidence = Evidence & { readonly where: Digest };

export interface CosignFound extends Found {
  readonly evidence: readonly CosignEvidence[];
}

/** ECDSA verifies ten thousand times a second on one core; nobody's pull waits longer for strangers' signatures (N10). */
const MAX_ATTEMPTS = 8192;

/**
 * Who signed the image, or an index that lists it, with cosign. It binds the digest and nothing else. Neither the manifest
 * nor the tag it was found under is believed: what counts is what a key signed.
 * @param keys whose signatures are looked for; a signature does not carry its key
 */
export function findCosignEvidence(
  manifests: readonly SignatureManifest[],
  subject: Subject,
  keys: readonly Key[],
): CosignFound {
  const [evidence, refusals]: [CosignEvidence[], Refusal[]] = [[], []];
  const attempt = <T>(where: string, read: () => readonly T[]): readonly T[] => {
    try {
      return read();
    } catch (error) {
      if (!(error instanceof TrustError)) throw error;
      refusals.push({ where, reason: error.message });
      return [];
    }
  };
  const search: Search = { subject, keys, attempts: 0 };
  for (const { artifact, blobs } of manifests.slice(0, MAX_SIGNATURES)) {
    const where = artifact.digest;
    for (const layer of attempt(where, () => readStrict(artifact.bytes, manifestSchema, "the manifest").layers)) {
      const found = attempt(where, () => judgeSigned(readLayer(layer, blobs, subject), search));
      evidence.push(...found.map((one) => ({ ...one, where })));
    }
  }
  for (const { artifact } of manifests.slice(MAX_SIGNATURES)) {
    refusals.push({ where: artifact.digest, reason: `is one of more than ${MAX_SIGNATURES} manifests of signatures` });
  }
  return { evidence, refusals };
}

const manifestSchema = z.object({
  layers: z
    .array(
      z.object({
        mediaType: z.string(),
        digest: z.string(),
        annotations: z.record(z.string(), z.string()).default({}),
      }),
    )
    .min(1)
    .max(MAX_SIGNATURES),
});

type WireLayer = z.infer<typeof manifestSchema>["layers"][number];

/** @throws TrustError */
function readLayer(
  { mediaType, digest, annotations }: WireLayer,
  blobs: SignatureManifest["blobs"],
  subject: Subject,
): Signed {
  const bytes = blobs.get(digest as Digest);
  if (bytes === undefined) throw new TrustError("MALFORMED", `its layer ${digest.slice(0, 80)} is not there`);
  if (mediaType === SIMPLE_SIGNING) return readSimpleSigning(bytes, annotations);
  if (mediaType === BUNDLE) return readBundle(bytes, subject);
  throw new TrustError("MALFORMED", `${mediaType.slice(0, 80)} is no signature that can be read here`);
}

interface Search {
  readonly subject: Subject;
  readonly keys: readonly Key[];
  attempts: number;
}

/** @throws TrustError SIGNATURE when it is about something else, or by nobody's key */
function judgeSigned({ message, sigs, digests }: Signed, search: Search): Evidence[] {
  const meant = digests.find((digest) => search.subject.covering.has(digest));
  if (meant === undefined) throw new TrustError("SIGNATURE", `is about ${digests.join(", ").slice(0, 160)}`);
  const signers = new Set(sigs.map((sig) => findSigner(message, sig, search)));
  const evidence = [...signers].flatMap((spki) =>
    spki === undefined ? [] : [{ format: "cosign" as const, spki, digest: parseDigest(meant), statement: undefined }],
  );
  if (evidence.length === 0) throw new TrustError("SIGNATURE", NO_KEY);
  return evidence;
}

function findSigner(message: Uint8Array, sig: Uint8Array, search: Search): string | undefined {
  const key = search.keys.find((candidate) => {
    search.attempts++;
    if (search.attempts > MAX_ATTEMPTS)
      throw new TrustError("SIGNATURE", "is one of too many signatures to try all keys on");
    return verifyDetached(candidate, message, sig);
  });
  return key && spkiOf(key);
}
