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
      { path: "environments.prod.maxTimestampAge".split("."), before: "48h", after: undefined },
      { path: "environments.prod.require.1.k".split("."), before: 2, after: 1 },
      { path: "environments.test".split("."), before: at(plain(), ["environments", "test"]), after: null },
      { path: "teams.qa.alice".split("."), before: "alice", after: undefined },
      { path: "teams.qa.carol".split("."), before: undefined, after: "carol" },
      { path: "version".split("."), before: 7, after: 8 },
    ]);
  });
});
