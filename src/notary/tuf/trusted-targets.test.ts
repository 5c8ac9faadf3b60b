import { describe, expect, it } from "vitest";
import { spkiOf } from "./key.ts";
import type { RoleName } from "./names.ts";
import { delegate, entry } from "./testing/delegating.ts";
import { all, type Change, put } from "./testing/loose.ts";
import { read, serve } from "./testing/reader.ts";
import { inDays, Repository } from "./testing/repository.ts";
import { ecdsaKey } from "./testing/test-key.ts";
import type { TrustedMetadata } from "./trusted-metadata.ts";
import { countingRoles, findCounting, findTarget, resolveTarget, signersOf } from "./trusted-targets.ts";

const role = (name: string) => name as RoleName;
const file = (fill: string) => ({ hashes: { sha256: Buffer.alloc(32, fill).toString("base64") }, length: 527 });
const nothing: Change = () => undefined;

/** Published with what `changes` does to each role, and read at `now`. */
async function collection(changes: Readonly<Record<string, Change>>, now?: Date): Promise<TrustedMetadata> {
  const repository = Repository.published();
  const { a, b } = repository.delegates;
  const releases = ecdsaKey();
  const roles = [entry("targets/a", [a]), entry("targets/releases", [releases])];
  const parts = [
    repository.part("targets", all(delegate([a, releases], ...roles), changes.targets ?? nothing)),
    repository.part("targets/a", all(delegate([b], entry("targets/a/b", [b])), changes["targets/a"] ?? nothing)),
    repository.part("targets/a/b", changes["targets/a/b"]),
    repository.part("targets/releases", all(delegate([]), changes["targets/releases"] ?? nothing), [releases]),
  ];
  repository.publish(repository.withSnapshot(parts));
  return read(repository, { fetch: serve(repository), now: now ?? repository.now });
}

describe("roles that count", () => {
  const soon = put(["expires"], inDays(1).toISOString());

  it.each<[string, Readonly<Record<string, Change>>, string[]]>([
    ["none has expired", {}, ["targets", "targets/a", "targets/a/b", "targets/releases"]],
    ["a delegation has expired", { "targets/a/b": soon }, ["targets", "targets/a", "targets/releases"]],
    ["the one above has expired", { "targets/a": soon }, ["targets", "targets/releases"]],
    ["targets has expired", { targets: soon }, []],
  ])("where %s", async (_what, changes, expected) => {
    const trusted = await collection(changes, inDays(2)).catch(() => undefined);
    if (trusted === undefined) throw new Error("it cannot be read");

    expect(countingRoles(trusted).map(({ name }) => name)).toEqual(expected);
  });

  it("are not those that nobody published or delegates to", async () => {
    const other = ecdsaKey();
    const repository = Repository.published();
    const change = delegate([other], entry("targets/new", [other]));
    repository.publish(repository.withSnapshot([repository.part("targets", change)]));
    const trusted = await read(repository);

    expect(countingRoles(trusted).map(({ name }) => name)).toEqual(["targets"]);
    for (const name of ["targets/new", "targets/a", "targets/zz"])
      expect(findCounting(trusted, role(name))).toBeUndefined();
  });

  it("say who signed them: keys of the role, each once", async () => {
    const repository = Repository.published();
    const { a, b } = repository.delegates;
    repository.publish(
      repository.withSnapshot([
        repository.part("targets", delegate([a, b], entry("targets/a", [a, b]))),
        repository.part("targets/a", undefined, [a, a]),
      ]),
    );
    const found = findCounting(await read(repository), role("targets/a"));
    if (found === undefined) throw new Error("it does not count");

    expect([...signersOf(found)]).toEqual([spkiOf(a.key)]);
  });
});

describe("findTarget", () => {
  const paths =
    (above: unknown, below: unknown = [""]) =>
    async (): Promise<TrustedMetadata> => {
      const repository = Repository.published();
      const { a, b } = repository.delegates;
      repository.publish(
        repository.withSnapshot([
          repository.part("targets", delegate([a], entry("targets/a", [a], 1, above))),
          repository.part(
            "targets/a",
            all(delegate([b], entry("targets/a/b", [b], 1, below)), put(["targets", "v1"], file("x"))),
          ),
          repository.part("targets/a/b", put(["targets", "v1"], file("y"))),
        ]),
      );
      return read(repository);
    };

  it.each<[string, () => Promise<TrustedMetadata>, boolean, boolean]>([
    ["everything", paths([""]), true, true],
    ["a prefix", paths(["v"], ["v"]), true, true],
    ["one of two prefixes", paths(["x", "v"], ["v1"]), true, true],
    ["another prefix", paths(["w"], ["w"]), false, false],
    ["another prefix for the child", paths(["w", "v"], ["w"]), true, false],
    ["no name at all", paths([], []), false, false],
    ["no paths", paths(null, null), false, false],
    ["a longer name", paths(["v1.0"], ["v1.0"]), false, false],
    ["another case", paths(["V"], ["V"]), false, false],
  ])("of a role that may speak for %s", async (_what, open, ofParent, ofChild) => {
    const trusted = await open();

    expect(findTarget(trusted, role("targets/a"), "v1") !== undefined).toBe(ofParent);
    expect(findTarget(trusted, role("targets/a/b"), "v1") !== undefined).toBe(ofChild);
  });

  it("finds nothing in a role that is not there, and no other name", async () => {
    const trusted = await paths([""])();

    expect(findTarget(trusted, role("targets/zz"), "v1")).toBeUndefined();
    expect(findTarget(trusted, role("targets/a"), "v2")).toBeUndefined();
  });
});

describe("resolveTarget", () => {
  it.each([
    [["targets/releases", "targets", "targets/a"], "targets/releases"],
    [["targets", "targets/a"], "targets"],
    [["targets/a/b", "targets/a"], "targets/a"],
    [["targets/a/b"], "targets/a/b"],
    [[], undefined],
  ])("of %j takes the word of %s", async (names, expected) => {
    const trusted = await collection(
      Object.fromEntries(names.map((name) => [name, put(["targets", "v1"], file("x"))])),
    );

    expect(resolveTarget(trusted, "v1")?.role).toBe(expected);
  });
});
