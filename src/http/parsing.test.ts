import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { matchesETag } from "./etag.ts";
import { nextLink, parsePage } from "./page.ts";
import { parseRange } from "./range.ts";
import { empty } from "./reply.ts";
import { type Protocol, route } from "./route.ts";
import { Router } from "./router.ts";

describe("parseRange", () => {
  it("gives the bytes that slicing gives, for every range and size", () => {
    const edge = fc.option(fc.nat({ max: 30 }), { nil: undefined });
    fc.assert(
      fc.property(edge, edge, fc.nat({ max: 20 }), (first, last, size) => {
        fc.pre(first !== undefined || last !== undefined);
        const content = Buffer.from(Array.from({ length: size }, (_, index) => index));
        const expected =
          first === undefined
            ? content.subarray(Math.max(0, size - (last ?? 0)))
            : content.subarray(first, last === undefined ? size : last + 1);

        const range = parseRange(`bytes=${first ?? ""}-${last ?? ""}`, size);

        if (expected.length === 0 || (first !== undefined && last !== undefined && last < first))
          expect(range).toBe("unsatisfiable");
        else if (typeof range === "object") expect(content.subarray(range.first, range.last + 1)).toEqual(expected);
        else expect.fail(`${first}-${last} of ${size}`);
      }),
      { numRuns: 2_000 },
    );
  });

  it("is undefined for whatever is not one range of bytes", () => {
    for (const header of [
      undefined,
      "",
      "bytes",
      "bytes=",
      "bytes=-",
      "bytes=1",
      "bytes=1-2,3-4",
      "bytes=a-b",
      "items=1-2",
      "bytes=1-2-3",
      "bytes= 1-2",
      "bytes=1 -2",
      "bytes=1-2\n3",
    ])
      expect(parseRange(header, 10)).toBeUndefined();
    fc.assert(fc.property(fc.string(), (text) => void parseRange(text, 10)));
  });
});

describe("matchesETag", () => {
  it.each([
    ['"a"', true],
    ['W/"a"', true],
    ['"b", "a"', true],
    ['"b",W/"a"', true],
    ["*", true],
    [" * ", true],
    ["a", false],
    ['"b"', false],
    ['"A"', false],
    ["", false],
    [undefined, false],
    ['""', false],
    ['"a', false],
  ])("compares %s weakly: %s", (header, expected) => {
    expect(matchesETag(header, '"a"')).toBe(expected);
  });
});

describe("parsePage", () => {
  it("takes whole numbers and caps them", () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 2n ** 70n }), (n) => {
        expect(parsePage(String(n), undefined, 100)?.limit).toBe(n > 100n ? 100 : Number(n));
      }),
    );
    expect(parsePage(undefined, "x", 100)).toEqual({ limit: 100, last: "x" });
  });

  it("is undefined for anything else", () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        fc.pre(!/^[0-9]+$/.test(text));
        expect(parsePage(text, undefined, 100)).toBeUndefined();
      }),
    );
    for (const text of ["", " 5", "5 ", "+5", "-1", "1e3", "0x10", "1.0", "5\n", "٣"])
      expect(parsePage(text, undefined, 9)).toBeUndefined();
  });
});

describe("nextLink", () => {
  it("holds any text as a parameter and cannot be left by it", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (last) => {
        const { Link = "" } = nextLink("/v2/a/b/tags/list", { n: "2", last });

        const target = /^<([^<>]*)>; rel="next"$/.exec(Link)?.[1] ?? "";
        expect(target).toMatch(/^[\x21-\x7e]+$/);
        expect(new URL(target, "https://x").searchParams.get("last")).toBe(last.toWellFormed());
      }),
    );
  });
});

describe("Router", () => {
  const OPEN = { kind: "open" } as const;
  const handler = async () => empty(204);
  const table = [
    route("blob", "GET", "/v2/<name>/blobs/<digest>", OPEN, handler),
    route("start", "POST", "/v2/<name>/blobs/uploads/", OPEN, handler),
    route("session", "PATCH", "/v2/<name>/blobs/uploads/<session>", OPEN, handler),
    route("manifest", "GET", "/v2/<name>/manifests/<reference>", OPEN, handler),
    route("tags", "GET", "/v2/<name>/tags/list", OPEN, handler),
    route("base", "GET", "/v2/", OPEN, handler),
  ];
  const router = new Router({ routes: table } as unknown as Protocol);
  const find = (method: string, path: string) => {
    const match = router.match(method, path);
    return match.kind === "route" ? [match.route.id, match.params] : [match.kind];
  };

  it.each([
    ["GET", "/v2/a/b/blobs/x", "blob", { name: "a/b", digest: "x" }],
    ["POST", "/v2/a/b/blobs/uploads/", "start", { name: "a/b" }],
    ["POST", "/v2/a/b/blobs/uploads", "start", { name: "a/b" }],
    ["GET", "/v2/a/b/blobs/uploads", "blob", { name: "a/b", digest: "uploads" }],
    ["PATCH", "/v2/a/blobs/uploads/blobs/uploads/x", "session", { name: "a/blobs/uploads", session: "x" }],
    ["GET", "/v2/a/manifests/manifests/manifests", "manifest", { name: "a/manifests", reference: "manifests" }],
    ["GET", "/v2/a/manifests/tags/list", "tags", { name: "a/manifests" }],
    ["GET", "/v2/a/tags/list/tags/list", "tags", { name: "a/tags/list" }],
    ["HEAD", "/v2/a/b/blobs/x", "blob", { name: "a/b", digest: "x" }],
    ["GET", "/v2", "base", {}],
  ])("%s %s is %s", (method, path, id, params) => {
    expect(find(method, path)).toEqual([id, params]);
  });

  it.each([
    ["%61/b", "a/b"],
    ["a%2fb", "a%2fb"],
    ["a/%2e%2e/b", "a/../b"],
    ["a/%zz", "a/%zz"],
    ["a/%ff", "a/%ff"],
    ["a/%00", "a/%00"],
    ["a/%C3%BC", "a/ü"],
    ["a/%252f", "a/%2f"],
  ])("reads the name %s as %s", (raw, name) => {
    expect(find("GET", `/v2/${raw}/blobs/x`)).toEqual(["blob", { name, digest: "x" }]);
  });

  it("answers not-found and method-not-allowed, with what is allowed", () => {
    expect([
      find("GET", "/v3/"),
      find("GET", "/v2/a"),
      find("GET", "/v2/a/tags/list/"),
      find("GET", "/v2/a/blobs/"),
    ]).toEqual(Array.from({ length: 4 }, () => ["not-found"]));
    expect(router.match("PUT", "/v2/a/b/blobs/uploads")).toEqual({
      kind: "method-not-allowed",
      allowed: ["GET", "POST"],
    });
  });

  it("finds some match for any path and takes no second for a long one", () => {
    const piece = fc.constantFrom(
      "/",
      "v2",
      "blobs",
      "uploads",
      "manifests",
      "tags",
      "list",
      "a",
      "%2f",
      "%",
      "..",
      "\0",
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 30 }), (parts) => void router.match("GET", `/v2/${parts.join("")}`)),
    );
    const started = process.cpuUsage();

    router.match("GET", `/v2/${"blobs/uploads/".repeat(1_000)}${"x/".repeat(1_000)}`);

    expect(process.cpuUsage(started).user / 1e6).toBeLessThan(0.5);
  });
});
