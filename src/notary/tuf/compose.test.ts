import { describe, expect, it } from "vitest";
import { composeRoot, type RoleSigner, TargetsDraft } from "./compose.ts";
import { parseTargets } from "./metadata.ts";
import { type RoleName, TARGETS } from "./names.ts";
import { put } from "./testing/loose.ts";
import { certificateFor, GUN, inDays, NOW, Repository, signFile } from "./testing/repository.ts";
import { ecdsaKey, ed25519Key, inCertificate, signWith, type TestKey } from "./testing/test-key.ts";
import { verifyRole } from "./verify.ts";

const ALICE = "targets/alice" as RoleName;
const signer = (key: TestKey): RoleSigner => ({ keyId: key.key.id, sign: (message) => signWith(key, message) });
const digest = (text: string) => ({ sha256: Buffer.alloc(32, text), length: 7 });

describe("composeRoot", () => {
  it("is a root that a server takes as the first, with targets beside it", () => {
    const repository = new Repository();
    const { root, targets, snapshot, timestamp } = repository.keys;
    const keys = { root: root.key, targets: targets.key, snapshot: snapshot.key, timestamp: timestamp.key };

    const made = composeRoot(GUN, keys, { now: NOW, signers: [signer(root)] });
    const draft = new TargetsDraft(TARGETS, undefined, 0);
    draft.addDelegate(ALICE, repository.delegates.a.key);
    const first = draft.finish(NOW, [signer(targets)]);
    const files = repository.publish([
      { filename: "root", bytes: made.bytes },
      { filename: "targets", bytes: first.bytes },
    ]);

    expect(files.map(({ role, version }) => [role, version])).toEqual([
      ["root", 1],
      ["targets", 1],
      ["snapshot", 1],
      ["timestamp", 1],
    ]);
  });

  it("refuses what no reader would take: a bare root key, and one of another GUN", () => {
    const { root, targets, snapshot, timestamp } = new Repository().keys;
    const others = { targets: targets.key, snapshot: snapshot.key, timestamp: timestamp.key };
    const [bare, foreign] = [ecdsaKey(), inCertificate(ecdsaKey(), certificateFor("registry.example.com/other"))];

    for (const key of [bare, foreign])
      expect(() => composeRoot(GUN, { ...others, root: key.key }, { now: NOW, signers: [signer(key)] })).toThrow(
        "unable to retrieve valid leaf certificates",
      );
    expect(() => composeRoot(GUN, { ...others, root: root.key }, { now: NOW, signers: [signer(bare)] })).toThrow(
      "failed to validate integrity of roots",
    );
  });
});

describe("TargetsDraft", () => {
  const key = ecdsaKey();
  const finish = (draft: TargetsDraft) => draft.finish(NOW, [signer(key)]);

  it("puts, replaces and removes targets one version on, whatever they are called, and signs for three years", () => {
    const draft = new TargetsDraft(ALICE, undefined, 4);
    for (const name of ["1", "__proto__", "2"]) draft.putTarget(name, digest(name));
    draft.removeTarget("2");
    const made = finish(draft);

    expect([made.version, made.expires]).toEqual([5, "2029-11-21T12:00:00Z"]);
    expect([...made.targets.keys()].sort()).toEqual(["1", "__proto__"]);
    expect(made.targets.get("__proto__")?.hashes.get("sha256")).toEqual(digest("__proto__").sha256);
    verifyRole(made, ALICE, { keyIds: [key.key.id], keys: new Map([[key.key.id, key.key]]), threshold: 1 });

    const next = new TargetsDraft(ALICE, made, made.version);
    next.putTarget("1", digest("x"));
    expect(finish(next).targets.get("1")?.hashes.get("sha256")?.toString()).toBe("x".repeat(32));
  });

  it("keeps what it does not know", () => {
    const repository = Repository.published();
    const signed = repository.next("targets/a");
    put(["x-note"], { kept: [1, "two"] })(signed);
    put(["targets", "old"], {
      hashes: { sha256: Buffer.alloc(32).toString("base64") },
      length: 1,
      custom: { by: "hand" },
    })(signed);
    const current = parseTargets(signFile(signed, [key]), "targets/a" as RoleName);

    const draft = new TargetsDraft("targets/a" as RoleName, current, current.version);
    draft.putTarget("new", digest("n"));
    const made = finish(draft);

    expect(made.signed["x-note"]).toEqual({ kept: [1, "two"] });
    expect(made.targets.get("old")?.custom).toEqual({ by: "hand" });
    expect(made.delegations).toHaveLength(1);
  });

  it("adds a delegate's key once, in whatever form it is there, and leaves the role's paths as they are", () => {
    const [own, other] = [ecdsaKey(), ed25519Key()];
    const wrapped = inCertificate(own, { commonNames: ["alice"], notBefore: inDays(-1), notAfter: inDays(9) });
    const draft = new TargetsDraft(TARGETS, undefined, 0);

    expect(draft.addDelegate(ALICE, wrapped.key)).toBe(true);
    expect(draft.addDelegate(ALICE, wrapped.key)).toBe(false);
    expect(draft.addDelegate(ALICE, own.key)).toBe(false);
    expect(draft.addDelegate(ALICE, other.key)).toBe(true);
    const made = finish(draft);

    expect(made.delegations).toMatchObject([
      { name: ALICE, keyIds: [wrapped.key.id, other.key.id], paths: [""], threshold: 1 },
    ]);
    expect([...made.delegationKeys.keys()].sort()).toEqual([wrapped.key.id, other.key.id].sort());
  });
});
