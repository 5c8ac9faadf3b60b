/** What clients of a registry read of its challenge and of its token service. */
import { findObject, type JsonObject } from "./json.ts";

/** A JSON object; empty where the body is none. */
export function readObject(body: Buffer): JsonObject {
  return findObject(body) ?? {};
}

/** One of `WWW-Authenticate`, without its quotes; empty where there is none. @see RFC 7235 section 4.1 */
export function readParameter(header: string, name: string): string {
  return new RegExp(`\\b${name}="([^"]*)"`).exec(header)?.[1] ?? "";
}
