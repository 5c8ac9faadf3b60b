/** Whole, well-formed HTTP requests over every route: the right thing, the nearly right thing and the hostile thing. */
import fc from "fast-check";
import { blobContent, contentDigest, contentType, type Late, manifestBody } from "./bodies.ts";
import {
  anyQuery,
  authorization,
  CONTENT_RANGES,
  digest,
  fromPool,
  type Header,
  HOSTILE,
  hostile,
  late,
  page,
  query,
  RANGES,
  reference,
  repository,
  seldom,
  session,
  strayHeader,
  weighted,
} from "./parts.ts";
import { rest, restPath, type Shape, tokens } from "./rest-grammar.ts";
import type { WireRequest } from "./wire.ts";
import { digestOf, type World } from "./world.ts";

const get = (path: Late<string>, tail: fc.Arbitrary<string> = fc.constant("")): fc.Arbitrary<Shape> =>
  fc.tuple(weighted([4, fc.constant("GET")], [1, fc.constant("HEAD")]), path, tail).map(([method, make, rest]) => ({
    method,
    target: (world) => make(world) + rest,
  }));

const under = (tail: (world: World, last: string) => string, last: Late<string>): Late<string> =>
  fc.tuple(repository, last).map(
    ([name, end]) =>
      (world) =>
        `/v2/${name(world)}/${tail(world, end(world))}`,
  );

const nothing: Late<string> = fc.constant(() => "");
const blobPath = under((_, end) => `blobs/${end}`, digest);
const manifestPath = under((_, end) => `manifests/${end}`, reference);

/** What is there, asked for in part or on a condition. */
const inPart: fc.Arbitrary<Shape> = fc
  .tuple(fromPool("repositories"), fromPool("blobs"), fromPool("tags"), fc.nat({ max: 3 }), fc.constantFrom(...RANGES))
  .map(([name, blob, tag, how, range]) => ({
    method: "GET",
    target: (world) => `/v2/${name(world)}/${how === 0 ? `manifests/${tag(world)}` : `blobs/${blob(world)}`}`,
    headers: [how < 2 ? (["If-None-Match", "*"] as const) : (["Range", range] as const)],
  }));

const startUpload: fc.Arbitrary<Shape> = fc
  .tuple(repository, blobContent, digest, repository, fc.nat({ max: 9 }), seldom(anyQuery, 10))
  .map(([name, content, blob, from, how, more]) => {
    const path = (world: World) => `/v2/${name(world)}/blobs/uploads/`;
    if (how < 4)
      return { method: "POST", target: (world) => path(world) + query([more ?? ""]), body: () => Buffer.alloc(0) };
    if (how < 7)
      return { method: "POST", target: (world) => `${path(world)}?digest=${blob(world)}`, body: () => content };
    const source = (world: World) => (how === 9 ? "" : `&from=${from(world)}`);
    return {
      method: "POST",
      target: (world) => `${path(world)}?mount=${blob(world)}${source(world)}`,
      body: () => Buffer.alloc(0),
    };
  });

const chunk: fc.Arbitrary<Shape> = fc
  .tuple(
    session,
    blobContent,
    seldom(fc.constantFrom(...CONTENT_RANGES), 2),
    fc.nat({ max: 8 }),
    contentDigest,
    seldom(anyQuery, 12),
  )
  .map(([path, content, range, how, blob, more]) => {
    const headers: Header[] = [["Content-Type", "application/octet-stream"]];
    if (range !== undefined) headers.push(["Content-Range", range]);
    if (how < 4)
      return { method: "PATCH", target: (world) => path(world) + query([more ?? ""]), headers, body: () => content };
    if (how < 7) {
      // The last bytes are often the whole blob, and the digest then right.
      const named = how === 5 ? digestOf(content) : blob;
      const target = (world: World): string => path(world) + query([`digest=${named}`, more ?? ""]);
      return { method: "PUT", target, headers, body: () => (how === 4 ? Buffer.alloc(0) : content) };
    }
    return { method: how === 7 ? "GET" : "DELETE", target: path };
  });

