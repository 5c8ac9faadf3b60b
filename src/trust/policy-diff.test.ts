import { describe, expect, it } from "vitest";
import { at, drop, type Loose, put } from "../notary/tuf/testing/loose.ts";
import { diffPolicies } from "./policy-diff.ts";
import { plain, prod } from "./testing/policy-text.ts";

describe("diffPolicies", () => {
  const changed = (change: (document: Loose) => void) => {
    const after = plain();
    change(after);
    return diffPolicies(plain() as never, after as never);
  };

  it("says nothing of equal documents, in whatever order", () => {
    expect(changed((document) => (at(document, ["teams", "acme/ops"]) as string[]).reverse())).toEqual([]);
  });

  it("says what came, went and changed", () => {
    const changes = changed((document) => {
      put(["version"], 8)(document);
      put(["teams", "qa"], ["carol"])(document);
      put(prod("require", 1, "k"), 1)(document);
      drop(prod("maxTimestampAge"))(document);
      put(["environments", "test"], null)(document);
    });

    expect(changes).toEqual([
      { path: "environments.prod.maxTimestampAge", before: "48h", after: undefined },
      { path: "environments.prod.require.1.k", before: 2, after: 1 },
      { path: "environments.test", before: at(plain(), ["environments", "test"]), after: null },
      { path: "teams.qa.alice", before: "alice", after: undefined },
      { path: "teams.qa.carol", before: undefined, after: "carol" },
      { path: "version", before: 7, after: 8 },
    ]);
  });
});
