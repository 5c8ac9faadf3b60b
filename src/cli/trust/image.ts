import { type Digest, parseDigest } from "../../oci/digest.ts";
import { OciError } from "../../oci/error.ts";
import { parseTag, type Tag } from "../../oci/reference.ts";
import { parseRepositoryName, type RepositoryName } from "../../oci/repository-name.ts";
import { UsageError } from "../errors.ts";

/** `[HOST[:PORT]/]ORG/NAME[:TAG][@DIGEST]`, as docker writes it. */
export interface Image {
  /** Undefined: the registry of goldseal login. */
  readonly host: string | undefined;
  readonly repository: RepositoryName;
  readonly tag: Tag | undefined;
  readonly digest: Digest | undefined;
}

/** @throws UsageError */
export function parseImage(text: string): Image {
  const [, name = "", tag, digest] = /^([^@]*?)(?::([^:/@]*))?(?:@(.*))?$/s.exec(text) ?? [];
  const slash = name.indexOf("/");
  const first = name.slice(0, Math.max(slash, 0));
  const host = isHost(first) ? first.toLowerCase() : undefined;
  try {
    return {
      host,
      repository: parseRepositoryName(host === undefined ? name : name.slice(slash + 1)),
      tag: tag === undefined ? undefined : parseTag(tag),
      digest: digest === undefined ? undefined : parseDigest(digest),
    };
  } catch (error) {
    if (!(error instanceof OciError)) throw error;
    throw new UsageError(`${JSON.stringify(text)} is no image: ${error.message}`);
  }
}

/** docker's rule for what stands before the first slash. */
function isHost(text: string): boolean {
  return /[.:]/.test(text) || text === "localhost";
}
