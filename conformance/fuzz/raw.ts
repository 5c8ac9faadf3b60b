/** Bytes that are not quite HTTP, and good requests with bytes changed. */
import fc from "fast-check";
import { pick } from "./bodies.ts";
import { requests } from "./grammar.ts";
import type { Header } from "./parts.ts";
import { toBytes, type WireRequest } from "./wire.ts";
import type { World } from "./world.ts";

export interface RawCase {
  readonly name: string;
  readonly bytes: Buffer;
  /** Whether the server has all it needs to answer or to hang up; else only what it says meanwhile is judged. */
  readonly due: boolean;
  /** The statuses of all answers, where there is only one right list. */
  readonly statuses?: readonly number[];
}

const HOST = "Host: registry.test\r\n";
/** Answered only if the server took what stood before it for a whole request; it then closes. */
const CLOSING = `GET /healthz HTTP/1.1\r\n${HOST}Connection: close\r\n\r\n`;
const REFUSED = [400];

/** What follows the request line's target, or stands in its place, and what the server must say to it. */
const WHOLE: readonly (readonly [name: string, text: (auth: string) => string, statuses: readonly number[]])[] = [
  [
    "TE and CL",
    (a) => `POST /token HTTP/1.1\r\n${HOST}${a}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    REFUSED,
  ],
  [
    "CL twice",
    (a) => `POST /token HTTP/1.1\r\n${HOST}${a}Content-Length: 0\r\nContent-Length: 5\r\n\r\nhello`,
    REFUSED,
  ],
  [
    "TE unknown",
    (a) => `POST /token HTTP/1.1\r\n${HOST}${a}Transfer-Encoding: x, chunked, x\r\n\r\n0\r\n\r\n`,
    REFUSED,
  ],
  ["bad chunk size", (a) => `POST /token HTTP/1.1\r\n${HOST}${a}Transfer-Encoding: chunked\r\n\r\n-1\r\n\r\n`, REFUSED],
  ["obs-fold", (a) => `GET /v2/ HTTP/1.1\r\n${HOST}${a}X-A: b\r\n\tc\r\n\r\n`, REFUSED],
  ["space before colon", (a) => `GET /v2/ HTTP/1.1\r\n${HOST}${a}X-A : b\r\n\r\n`, REFUSED],
  ["bare LF", (a) => `GET /v2/ HTTP/1.1\n${HOST}${a}\n`, REFUSED],
  ["NUL in a header", (a) => `GET /v2/ HTTP/1.1\r\n${HOST}${a}X-A: \0\r\n\r\n`, REFUSED],
  ["no Host", () => "GET /v2/ HTTP/1.1\r\n\r\n", REFUSED],
  ["absolute-form", (a) => `GET http://evil.test/v2/ HTTP/1.1\r\n${HOST}${a}Connection: close\r\n\r\n`, REFUSED],
  ["asterisk-form", (a) => `OPTIONS * HTTP/1.1\r\n${HOST}${a}Connection: close\r\n\r\n`, REFUSED],
  ["HTTP/2.0", (a) => `GET /v2/ HTTP/2.0\r\n${HOST}${a}\r\n`, REFUSED],
  ["HTTP/2 preface", () => "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0", REFUSED],
  ["TLS hello", () => "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", REFUSED],
  [
    "h2c upgrade",
    (a) =>
      `GET /v2/ HTTP/1.1\r\n${HOST}${a}Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n`,
    REFUSED,
  ],
  ["CONNECT", (a) => `CONNECT evil.test:443 HTTP/1.1\r\n${HOST}${a}\r\n`, REFUSED],
  ["one header of 20 KiB", (a) => `GET /v2/ HTTP/1.1\r\n${HOST}${a}X-A: ${"x".repeat(20_000)}\r\n\r\n`, [431]],
  ["3,000 headers", (a) => `GET /v2/ HTTP/1.1\r\n${HOST}${a}${"X: y\r\n".repeat(3_000)}\r\n`, [431]],
  ["a target of 20 KiB", (a) => `GET /v2/${"x".repeat(20_000)} HTTP/1.1\r\n${HOST}${a}\r\n`, [431]],
  ["strange expectation", (a) => `GET /v2/ HTTP/1.1\r\n${HOST}${a}Expect: a miracle\r\n\r\n`, [417]],
  [
    "pipelined",
    (a) =>
      `GET /healthz HTTP/1.1\r\n${HOST}\r\nGET /none HTTP/1.1\r\n${HOST}${a}\r\nGET /v2/_catalog?n=x HTTP/1.1\r\n${HOST}${a}\r\n${CLOSING}`,
    [200, 404, 400, 200],
  ],
  [
    "a body on GET that looks like a request",
    (a) => `GET /healthz HTTP/1.1\r\n${HOST}${a}Content-Length: ${CLOSING.length}\r\n\r\n${CLOSING}${CLOSING}`,
    [400, 200],
  ],
  ["garbage after a request", () => `GET /healthz HTTP/1.1\r\n${HOST}\r\n\0\0\0\r\n\r\n`, [200, 400]],
  ["empty lines first", () => `\r\n\r\n\r\n${CLOSING}`, [200]],
  ["HTTP/1.0", () => "GET /healthz HTTP/1.0\r\n\r\n", [200]],
];

const wholes: fc.Arbitrary<(world: World) => RawCase> = fc
  .tuple(fc.constantFrom(...WHOLE), fc.boolean())
  .map(([[name, text, statuses], signedIn]) => (world) => {
    // Every other one is followed by an honest request, which must not be answered after a refusal.
    const auth = signedIn ? `Authorization: ${world.admin}\r\n` : "";
    const last = statuses.at(-1) ?? 0;
    const bytes = Buffer.from(text(auth) + (signedIn && last >= 400 ? CLOSING : ""), "latin1");
    return { name, bytes, due: true, statuses };
  });

const SPLINTERS = [
  "\r",
  "\n",
  "\r\n",
  "\0",
  " ",
  ":",
  "\t",
  "\x80",
  "\xff",
  "%",
  "\r\n\r\n",
  "\x7f",
  "0\r\n\r\n",
  "HTTP/1.1",
];

/** A good request with a splinter in it, a piece left out, a piece twice, or another request behind it. */
const mutated: fc.Arbitrary<(world: World) => RawCase> = fc
  .record({ make: requests, next: requests, at: fc.nat(), length: fc.nat({ max: 40 }), how: fc.nat({ max: 5 }) })
  .map(({ make, next, at, length, how }) => (world) => {
    const whole = toBytes(withoutPassword(make(world), world, at));
    const from = at % Math.min(whole.length, 600);
    const [before, piece, after] = [
      whole.subarray(0, from),
      whole.subarray(from, from + length),
      whole.subarray(from + length),
    ];
    const splinter = Buffer.from(pick(SPLINTERS, at), "latin1");
    const changed = [
      [before, splinter, piece, after],
      [before, after],
      [before, piece, piece, after],
      [before],
      [whole, toBytes(withoutPassword(next(world), world, at))],
      [before, splinter, after, splinter],
    ][how] as Buffer[];
    return { name: `mutation ${how}`, bytes: Buffer.concat(changed), due: false };
  });

/** A password with a byte changed is a wrong one: ten in a minute end every sign-in by password from this source. */
function withoutPassword(request: WireRequest, world: World, at: number): WireRequest {
  const headers = request.headers.map(([name, value]): Header => {
    return value.startsWith("Basic ") ? [name, `Bearer ${pick(world.tokens, at)}`] : [name, value];
  });
  return { ...request, headers };
}

export const rawCases: fc.Arbitrary<(world: World) => RawCase> = fc.oneof(
  { arbitrary: wholes, weight: 3 },
  { arbitrary: mutated, weight: 2 },
);
