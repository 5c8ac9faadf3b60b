/** Bodies: manifests with one thing wrong or everything, JSON that parsers disagree about, forms, bytes. */
import fc from "fast-check";
import { CONTENTS, DOCKER, digestOf, INDEX, LIST, MANIFEST, type World } from "./world.ts";

/** What a request is made of is known only when it is sent: sessions come and go. */
export type Late<T> = fc.Arbitrary<(world: World) => T>;

export const pick = <T>(items: readonly T[], index: number): T => items[index % items.length] as T;
const index = fc.nat({ max: 1_000 });

/** JSON texts, good and bad, to be put where a value belongs. */
const HAZARDS = [
  ...["null", "true", "0", "-1", "-0", "1.5", "1e400", "1e2", "9007199254740993", "5e-324", "NaN", "0x10", "01", "+1"],
  ...[
    '""',
    '"x"',
    '"\\ud800"',
    '"\\u0000"',
    '"\u2028"',
    '"\\x41"',
    '"a\nb"',
    '"\u00ff"',
    "'x'",
    `"${"x".repeat(5_000)}"`,
  ],
  ...["[]", "{}", "[[]]", "[null]", "[{}]", '{"a":1,"a":2}', '{"__proto__":{"polluted":true}}', "[1,]", "{,}", "/**/1"],
  ...[
    '{"constructor":{"prototype":{"polluted":true}}}',
    "[".repeat(40) + "]".repeat(40),
    "[".repeat(20_000),
    '{"a":'.repeat(5_000),
  ],
  ...[
    '"sha256:../../../etc/passwd"',
    `"sha256:${"A".repeat(64)}"`,
    `"sha256:${"0".repeat(64)}"`,
    '"md5:0"',
    "undefined",
    "",
  ],
];
const hazard = fc.oneof(
  fc.constantFrom(...HAZARDS),
  fc.json({ maxDepth: 3 }),
  fc.string({ maxLength: 20, unit: "binary" }),
);

const KEYS = ["schemaVersion", "mediaType", "config", "layers", "manifests", "subject", "annotations", "artifactType"];
const ALIASES = [
  "Layers",
  "layer\u017f",
  "CONFIG",
  "\u212aonfig",
  "MediaType",
  "Subject",
  "fsLayers",
  "signatures",
  "__proto__",
  "constructor",
  "toString",
  "x",
  "",
];
const DESCRIPTOR_KEYS = [
  "mediaType",
  "digest",
  "size",
  "urls",
  "data",
  "annotations",
  "platform",
  "artifactType",
  "Digest",
  "\u017fize",
  "__proto__",
];

/** A stored manifest's text with some of its keys set to something else. */
const changedManifest: Late<Buffer> = fc
  .record({
    base: index,
    changes: fc.array(fc.tuple(fc.constantFrom(...KEYS, ...ALIASES), hazard), { maxLength: 2 }),
    inner: fc.option(fc.tuple(fc.constantFrom(...DESCRIPTOR_KEYS), hazard), { freq: 3 }),
    salt: fc.option(fc.nat({ max: 50 }), { freq: 2 }),
    twice: fc.boolean(),
  })
  .map(({ base, changes, inner, salt, twice }) => (world) => {
    const members = new Map(
      Object.entries(JSON.parse(pick(world.texts, base))).map(([k, v]) => [k, JSON.stringify(v)]),
    );
    if (salt !== null) members.set("annotations", `{"salt":"${salt}"}`);
    const last = changes.map(([key, value]) => [key, value] as [string, string]);
    if (!twice) for (const [key, value] of last.splice(0)) members.set(key, value);
    const all = [...members, ...last].map(([key, value]) => `${JSON.stringify(key)}:${value}`).join(",");
    const text = inner === null ? all : all.replace('"digest":', `${JSON.stringify(inner[0])}:${inner[1]},"digest":`);
    return Buffer.from(`{${text}}`);
  });

