import { describe, expect, it } from "vitest";
import { spkiOf } from "./key.ts";
import { parseGun, type RoleName } from "./names.ts";
import { delegate, entry } from "./testing/delegating.ts";
import { at, type Change, drop, type Loose, put } from "./testing/loose.ts";
import { type SetChanges, setOf } from "./testing/published-set.ts";
import { certificateFor, GUN, inDays, metaOf, NOW, Repository, type RepositoryKeys } from "./testing/repository.ts";
import { disguised, ecdsaKey, inCertificate } from "./testing/test-key.ts";
import { findTarget, openTrustedSet, resolveTarget, type TrustedSet } from "./trusted-set.ts";
import type { UploadedPart } from "./upload.ts";

const published = Repository.published();
const { a, b } = published.delegates;
const [role, other] = [(name: string) => name as RoleName, ecdsaKey()];
const file = (fill: string) => ({ hashes: { sha256: Buffer.alloc(32, fill).toString("base64") }, length: 527 });

const open = (parts: readonly UploadedPart[] = [], changes: SetChanges = {}, now = NOW): TrustedSet =>
  openTrustedSet({ gun: GUN, files: setOf(published, parts, changes), now });
const part = (
  name: string,
  change?: Change,
  keys = [name === "targets/a" ? a : published.signerOf(name)],
): UploadedPart => published.part(name, change, keys);

