/** Hardening T02, T17, T21, N09: names and numbers of parts. */
import { describe, expect, it } from "vitest";
import { faultOf, UpdateError } from "./error.ts";
import { type Attack, fault, refuses } from "./testing/attack.ts";
import { put } from "./testing/loose.ts";
import { Repository } from "./testing/repository.ts";

const published = Repository.published();
const renamed = (filename: string | undefined, code: Attack["code"], detail?: Attack["detail"]): Attack => ({
  name: JSON.stringify(filename?.slice(0, 60)) ?? "none",
  repository: published,
  parts: (copy) => [{ ...copy.part("targets"), filename }],
  code,
  detail,
});
const long = `targets/${"a".repeat(248)}`;

refuses("a part without a name", [
  renamed(undefined, "NO_FILENAME"),
  renamed("", "NO_FILENAME"),
  renamed(".json", "NO_FILENAME"),
]);

refuses("a part whose name is no role", [
  ...[
    "foo",
    "mirrors",
    "Root",
    "ROOT",
    "root/x",
    "snapshot/x",
    "timestamp/",
    "targets/",
    "targets//a",
    "targets/a//b",
    "targets/a/",
    "/targets",
    "targets/A",
    "targets/a b",
    "targets/..",
    "targets/../root",
    "targets/./a",
    "../targets",
    "..",
    "/",
    "C:\\targets",
    "targets\\a",
    "targets/%2e%2e",
    "targets%2fa",
    "targets/a\0",
    "targets\0",
    "targets/a\n",
    " targets",
    "targets ",
    "targets/\u00e9",
    "targets/e\u0301",
    "t\u0430rgets",
    "targets/\uff41",
    "targets/\u{1f600}",
    "targets.json.json",
    "targets/a.json.json",
    "targets/a.b",
    "1.root",
    "__proto__",
    "constructor",
    "targets/*",
    "targets/a;b",
    "targets/a'b",
    "targets/1/2/3/4/5/6/7/8/9",
    long,
  ].map((name) => renamed(name, "INVALID_ROLE", name.replace(/\.json$/, ""))),
  renamed(`targets/${"x".repeat(5000)}`, "INVALID_ROLE", `targets/${"x".repeat(590)}…`),
]);

const two = (first: string, second: string, role: string): Attack => ({
  name: `${first} and ${second}`,
  repository: published,
  parts: (copy) => {
    const [honest, evil] = [copy.part(role), copy.part(role, put(["version"], 9))];
    return [
      { ...honest, filename: first },
      { ...evil, filename: second },
    ];
  },
  code: "MALFORMED_UPLOAD",
  detail: `two files for ${role}`,
});

refuses("more than one file for a role, or too many files", [
  ...["root", "targets", "targets/a", "targets/a/b", "snapshot"].flatMap((role) => [
    two(role, role, role),
    two(role, `${role}.json`, role),
    two(`${role}.json`, role, role),
  ]),
  {
    name: "two timestamps, though both would be read past",
    repository: published,
    parts: () => ["timestamp", "timestamp"].map((filename) => ({ filename, bytes: Buffer.from("{}") })),
    code: "MALFORMED_UPLOAD",
    detail: "two files for timestamp",
  },
  {
    name: "17 files",
    repository: published,
    parts: (copy) => Array.from({ length: 17 }, (_, n) => ({ ...copy.part("targets/a"), filename: `targets/${n}` })),
    code: "MALFORMED_UPLOAD",
    detail: "more than 16 files",
  },
  {
    name: "10,000 files",
    repository: published,
    parts: () => Array.from({ length: 10_000 }, (_, n) => ({ filename: `targets/${n}`, bytes: Buffer.of() })),
    code: "MALFORMED_UPLOAD",
    detail: "more than 16 files",
  },
]);

refuses("one bad part beside good ones", [
  ...["root", "targets", "targets/a", "targets/a/b"].flatMap((good) =>
    [
      { bad: { filename: "mirrors", bytes: Buffer.from("{}") }, code: "INVALID_ROLE" as const, detail: "mirrors" },
      { bad: { filename: "timestamp", bytes: Buffer.from("{") }, code: "MALFORMED_JSON" as const, detail: undefined },
      { bad: { filename: undefined, bytes: Buffer.from("{}") }, code: "NO_FILENAME" as const, detail: undefined },
      {
        bad: { filename: "targets/zz", bytes: Buffer.from("{}") },
        code: "INVALID_UPDATE" as const,
        detail: fault("ErrBadTargets", "tuf: invalid role targets/zz. delegation does not exist"),
      },
    ].flatMap(({ bad, code, detail }) => [
      {
        name: `${good}, then ${bad.filename}`,
        repository: published,
        parts: (copy: Repository) => [copy.part(good), bad],
        code,
        detail,
      },
      {
        name: `${bad.filename}, then ${good}`,
        repository: published,
        parts: (copy: Repository) => [bad, copy.part(good)],
        code,
        detail,
      },
    ]),
  ),
]);

describe("an error body", () => {
  it.each([
    ["control characters", "\u0001".repeat(2000)],
    ["quotes", '"'.repeat(2000)],
    ["emoji", "\u{1f600}".repeat(2000)],
    ["letters", "a".repeat(2000)],
  ])("stays under 1,024 bytes for %s", (_what, text) => {
    const error = new UpdateError("INVALID_UPDATE", faultOf("ErrBadTargets", text));
    const body = {
      errors: [{ code: error.code, message: "Update sent by the client is invalid.", detail: error.detail }],
    };

    expect(Buffer.byteLength(JSON.stringify(body))).toBeLessThan(1024);
    expect(text.startsWith((error.detail as { Error: { Msg: string } }).Error.Msg.slice(0, -1))).toBe(true);
  });

  it("of a name as long as names get stays under it too", () => {
    const name = "\u0001".repeat(5000);
    const act = () => published.copy().publish([{ filename: name, bytes: Buffer.of() }]);

    expect(act).toThrow(UpdateError);
    try {
      act();
    } catch (error) {
      expect(Buffer.byteLength(JSON.stringify((error as UpdateError).detail))).toBeLessThan(900);
    }
  });
});
