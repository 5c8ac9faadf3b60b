/** Whether an `If-None-Match` header names `etag` (a quoted string); weak comparison. @see RFC 9110 section 13.1.2 */
export function matchesETag(header: string | undefined, etag: string): boolean {
  if (header === undefined) return false;
  if (header.trim() === "*") return true;
  return header.split(",").some((candidate) => candidate.trim().replace(/^W\//, "") === etag);
}