describe("openTrustedSet", () => {
  it("walks from the root to the last delegation and says who signed what", () => {
    const set = open();

    expect([...set.roles.keys()]).toEqual(["targets", "targets/a", "targets/a/b"]);
    expect([...(set.roles.get(role("targets/a"))?.signers ?? [])]).toEqual([spkiOf(a.key)]);
    expect([...(set.roles.get(role("targets/a/b"))?.signers ?? [])]).toEqual([spkiOf(b.key)]);
    expect([...set.dropped]).toEqual([]);
  });

  it("takes what the server itself made", () => {
    expect(openTrustedSet({ gun: GUN, files: published.stored, now: NOW }).roles.size).toBe(3);
  });

  it("names only the keys that signed, and each once", () => {
    const twoKeys = part("targets", delegate([a, other], entry("targets/a", [a, other])));

    const { roles } = open([twoKeys, part("targets/a", undefined, [a, a])]);

    expect([...(roles.get(role("targets/a"))?.signers ?? [])]).toEqual([spkiOf(a.key)]);
  });

  const keys = (change: Partial<RepositoryKeys>): Repository => {
    const copy = published.copy();
    Object.assign(copy.keys, change);
    return copy;
  };
  const half = (
    name: string,
    change: (files: Map<RoleName, Uint8Array>) => void,
  ): [string, () => Map<RoleName, Uint8Array>] => [
    name,
    () => {
      const files = setOf(published);
      change(files);
      return files;
    },
  ];
  const whole = (
    name: string,
    parts: readonly UploadedPart[],
    changes?: SetChanges,
  ): [string, () => Map<RoleName, Uint8Array>] => [name, () => setOf(published, parts, changes)];
  const text = (bytes: Uint8Array | undefined): Buffer => Buffer.from(bytes ?? []);

  it.each<[string, () => Map<RoleName, Uint8Array>, string]>([
    [...half("no root", (files) => files.delete(role("root"))), "MISMATCH"],
    [...half("no timestamp", (files) => files.delete(role("timestamp"))), "MISMATCH"],
    [...half("no snapshot", (files) => files.delete(role("snapshot"))), "MISMATCH"],
    [...half("no targets", (files) => files.delete(role("targets"))), "MISMATCH"],
    [...half("a delegation held back", (files) => files.delete(role("targets/a/b"))), "MISMATCH"],
    [...whole("a root that its keys did not sign", [part("root", undefined, [other])]), "THRESHOLD"],
    [...whole("an expired root", [part("root", put(["expires"], inDays(-1).toISOString()))]), "EXPIRED"],
    [...whole("an expired targets", [part("targets", put(["expires"], inDays(-1).toISOString()))]), "EXPIRED"],
    [...whole("an expired snapshot", [], { snapshot: put(["expires"], inDays(-1).toISOString()) }), "EXPIRED"],
    [
      ...whole("an expired timestamp (freeze)", [], { timestamp: put(["expires"], inDays(-1).toISOString()) }),
      "EXPIRED",
    ],
    ["a timestamp by a stolen name", () => setOf(keys({ timestamp: other })), "THRESHOLD"],
    ["a snapshot by another key", () => setOf(keys({ snapshot: other })), "THRESHOLD"],
    [...whole("targets by another key", [part("targets", undefined, [other])]), "THRESHOLD"],
    [
      ...half("another set's targets (mix and match)", (files) => files.set(role("targets"), part("targets").bytes)),
      "MISMATCH",
    ],
    [
      ...half("an older snapshot (mix and match)", (files) =>
        files.set(role("snapshot"), published.stored.get(role("snapshot")) ?? a.key.publicBytes),
      ),
      "MISMATCH",
    ],
    [
      ...half("another delegation of the same length", (files) =>
        files.set(role("targets/a"), part("targets/a").bytes),
      ),
      "MISMATCH",
    ],
    [
      ...half("a blank more after a delegation", (files) =>
        files.set(role("targets/a"), Buffer.concat([text(files.get(role("targets/a"))), Buffer.from(" ")])),
      ),
      "MISMATCH",
    ],
    [
      ...whole("a snapshot of another root", [], { snapshot: put(["meta", "root"], metaOf(part("root").bytes)) }),
      "MISMATCH",
    ],
    [
      ...whole("a wrong length", [], {
        snapshot: (signed) =>
          put(["meta", "targets/a", "length"], Number(at(signed, ["meta", "targets/a", "length"])) + 1)(signed),
      }),
      "MISMATCH",
    ],
    [
      ...whole("a delegation by SHA-512 only", [], { snapshot: drop(["meta", "targets/a", "hashes", "sha256"]) }),
      "MISMATCH",
    ],
    [...whole("a snapshot in the timestamp's place", [], { timestamp: put(["_type"], "Snapshot") }), "STRUCTURE"],
    [
      ...whole("one delegation twice", [
        part("targets", delegate([a, other], entry("targets/a", [a]), entry("targets/a", [other]))),
      ]),
      "DELEGATION",
    ],
    [
      ...whole("a dropped delegation twice", [
        part("targets", delegate([a, other], entry("targets/a", [other]), entry("targets/a", [a]))),
      ]),
      "DELEGATION",
    ],
    [...whole("33 delegations", many(33)), "LIMIT"],
    [...whole("9 levels", deep(9)), "LIMIT"],
  ])("refuses %s", (_attack, files, code) => {
    expect(() => openTrustedSet({ gun: GUN, files: files(), now: NOW })).toThrow(
      expect.objectContaining({ name: "VerificationError", code }),
    );
  });

  it("takes 32 delegations and 8 levels", () => {
    expect(open(many(32)).roles.size).toBe(33);
    expect(open(deep(8)).roles.size).toBe(9);
  });

  it("refuses the set of another GUN, whoever owns both", () => {
    const files = setOf(published);

    expect(() => openTrustedSet({ gun: parseGun("registry.example.com:5000/team/app2"), files, now: NOW })).toThrow(
      expect.objectContaining({ code: "KEY" }),
    );
  });

  it("refuses a root whose certificate has run out", () => {
    const root = inCertificate(ecdsaKey(), { ...certificateFor(GUN), notAfter: inDays(-0.5) });
    const copy = keys({ root });
    copy.stored.clear();

    const files = setOf(
      copy,
      ["root", "targets"].map((name) => copy.part(name)),
    );

    expect(() => openTrustedSet({ gun: GUN, files, now: NOW })).toThrow(expect.objectContaining({ code: "KEY" }));
  });

  it.each<[string, UploadedPart, string]>([
    ["wrong key", part("targets/a", undefined, [other]), "THRESHOLD"],
    ["expired", part("targets/a", put(["expires"], inDays(-1).toISOString())), "EXPIRED"],
    ["another role's file", { ...part("targets/a/b"), filename: "targets/a" }, "THRESHOLD"],
    ["a version that is none", part("targets/a", put(["version"], 0)), "STRUCTURE"],
    ["no JSON", { filename: "targets/a", bytes: Buffer.from("{") }, "MALFORMED"],
  ])("drops a delegation with all below it: %s", (_attack, bad, code) => {
    const set = open([bad]);

    expect([...set.roles.keys()]).toEqual(["targets"]);
    expect([...set.dropped].map(([name, error]) => [name, error.code])).toEqual([["targets/a", code]]);
  });

  it("drops a delegation that one key signed under two ids for a threshold of two", () => {
    const twin = inCertificate(a, certificateFor("a"));
    const two = part("targets", delegate([a, twin], entry("targets/a", [a, twin], 2)));

    expect([...open([two, part("targets/a", undefined, [a, twin])]).dropped.keys()]).toEqual(["targets/a"]);
  });

  it("drops a delegation whose key stands under another's id", () => {
    const liar = disguised(a, "ecdsa", other.key.publicBytes);
    const signed = part(
      "targets",
      put(["delegations", "keys", a.key.id, "keyval", "public"], liar.key.publicBytes.toString("base64")),
    );

    expect([...open([signed, part("targets/a", undefined, [a])]).dropped].map(([, { code }]) => code)).toEqual(["KEY"]);
  });

  it("goes past what is delegated and not published yet, and past what nobody delegates", () => {
    const more = part("targets", delegate([a, other], entry("targets/new", [other]), entry("targets/a", [a])));
    const stray = part("targets/stray", undefined, [other]);

    const set = open([more, stray]);

    expect([...set.roles.keys()]).toEqual(["targets", "targets/a", "targets/a/b"]);
    expect(set.dropped.size).toBe(0);
  });
});

