import { UpdateError } from "./tuf/error.ts";
import { DEFAULT_POLICY } from "./tuf/policy.ts";
import type { UploadedPart } from "./tuf/upload.ts";

const MULTIPART = /^multipart\/form-data\s*;/i;
const BOUNDARY = /;\s*boundary=(?:"([^"\r\n]{1,70})"|([^\s;"]{1,70}))/i;

/**
 * The files of a `multipart/form-data` body, in the order they came, with their exact bytes; the field's name says nothing.
 * A body of no parts is legal. The parser is the platform's own, which is strict: a body that breaks off, or with bytes
 * outside of parts, is refused.
 * @throws UpdateError MALFORMED_UPLOAD
 * @see RFC 7578; WHATWG Fetch "multipart/form-data parser"
 */
export async function parseMultipart(contentType: string | undefined, body: Buffer): Promise<UploadedPart[]> {
  const [, quoted, plain] = BOUNDARY.exec(contentType ?? "") ?? [];
  const boundary = quoted ?? plain;
  if (contentType === undefined || !MULTIPART.test(contentType) || boundary === undefined) throw malformed();
  // The parser has no limit of its own: a body of tiny parts would keep it busy for seconds.
  if (countParts(body, boundary) > DEFAULT_POLICY.maxParts) throw malformed();
  const form = await new Response(body, { headers: { "content-type": contentType } }).formData().catch((cause) => {
    throw malformed(cause);
  });
  return Promise.all([...form.values()].map(toPart));
}

/** A part without a file name is a field to the parser, and its value text: the update is refused for the name then. */
async function toPart(value: string | File): Promise<UploadedPart> {
  if (typeof value === "string") return { filename: undefined, bytes: Buffer.from(value) };
  return { filename: value.name, bytes: Buffer.from(await value.arrayBuffer()) };
}

/** At least so many; stops above the limit. */
function countParts(body: Buffer, boundary: string): number {
  const delimiter = Buffer.from(`--${boundary}\r\n`);
  let count = 0;
  for (let at = body.indexOf(delimiter); at >= 0; at = body.indexOf(delimiter, at + delimiter.length)) {
    if (++count > DEFAULT_POLICY.maxParts) break;
  }
  return count;
}

function malformed(cause?: unknown): UpdateError {
  return new UpdateError("MALFORMED_UPLOAD", undefined, cause);
}
