/** The parts of a request: names, digests, who asks, headers; each mostly right, now and then nearly right or hostile. */
import fc from "fast-check";
import { contentDigest, type Late, pick } from "./bodies.ts";
import { basic, PASSWORD, type World } from "./world.ts";

export type Header = readonly [name: string, value: string];

const index = fc.nat({ max: 1_000 });
export const late = <T>(arbitrary: fc.Arbitrary<T>): Late<T> => arbitrary.map((value) => () => value);
export const weighted = <T>(...choices: [number, fc.Arbitrary<T>][]): fc.Arbitrary<T> =>
  fc.oneof(...choices.map(([weight, arbitrary]) => ({ weight, arbitrary })));

/** Percent-encoded, or bytes that a target may hold as they are. */
export const HOSTILE = [
  ...["%00", "%0d%0aX-Evil:1", "%0a", "..", "%2e%2e", "%2f", "%252f", "%5c", "%ff", "%c0%ae", "%zz", "%", "%E2%80%A8"],
  ...[
    "a%20b",
    "'",
    '"',
    "<script>",
    "{}",
    "|",
    "\\",
    "^",
    "`",
    ";x",
    "*",
    "$1",
    "--",
    "%27;drop%20table%20tags--",
    "\xff\xfe",
  ],
  ...[
    "__proto__",
    "constructor",
    "toString",
    "undefined",
    "null",
    "x".repeat(300),
    "x".repeat(3_000),
    "%F0%9F%98%80",
    "\u00fc",
  ],
];
export const hostile = fc.constantFrom(...HOSTILE);

export const fromPool = (pool: "repositories" | "blobs" | "manifests" | "tags"): Late<string> =>
  index.map((i) => (world) => pick(world[pool], i));
export const repository: Late<string> = weighted(
  [12, fromPool("repositories")],
  [
    2,
    late(
      fc.constantFrom(
        "bob/new",
        "alice/new",
        "alice/x/y/z",
        "no/such",
        "alice/blobs/uploads",
        "alice/tags/list",
        "alice/manifests",
      ),
    ),
  ],
  [
    1,
    late(
      fc.constantFrom(
        "alice",
        "Alice/app",
        "alice//app",
        "alice/app/",
        "a/b",
        "alice/_trust",
        "alice/a..b",
        `alice/${"x".repeat(250)}`,
      ),
    ),
  ],
  [1, late(fc.tuple(fc.constantFrom("alice/", ""), hostile).map((parts) => parts.join("")))],
);
const wrongDigest = fc.constantFrom(
  "sha256:",
  "sha256:abc",
  `sha256:${"A".repeat(64)}`,
  `md5:${"0".repeat(32)}`,
  `sha512:${"0".repeat(64)}`,
  "sha256:../x",
  ":",
);
export const digest: Late<string> = weighted(
  [6, fromPool("blobs")],
  [3, late(contentDigest)],
  [1, fromPool("manifests")],
  [1, late(wrongDigest)],
  [1, late(hostile)],
);
export const reference: Late<string> = weighted(
  [6, fromPool("tags")],
  [4, fromPool("manifests")],
  [1, late(fc.constantFrom("-x", ".x", "x".repeat(129), "x".repeat(128), `sha256-${"0".repeat(64)}`, "sha256-x.sig"))],
  [1, late(wrongDigest)],
  [1, late(hostile)],
);
/** The path of an upload: mostly one that is open, sometimes under another name. */
export const session: Late<string> = fc
  .tuple(index, index, fc.nat({ max: 30 }), hostile)
  .map(([i, j, how, text]) => (world) => {
    const own = world.sessions.at(-1 - (i % Math.max(1, Math.min(world.sessions.length, 12))));
    const path = own ?? "/v2/alice/app/blobs/uploads/00000000-0000-0000-0000-000000000000";
    if (how === 0) return `/v2/${pick(world.repositories, j)}/blobs/uploads/${path.split("/").at(-1)}`;
    if (how === 1) return `${path}${text}`;
    if (how === 2) return path.toUpperCase();
    return path;
  });

export const anyQuery = fc
  .array(
    fc.tuple(
      fc.constantFrom(
        "n",
        "last",
        "digest",
        "mount",
        "from",
        "tag",
        "artifactType",
        "n[]",
        "mount[]",
        "__proto__",
        "_state",
        "digest-algorithm",
        "%6e",
        "",
      ),
      fc.oneof(hostile, fc.constantFrom("1", "0", "-1", "1e9", "9223372036854775808", "alice/app")),
    ),
    { maxLength: 3 },
  )
  .map((pairs) => pairs.map(([name, value]) => `${name}=${value}`).join("&"));
/** Present once in `freq` times. */
export const seldom = <T>(arbitrary: fc.Arbitrary<T>, freq: number): fc.Arbitrary<T | undefined> =>
  weighted<T | undefined>([freq - 1, fc.constant(undefined)], [1, arbitrary]);