describe("findTarget", () => {
  const narrow = (paths: unknown, tag: string, below: unknown = [""]): TrustedSet =>
    open([
      part("targets", delegate([a], entry("targets/a", [a], 1, paths))),
      part("targets/a", (signed: Loose) => {
        put(["targets", tag], file("x"))(signed);
        delegate([b], entry("targets/a/b", [b], 1, below))(signed);
      }),
      part("targets/a/b", put(["targets", tag], file("y"))),
    ]);

  it.each<[string, unknown, string, boolean]>([
    ["everything", [""], "v1", true],
    ["a prefix", ["v"], "v1", true],
    ["one of two prefixes", ["x", "v"], "v1", true],
    ["another prefix", ["w"], "v1", false],
    ["nothing", [], "v1", false],
    ["no paths", null, "v1", false],
    ["a longer name", ["v1.0"], "v1", false],
    ["another case", ["V"], "v1", false],
  ])("with paths of %s", (_what, paths, tag, expected) => {
    const set = narrow(paths, tag);

    expect(findTarget(set, role("targets/a"), tag) !== undefined).toBe(expected);
    // A delegate cannot hand on what it was never given.
    expect(findTarget(set, role("targets/a/b"), tag) !== undefined).toBe(expected);
  });

  it("cuts a child down to its own paths too", () => {
    expect(findTarget(narrow([""], "v1", ["w"]), role("targets/a/b"), "v1")).toBeUndefined();
  });

  it("finds nothing in a role that is not there", () => {
    expect(findTarget(open(), role("targets/zz"), "v1")).toBeUndefined();
  });
});

describe("resolveTarget", () => {
  const releases = ecdsaKey();
  const speak = (...names: readonly string[]): TrustedSet => {
    const tag = (name: string): Change =>
      names.includes(name) ? put(["targets", "v1"], file(name.at(-1) ?? "")) : () => undefined;
    const roles = [entry("targets/a", [a]), entry("targets/releases", [releases])];
    return open([
      part("targets", (signed: Loose) => {
        delegate([a, releases], ...roles)(signed);
        tag("targets")(signed);
      }),
      part("targets/a", tag("targets/a")),
      part("targets/a/b", tag("targets/a/b")),
      part("targets/releases", tag("targets/releases"), [releases]),
    ]);
  };

  it.each([
    [["targets/releases", "targets", "targets/a"], "targets/releases"],
    [["targets", "targets/a"], "targets"],
    [["targets/a/b", "targets/a"], "targets/a"],
    [["targets/a/b"], "targets/a/b"],
    [[], undefined],
  ])("of %j takes the word of %s", (names, expected) => {
    expect(resolveTarget(speak(...names), "v1")?.role).toBe(expected);
  });
});

function many(count: number): UploadedPart[] {
  const names = Array.from({ length: count }, (_, index) => `targets/s${index}`);
  return [
    part("targets", delegate([a], ...names.map((name) => entry(name, [a])))),
    ...names.map((name) => part(name, undefined, [a])),
  ];
}

function deep(levels: number): UploadedPart[] {
  const names = Array.from({ length: levels }, (_, index) => `targets${"/d".repeat(index + 1)}`);
  const to = (name: string | undefined): Change =>
    name === undefined ? () => undefined : delegate([a], entry(name, [a]));
  return [part("targets", to(names[0])), ...names.map((name, index) => part(name, to(names[index + 1]), [a]))];
}