const putManifest: fc.Arbitrary<Shape> = fc
  .tuple(
    manifestPath,
    // Without one, the type that the manifest itself says counts.
    seldom(contentType, 3),
    manifestBody,
    seldom(fc.oneof(fc.constantFrom("tag=a", "tag=a&tag=b", "tag=-", "tag="), anyQuery), 8),
  )
  .map(([path, type, body, more]) => ({
    method: "PUT",
    target: (world) => path(world) + query([more ?? ""]),
    ...(type === undefined ? {} : { headers: [["Content-Type", type] as const] }),
    body,
  }));

const remove: fc.Arbitrary<Shape> = fc
  .tuple(fc.oneof(blobPath, manifestPath))
  .map(([path]) => ({ method: "DELETE", target: path }));

const referrers = get(
  under((_, end) => `referrers/${end}`, fc.oneof(fromPool("manifests"), digest)),
  fc
    .tuple(page, seldom(fc.constantFrom("a/b", "%00", ...HOSTILE), 3))
    .map(([tail, type]) => (type === undefined ? tail : `${tail === "" ? "?" : `${tail}&`}artifactType=${type}`)),
);

const METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "SEARCH", "QUERY"];
const anywhere: fc.Arbitrary<Shape> = fc
  .tuple(
    fc.constantFrom(...METHODS),
    fc.oneof(
      blobPath,
      manifestPath,
      session,
      restPath,
      late(
        fc.constantFrom(
          "/",
          "/v2",
          "/v2/",
          "/v2/_catalog",
          "/token",
          "/healthz",
          "/readyz",
          "/metrics",
          "/v1/",
          "/favicon.ico",
          "//v2/",
          "/v2//",
          "/v2/..",
          "/v2/%2e%2e/",
          "/../../etc/passwd",
          "/v2/alice/app/_trust/tuf/root.json",
        ),
      ),
      late(
        fc
          .array(
            fc.oneof(hostile, fc.constantFrom("v2", "blobs", "uploads", "manifests", "tags", "list", "alice", "")),
            { maxLength: 6 },
          )
          .map((parts) => `/${parts.join("/")}`),
      ),
    ),
    seldom(anyQuery, 4),
    seldom(fc.uint8Array({ maxLength: 100 }), 6),
  )
  .map(([method, path, more, body]) => ({
    method,
    target: (world) => path(world) + query([more ?? ""]),
    ...(body === undefined ? {} : { body: () => Buffer.from(body) }),
  }));

const shape: fc.Arbitrary<Shape> = weighted(
  [6, get(blobPath)],
  [4, inPart],
  [8, get(manifestPath)],
  [8, startUpload],
  [14, chunk],
  [14, putManifest],
  [
    4,
    get(
      under(() => "tags/list", nothing),
      page,
    ),
  ],
  [
    4,
    get(
      fc.constant(() => "/v2/_catalog"),
      page,
    ),
  ],
  [3, referrers],
  [4, remove],
  [2, get(late(fc.constantFrom("/v2/", "/v2", "/healthz", "/readyz", "/metrics")))],
  [3, tokens],
  [4, rest],
  [8, anywhere],
);

/** One request; `concrete` makes it from what there is at that moment. */
export const requests: fc.Arbitrary<(world: World) => WireRequest> = fc
  .record({
    shape,
    authorization,
    stray: weighted<((world: World) => Header)[]>([3, fc.constant([])], [2, fc.array(strayHeader, { maxLength: 3 })]),
    framing: weighted<NonNullable<WireRequest["framing"]>>(
      [90, fc.constant("length")],
      [8, fc.constant("chunked")],
      [1, fc.constant("short")],
    ),
    second: seldom(authorization, 200),
  })
  .map(({ shape: { method, target, headers = [], body }, authorization: who, stray, framing, second }) => (world) => {
    const credentials = [who, second].flatMap((make) => {
      const value = make?.(world);
      return value === undefined ? [] : [["Authorization", value] as const];
    });
    const strays = stray.map((make) => make(world));
    return {
      method,
      target: target(world),
      headers: [["Host", "registry.test"] as const, ...credentials, ...headers, ...strays],
      ...(body === undefined ? {} : { body: body(world), framing }),
    };
  });