export const page = fc
  .record({
    n: seldom(
      fc.constantFrom("0", "1", "2", "100", "1000000", "-1", "abc", "1e3", "", "9223372036854775807", "%205", "0x1"),
      2,
    ),
    last: seldom(fc.oneof(fc.constantFrom("latest", "v1", "alice/app", "~"), hostile), 2),
    more: seldom(anyQuery, 10),
  })
  .map(({ n, last, more }) =>
    query([n === undefined ? "" : `n=${n}`, last === undefined ? "" : `last=${last}`, more ?? ""]),
  );

export const query = (parts: readonly string[]): string => {
  const text = parts.filter((part) => part !== "").join("&");
  return text === "" ? "" : `?${text}`;
};

const GOOD_USERS = [...Array.from({ length: 7 }, () => "admin"), "alice", "alice", "bob"];
/** Who asks. No wrong passwords: ten in a minute end every sign-in by password from this source, by design. */
export const authorization: Late<string | undefined> = weighted<(world: World) => string | undefined>(
  [
    60,
    fc.constantFrom(...GOOD_USERS).map((name) => (world) => (name === "admin" ? world.admin : basic(name, PASSWORD))),
  ],
  [12, index.map((i) => (world) => `Bearer ${pick(world.tokens, i)}`)],
  [10, fc.constant(() => undefined)],
  [
    4,
    fc
      .oneof(
        fc.constantFrom(
          "Basic",
          "Basic ",
          "Basic %%%",
          "Bearer",
          "Bearer x",
          "Bearer a.b.c",
          "Digest x",
          "",
          "basic Zm9v",
          `Bearer ${"x".repeat(7_000)}`,
        ),
        fc.tuple(index, index).map(([i, at]) => `late ${i} ${at}`),
      )
      .map((text) => (world) => spoilToken(world, text)),
  ],
);

/** A good token with one character changed. */
function spoilToken(world: World, text: string): string {
  const [, i, at] = /^late (\d+) (\d+)$/.exec(text) ?? [];
  if (at === undefined) return text;
  const token = pick(world.tokens, Number(i));
  const position = Number(at) % token.length;
  return `Bearer ${token.slice(0, position)}${token[position] === "A" ? "B" : "A"}${token.slice(position + 1)}`;
}

export const RANGES = [
  "bytes=0-0",
  "bytes=0-",
  "bytes=-1",
  "bytes=-0",
  "bytes=5-2",
  "bytes=0-1,2-3",
  "bytes=999999999999-",
  "bytes=18446744073709551616-",
  "bytes=",
  "items=0-1",
  "bytes=a-b",
  "bytes=0-0,".repeat(100),
  "\xff",
];
export const CONTENT_RANGES = [
  "0-4",
  "5-9",
  "0-9",
  "5-4",
  "10-14",
  "0-0",
  "0-99999999999999999999",
  "bytes 0-4/5",
  "a-b",
  "-",
  "",
  "0-4,5-9",
];
export const strayHeader: Late<Header> = weighted<(world: World) => Header>(
  [3, fc.constantFrom(...RANGES).map((value) => () => ["Range", value])],
  [2, fc.constantFrom(...CONTENT_RANGES).map((value) => () => ["Content-Range", value])],
  [2, index.map((i) => (world) => ["If-None-Match", `"${pick([...world.manifests, ...world.blobs, "x"], i)}"`])],
  [
    1,
    fc
      .constantFrom("*", '"', "W/", '""', ",,,", "\xff", '"x",'.repeat(500))
      .map((value) => () => ["If-None-Match", value]),
  ],
  [1, index.map((i) => (world) => ["If-Range", `"${pick(world.blobs, i)}"`])],
  [
    1,
    fc
      .constantFrom("*/*", "application/vnd.oci.image.index.v1+json", "text/html;q=0.9", "", "x".repeat(2_000))
      .map((value) => () => ["Accept", value]),
  ],
  [1, fc.constantFrom("gzip", "br, *;q=0", "identity;q=0").map((value) => () => ["Accept-Encoding", value])],
  [
    1,
    fc
      .constantFrom("100-continue", "100-Continue", "100-continue", "100-continue", "200-ok", "")
      .map((value) => () => ["Expect", value]),
  ],
  [1, fc.constantFrom("gzip", "deflate", "br").map((value) => () => ["Content-Encoding", value])],
  [1, fc.constantFrom("close", "keep-alive", "Upgrade", "close, te").map((value) => () => ["Connection", value])],
  [
    1,
    fc
      .tuple(
        fc.constantFrom(
          "X-Forwarded-For",
          "X-Forwarded-Host",
          "X-Forwarded-Proto",
          "Forwarded",
          "X-HTTP-Method-Override",
          "X-Original-URL",
          "Cookie",
          "Origin",
          "Referer",
          "User-Agent",
          "Content-MD5",
          "Digest",
          "TE",
          "Trailer",
        ),
        fc.constantFrom("evil.test", "DELETE", "/v2/_catalog", "127.0.0.1", "\x80\xff", "x".repeat(4_000), ""),
      )
      .map(([name, value]) => () => [name, value]),
  ],
  [1, fc.constant(() => ["Host", "evil.test:1"] as const)],
);