/** How whole documents go wrong. */
const spoiled = (body: Late<Buffer>): Late<Buffer> =>
  fc.tuple(body, fc.nat({ max: 40 }), index).map(([make, how, at]) => (world) => {
    const whole = make(world);
    if (how === 0) return whole.subarray(0, at % (whole.length + 1));
    if (how === 1) return Buffer.concat([whole, Buffer.from([at & 255])]);
    if (how === 2) return Buffer.concat([Buffer.from("\ufeff"), whole]);
    if (how === 3) return Buffer.from(whole.toString(), "utf16le");
    if (how === 4) return whole.map((byte, i) => (i === at % whole.length ? byte ^ 0x80 : byte)) as Buffer;
    if (how === 5) return Buffer.concat([whole, whole]);
    if (how === 6 && at % 3 === 0) return Buffer.alloc(4 * 1024 * 1024 + 1, 0x20);
    return whole;
  });

const exactManifest: Late<Buffer> = index.map((i) => (world) => Buffer.from(pick(world.texts, i)));
const anyJson: Late<Buffer> = fc.json().map((text) => () => Buffer.from(text));
const anyHazard: Late<Buffer> = hazard.map((text) => () => Buffer.from(text));
const anyBytes: Late<Buffer> = fc.uint8Array({ maxLength: 200 }).map((bytes) => () => Buffer.from(bytes));

export const manifestBody: Late<Buffer> = fc.oneof(
  { arbitrary: spoiled(changedManifest), weight: 6 },
  { arbitrary: exactManifest, weight: 3 },
  { arbitrary: anyJson, weight: 1 },
  { arbitrary: anyHazard, weight: 1 },
  { arbitrary: anyBytes, weight: 1 },
);

export const blobContent = fc.oneof(
  { arbitrary: fc.constantFrom(...CONTENTS).map((text) => Buffer.from(text)), weight: 5 },
  { arbitrary: fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)), weight: 1 },
);
export const contentDigest = fc
  .tuple(fc.constantFrom(...CONTENTS), fc.constantFrom("sha256", "sha256", "sha512"))
  .map(([text, algorithm]) => digestOf(text, algorithm));

export const restBody: Late<Buffer> = fc.oneof(
  fc
    .constantFrom('{"visibility":"private"}', '{"visibility":"public"}', "{}", '{"password":"short"}')
    .map((t) => () => Buffer.from(t)),
  fc
    .tuple(
      fc.constantFrom("visibility", "password", "Visibility", "roles", "__proto__", "systemAdmin", "constructor"),
      hazard,
    )
    .map(
      ([key, value]) =>
        () =>
          Buffer.from(`{"visibility":"private",${JSON.stringify(key)}:${value}}`),
    ),
  fc.tuple(fc.constantFrom("repositories", "mode", "require", "applies", "maxTimestampAge", "gun"), hazard).map(
    ([key, value]) =>
      () =>
        Buffer.from(`{"repositories":["**"],"mode":"warn","require":[{"k":1}],${JSON.stringify(key)}:${value}}`),
  ),
  fc.constant(() => Buffer.from('{"repositories":["**"],"mode":"warn","require":[{"k":1}]}')),
  anyJson,
  anyHazard,
  anyBytes,
);

const FORM_KEYS = [
  "grant_type",
  "service",
  "client_id",
  "scope",
  "refresh_token",
  "access_type",
  "username",
  "__proto__",
  "grant_type[]",
];
export const formBody: Late<Buffer> = fc.oneof(
  fc
    .array(
      fc.tuple(
        fc.constantFrom(...FORM_KEYS),
        fc.oneof(
          fc.constantFrom("refresh_token", "offline", "repository:a/b:pull", "x".repeat(2_000)),
          fc.string({ unit: "binary" }),
        ),
      ),
      { maxLength: 6 },
    )
    .map((pairs) => () => Buffer.from(pairs.map(([k, v]) => `${k}=${encodeURIComponent(v.toWellFormed())}`).join("&"))),
  anyBytes,
);

export const contentType = fc.oneof(
  { arbitrary: fc.constantFrom(MANIFEST, MANIFEST, MANIFEST, INDEX, DOCKER, LIST), weight: 8 },
  {
    arbitrary: fc.constantFrom(
      ...[
        "application/json",
        "application/octet-stream",
        "text/html",
        "",
        `${MANIFEST}; charset=utf-8`,
        `${MANIFEST};${MANIFEST}`,
      ],
      ...[
        "application/vnd.docker.distribution.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.v1+prettyjws",
      ],
      ...["multipart/form-data; boundary=x", "*/*", MANIFEST.toUpperCase(), "a".repeat(3_000), "\xff\xfe"],
    ),
    weight: 2,
  },
);
