/** What must be true of every answer, whatever was asked. */
import { createHash } from "node:crypto";
import type { RawCase } from "./raw.ts";
import type { Outcome, WireAnswer, WireRequest } from "./wire.ts";

/** Each is one check of the suite. */
export const PROPERTIES = [
  "no 5xx",
  "an answer within 1 s",
  "the connection answers as HTTP does",
  "a refusal under /v2/ is the error JSON of the specification",
  "no header but our own",
  "what a digest names hashes to it",
  "never a redirect",
  "requests that are no HTTP are refused, and nothing after them served",
] as const;
export type Property = (typeof PROPERTIES)[number];

export interface Fault {
  readonly property: Property;
  readonly detail: string;
}

export const patienceMs = 1_000;

const KNOWN_HEADERS = new Set([
  ...[
    "accept-ranges",
    "allow",
    "cache-control",
    "connection",
    "content-length",
    "content-range",
    "content-security-policy",
  ],
  ...["content-type", "date", "docker-content-digest", "docker-distribution-api-version", "docker-upload-uuid", "etag"],
  ...["keep-alive", "link", "location", "oci-filters-applied", "oci-subject", "oci-tag", "range", "retry-after"],
  ...["warning", "www-authenticate", "x-content-type-options", "x-request-id"],
]);
const maxHeaders = 20;
/** May stand there more than once. */
const REPEATED = new Set(["warning"]);

export function findFault(request: WireRequest, outcome: Outcome, origin: string): Fault | undefined {
  if ("failed" in outcome) {
    const property = outcome.failed === "timeout" ? "an answer within 1 s" : "the connection answers as HTTP does";
    return { property, detail: `${outcome.failed}: ${outcome.detail}` };
  }
  const { status, ms } = outcome;
  if (status >= 500)
    return { property: "no 5xx", detail: `${status} ${outcome.body.toString("latin1").slice(0, 300)}` };
  if (ms > patienceMs) return { property: "an answer within 1 s", detail: `${Math.round(ms)} ms` };
  if (status >= 300 && status < 400 && status !== 304) return { property: "never a redirect", detail: String(status) };
  return checkHeaders(outcome, origin) ?? checkRefusal(request, outcome) ?? checkContent(request, outcome);
}

function checkHeaders({ headers }: WireAnswer, origin: string): Fault | undefined {
  const wrong = (detail: string): Fault => ({ property: "no header but our own", detail });
  const seen = new Set<string>();
  for (const [name, value] of headers) {
    if (!KNOWN_HEADERS.has(name)) return wrong(`${name}: ${value}`);
    if (seen.has(name) && !REPEATED.has(name)) return wrong(`${name} twice`);
    seen.add(name);
    if (name === "location" && !value.startsWith(`${origin}/`)) return wrong(`location: ${value}`);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: that none is there is the check
    if (/[\u0000-\u0008\u000a-\u001f\u007f]/.test(value)) return wrong(`${name} holds control characters`);
  }
  return headers.length > maxHeaders ? wrong(`${headers.length} headers`) : undefined;
}

function checkRefusal({ method, target }: WireRequest, { status, headers, body }: WireAnswer): Fault | undefined {
  if (status < 400 || method === "HEAD" || !/^\/v2(\/|\?|$)/.test(target)) return undefined;
  // The signing service refuses other methods with nothing, as notary-server does.
  if (status === 405 && target.includes("/_trust/") && body.length === 0) return undefined;
  const property = "a refusal under /v2/ is the error JSON of the specification";
  const type = headers.find(([name]) => name === "content-type")?.[1];
  const [first] = errorsOf(body);
  const good = typeof first?.code === "string" && /^[A-Z_]+$/.test(first.code) && typeof first.message === "string";
  if (!good || !type?.startsWith("application/json"))
    return { property, detail: `${status} ${type}: ${body.toString("latin1").slice(0, 200)}` };
  if (status === 401 && !headers.some(([name]) => name === "www-authenticate"))
    return { property, detail: "401 without WWW-Authenticate" };
  return undefined;
}

function errorsOf(body: Buffer): { code?: unknown; message?: unknown }[] {
  try {
    return JSON.parse(body.toString("utf8")).errors ?? [];
  } catch {
    return [];
  }
}

function checkContent({ method, target }: WireRequest, { status, body }: WireAnswer): Fault | undefined {
  const [, algorithm, hex] =
    /^\/v2\/[^?]+\/(?:blobs|manifests)\/(sha256|sha512):([0-9a-f]+)(?:\?|$)/.exec(target) ?? [];
  if (method !== "GET" || status !== 200 || algorithm === undefined) return undefined;
  const actual = createHash(algorithm).update(body).digest("hex");
  return actual === hex ? undefined : { property: "what a digest names hashes to it", detail: `bytes of ${actual}` };
}

/** `text` is everything that came back on the connection. */
export function findRawFault(
  { name, due, statuses }: RawCase,
  { text, closed }: { text: string; closed: boolean },
): Fault | undefined {
  const got = [...text.matchAll(/HTTP\/1\.1 (\d{3}) /g)]
    .map(([, status]) => Number(status))
    .filter((status) => status >= 200);
  if (got.some((status) => status >= 500)) return { property: "no 5xx", detail: `${name}: ${got}` };
  if (/^x-evil/im.test(text)) return { property: "no header but our own", detail: `${name}: X-Evil` };
  if (due && !closed)
    return { property: "an answer within 1 s", detail: `${name}: not closed, after ${got.join(" ") || "nothing"}` };
  if (statuses !== undefined && statuses.join() !== got.join()) {
    const property = "requests that are no HTTP are refused, and nothing after them served";
    return { property, detail: `${name}: answered ${got.join(" ") || "nothing"}, not ${statuses.join(" ")}` };
  }
  return undefined;
}
