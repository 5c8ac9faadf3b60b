import { type Digest, digestOf, hexOf, parseDigest } from "../../oci/digest.ts";
import { CliError } from "../errors.ts";
import type { TrustSession } from "./session.ts";

/** A manifest or index that the registry holds. */
export interface HeldManifest {
  readonly digest: Digest;
  /** Bytes. */
  readonly size: number;
  readonly mediaType: string;
}

const ACCEPT = [
  "application/vnd.oci.image.index.v1+json",
  "application/vnd.oci.image.manifest.v1+json",
  "application/vnd.docker.distribution.manifest.list.v2+json",
  "application/vnd.docker.distribution.manifest.v2+json",
  "*/*",
].join(", ");

/** What a tag leads to now; undefined where there is no such tag. @throws CliError */
export async function findTagged(session: TrustSession, tag: string): Promise<Digest | undefined> {
  const { status, headers } = await ask(session, "HEAD", tag);
  if (status === 404) return undefined;
  const digest = headers["docker-content-digest"];
  if (status !== 200 || typeof digest !== "string") {
    throw new CliError(`${session.image.repository}:${tag} was answered ${status}, without a digest`);
  }
  return parseDigest(digest);
}

/**
 * The manifest itself, with its bytes looked at: what is signed is what the registry serves, not what it says of it.
 * @throws CliError
 */
export async function getHeldManifest(session: TrustSession, digest: Digest): Promise<HeldManifest> {
  const { repository } = session.image;
  const { status, headers, body } = await ask(session, "GET", digest);
  if (status !== 200) throw new CliError(`${repository}@${digest} is not in the registry (${status}); push it first`);
  if (digestOf(body) !== digest) {
    const why = digest.startsWith("sha256:") ? `its bytes are ${digestOf(body)}` : "trust data holds sha256 alone";
    throw new CliError(`${repository}@${digest} cannot be signed: ${why}`);
  }
  return { digest, size: body.length, mediaType: headers["content-type"] ?? "" };
}

export const sha256Of = (digest: Digest): Buffer => Buffer.from(hexOf(digest), "hex");

function ask({ wire, image: { repository } }: TrustSession, method: string, reference: string) {
  return wire.ask({
    ...{ method, path: `/v2/${repository}/manifests/${reference}`, headers: { accept: ACCEPT } },
    ...{ scope: `repository:${repository}:pull`, doing: `read the manifest ${reference} of ${repository}` },
  });
}
