import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { algorithmOf, DigestHasher, digestOf, hexOf, isDigest, parseDigest, parseDigestAlgorithm } from "./digest.ts";
import { isReferrersTag, parseReference, parseTag } from "./reference.ts";
import { isNamespaceName, namespaceOf, parseRepositoryName } from "./repository-name.ts";
import { parseScope } from "./scope.ts";

const codeOf = (work: () => unknown): string => {
  try {
    work();
    return "none";
  } catch (error) {
    return (error as { code: string }).code;
  }
};

describe("parseDigest", () => {
  it("takes what digestOf and DigestHasher make, and hexOf gives the hex back", () => {
    fc.assert(
      fc.property(fc.uint8Array(), fc.constantFrom("sha256" as const, "sha512" as const), (content, algorithm) => {
        const digest = digestOf(content, algorithm);
        const hasher = new DigestHasher(algorithm);
        for (const byte of content) hasher.update(Uint8Array.of(byte));

        expect(hasher.digest()).toBe(digest);
        expect(parseDigest(digest)).toBe(digest);
        expect(`${algorithmOf(digest)}:${hexOf(digest)}`).toBe(digest);
        expect(hexOf(digest)).toMatch(/^[0-9a-f]+$/);
      }),
    );
  });

  it("knows the digest of nothing in both algorithms", () => {
    expect(digestOf("")).toBe("sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    expect(digestOf("", "sha512")).toMatch(/^sha512:cf83e1357eefb8bd.{96}a538327af927da3e$/);
  });

  it("refuses a good digest with any one character changed to another kind, left out or added", () => {
    const digest = digestOf("x");
    const bad = fc.tuple(
      fc.nat({ max: digest.length }),
      fc.constantFrom("", "G", "A", "/", ".", "\n", "\0", " ", "é", ":"),
      fc.boolean(),
    );
    fc.assert(
      fc.property(bad, ([at, piece, insert]) => {
        fc.pre(insert ? piece !== "" : at < digest.length && digest[at] !== piece);
        const text = digest.slice(0, at) + piece + digest.slice(insert ? at : at + 1);

        expect(codeOf(() => parseDigest(text))).toBe("DIGEST_INVALID");
        expect(isDigest(text)).toBe(false);
      }),
    );
  });

  it.each([
    undefined,
    null,
    5,
    {},
    ["sha256:"],
    "",
    "sha256",
    "sha256:",
    "md5:d41d8cd98f00b204e9800998ecf8427e",
    `sha384:${"0".repeat(96)}`,
    `sha512:${"0".repeat(64)}`,
    `sha256:${"0".repeat(128)}`,
  ])("refuses %j", (value) => {
    expect(codeOf(() => parseDigest(value))).toBe("DIGEST_INVALID");
  });

  it("hashes with sha256 and sha512 alone", () => {
    expect(["sha256", "sha512"].map((name) => parseDigestAlgorithm(name))).toEqual(["sha256", "sha512"]);
    for (const name of ["md5", "SHA256", "sha384", "", "__proto__"])
      expect(codeOf(() => parseDigestAlgorithm(name))).toBe("DIGEST_INVALID");
  });
});

describe("parseReference", () => {
  it.each(["a", "A", "_", "1.0", "v1.0-rc_2", "sha256", "x".repeat(128), "_.-"])("takes the tag %s", (tag) => {
    expect(parseReference(tag)).toEqual({ kind: "tag", tag });
  });

  it.each(["", "-a", ".a", "x".repeat(129), "a b", "a/b", "ä", "a\n", "a\0", "a@b", "a+b", "\u212a"])(
    "refuses the tag %j",
    (tag) => {
      expect(codeOf(() => parseReference(tag))).toBe("TAG_INVALID");
      expect(codeOf(() => parseTag(tag))).toBe("TAG_INVALID");
    },
  );

  it("takes whatever holds a colon for a digest", () => {
    expect(parseReference(digestOf("x"))).toEqual({ kind: "digest", digest: digestOf("x") });
    for (const text of ["a:b", ":", "sha256:", `${digestOf("x")}:`, "md5:x"])
      expect(codeOf(() => parseReference(text))).toBe("DIGEST_INVALID");
  });

  it("knows the fallback tag of the referrers API, which cuts sha512 to 64 digits", () => {
    const is = (text: string) => isReferrersTag(parseTag(text));

    expect([is(digestOf("x").replace(":", "-")), is(`sha512-${"a".repeat(64)}`)]).toEqual([true, true]);
    expect(["sha256-x.sig", `sha256-${"a".repeat(63)}`, `sha256-${"A".repeat(64)}`, "latest"].map(is)).toEqual([
      false,
      false,
      false,
      false,
    ]);
  });
});

describe("parseRepositoryName", () => {
  const component = fc.stringMatching(/^[a-z0-9]{1,8}(?:(?:[.]|_|__|-{1,4})[a-z0-9]{1,8}){0,3}$/);
  const namespace = fc.stringMatching(/^[a-z0-9]{2,9}(?:[_-][a-z0-9]{1,8}){0,2}$/);

  it("takes a namespace and components of the specification's grammar, up to 255 characters", () => {
    fc.assert(
      fc.property(namespace, fc.array(component, { minLength: 1, maxLength: 6 }), (first, rest) => {
        const name = [first, ...rest].join("/");

        expect(parseRepositoryName(name)).toBe(name);
        expect(namespaceOf(parseRepositoryName(name))).toBe(first);
      }),
    );
    expect(parseRepositoryName(`ab/${"c".repeat(252)}`).length).toBe(255);
    expect(codeOf(() => parseRepositoryName(`ab/${"c".repeat(253)}`))).toBe("NAME_INVALID");
  });

  it("refuses a good name with a strange character anywhere in it", () => {
    const strange = fc.constantFrom(
      "A",
      "ü",
      "\u212a",
      " ",
      "\n",
      "\0",
      "%",
      ":",
      "@",
      "//",
      "\\",
      "..",
      "+",
      ",",
      "\u2028",
    );
    fc.assert(
      fc.property(fc.constantFrom("alice/app", "al-ice/a.b/c__d"), fc.nat(), strange, (name, at, piece) => {
        const position = at % (name.length + 1);

        expect(codeOf(() => parseRepositoryName(name.slice(0, position) + piece + name.slice(position)))).toBe(
          "NAME_INVALID",
        );
      }),
    );
  });

  it.each([
    "",
    "alice",
    "a/app",
    "/alice/app",
    "alice/app/",
    "alice//app",
    "alice/-a",
    "alice/a-",
    "alice/a..b",
    "alice/a___b",
    "alice/.a",
    "alice/../b",
    "al.ice/app",
    "al__ice/app",
    `${"a".repeat(33)}/app`,
    "alice/_trust",
  ])("refuses %j", (name) => {
    expect(codeOf(() => parseRepositoryName(name))).toBe("NAME_INVALID");
  });

  it("takes no second to refuse a long name of almost good components", () => {
    const started = process.cpuUsage();

    for (const text of [`ab/${"a-".repeat(125)}`, `ab/${"a".repeat(250)}!`, `ab/${"a__".repeat(80)}_`])
      expect(codeOf(() => parseRepositoryName(text))).toBe("NAME_INVALID");

    expect(process.cpuUsage(started).user / 1e6).toBeLessThan(0.5);
  });
});

describe("isNamespaceName", () => {
  it("takes 2 to 32 characters with single dashes and underscores between", () => {
    expect(["ab", "a1", "a-b", "a_b-c", "x".repeat(32)].filter(isNamespaceName).length).toBe(5);
    expect(
      ["", "a", "A1", "a.b", "a--b", "-ab", "ab-", "a__b", "x".repeat(33), "ab\n"].filter(isNamespaceName),
    ).toEqual([]);
  });
});

describe("parseScope", () => {
  it.each([
    ["repository:a/b:pull", { type: "repository", name: "a/b", actions: ["pull"] }],
    [
      "repository:host:5000/a/b:pull,push,pull",
      { type: "repository", name: "host:5000/a/b", actions: ["pull", "push"] },
    ],
    ["registry:catalog:*", { type: "registry", name: "catalog", actions: ["*"] }],
    ["repository(plugin):a/b:pull", { type: "repository(plugin)", name: "a/b", actions: ["pull"] }],
    ["repository:a/b:", { type: "repository", name: "a/b", actions: [] }],
    ["repository:a/b:,,", { type: "repository", name: "a/b", actions: [] }],
  ])("reads %s", (text, scope) => {
    expect(parseScope(text)).toEqual(scope);
  });

  it.each(["", ":", "::", "a", "a:b", ":a:b", "a::b", "repository"])("is undefined for %j", (text) => {
    expect(parseScope(text)).toBeUndefined();
  });

  it("gives back what it was put together from", () => {
    const word = fc.stringMatching(/^[a-z]{1,9}$/);
    fc.assert(
      fc.property(word, fc.string({ minLength: 1 }), fc.uniqueArray(word), (type, name, actions) => {
        expect(parseScope(`${type}:${name}:${actions.join(",")}`)).toEqual({ type, name, actions });
      }),
    );
  });
});
