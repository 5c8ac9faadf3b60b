import { algorithmOf, type Digest, digestOf, hexOf } from "../oci/digest.ts";
import { gunOfRepository } from "../oci/gun.ts";
import { OCI_MANIFEST } from "../oci/media-types.ts";
import type { NewManifest } from "../storage/manifest-insert.ts";
import { type EnvelopeSigner, signEnvelope } from "../trust/dsse.ts";
import type { GateVerdict } from "./deps.ts";
import type { Promotion } from "./promotions-store.ts";

export const IN_TOTO = "application/vnd.in-toto+json";
export const DSSE_ENVELOPE = "application/vnd.dsse.envelope.v1+json";
export const PROMOTION_TYPE = "urn:goldseal:promotion:v1";
export const REVERSAL_TYPE = "urn:goldseal:reversal:v1";

/** Somebody who agreed to it. */
export interface Approver {
  readonly user: string;
  /** Hex SHA-256 of the key's SPKI. */
  readonly keySha256: string;
  readonly at: Date;
  /** SHA-256 of the envelope that they signed. */
  readonly envelope: Digest;
}

export interface StatementParts {
  readonly promotion: Promotion;
  readonly authority: string;
  readonly previous: Digest | undefined;
  readonly gates: readonly GateVerdict[];
  readonly approvers: readonly Approver[];
  readonly at: Date;
}

/**
 * What was promoted from where to where, and who and what allowed it, in the words of in-toto.
 * @see in-toto attestation framework, "Statement layer specification" v1
 */
export function promotionStatement(parts: StatementParts): object {
  const { promotion, authority, previous, gates, approvers, at } = parts;
  const { digest, source, sourceTag, destination, tag, policy, terms } = promotion;
  const nameOf = (repository: typeof source) => gunOfRepository(repository, authority);
  return {
    _type: "https://in-toto.io/Statement/v1",
    subject: [{ name: `${nameOf(destination)}:${tag}`, digest: { [algorithmOf(digest)]: hexOf(digest) } }],
    predicateType: PROMOTION_TYPE,
    predicate: {
      promotion: promotion.id,
      promotedAt: at.toISOString(),
      source: { repository: nameOf(source), ...(sourceTag === undefined ? {} : { tag: sourceTag }), digest },
      destination: { repository: nameOf(destination), tag, ...(previous === undefined ? {} : { previous }) },
      askedBy: promotion.askedBy,
      askedAt: promotion.askedAt.toISOString(),
      ...(policy === undefined ? {} : { policy: policy.name }),
      required: terms,
      gates,
      approvers: approvers.map((one) => ({ ...one, at: one.at.toISOString() })),
    },
  };
}

export interface ReversalParts extends Pick<StatementParts, "promotion" | "authority" | "at"> {
  readonly by: string;
}

/** What was taken back, and by whom. */
export function reversalStatement({ promotion, authority, by, at }: ReversalParts): object {
  const { id, digest, destination, tag, previous } = promotion;
  const name = gunOfRepository(destination, authority);
  return {
    _type: "https://in-toto.io/Statement/v1",
    subject: [{ name: `${name}:${tag}`, digest: { [algorithmOf(digest)]: hexOf(digest) } }],
    predicateType: REVERSAL_TYPE,
    predicate: {
      ...{ promotion: id, reversedAt: at.toISOString(), reversedBy: by },
      destination: { repository: name, tag, ...(previous === undefined ? {} : { now: previous }) },
    },
  };
}

/** The bytes of the envelope. */
export function sealStatement(statement: object, signer: EnvelopeSigner): Buffer {
  return signEnvelope(IN_TOTO, Buffer.from(JSON.stringify(statement)), [signer]);
}

const EMPTY = { mediaType: "application/vnd.oci.empty.v1+json", ...describe(Buffer.from("{}")) };

/**
 * The manifest that refers to the image with an envelope. Its contents stand in the descriptors themselves: a promotion
 * writes no byte into the blob store.
 * @see image-spec v1.1 descriptor.md "Embedded Content", manifest.md "Guidelines for Artifact Usage"
 */
export function statementManifest(
  envelope: Buffer,
  subject: { readonly mediaType: string; readonly digest: Digest; readonly size: number },
  { predicateType, at }: { readonly predicateType: string; readonly at: Date },
): NewManifest {
  const annotations = {
    "org.opencontainers.image.created": at.toISOString(),
    "in-toto.io/predicate-type": predicateType,
  };
  const manifest = {
    ...{ schemaVersion: 2, mediaType: OCI_MANIFEST, artifactType: IN_TOTO, config: EMPTY },
    layers: [{ mediaType: DSSE_ENVELOPE, ...describe(envelope) }],
    ...{ subject, annotations },
  };
  const content = Buffer.from(JSON.stringify(manifest));
  return {
    ...{ digest: digestOf(content), mediaType: OCI_MANIFEST, content, subject: subject.digest, artifactType: IN_TOTO },
    ...{ annotations, blobs: [], children: [] },
  };
}

function describe(content: Buffer) {
  return { digest: digestOf(content), size: content.length, data: content.toString("base64") };
}
