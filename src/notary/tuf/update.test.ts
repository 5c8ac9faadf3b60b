import { describe, expect, it } from "vitest";
import { verifyHashes } from "./file-hashes.ts";
import { parseRoot, parseSnapshot, parseTimestamp } from "./metadata.ts";
import { ROOT, type RoleName, SNAPSHOT, TIMESTAMP } from "./names.ts";
import { all, drop, put } from "./testing/loose.ts";
import { certificateFor, DAY_MS, GUN, inDays, keysOf, metaOf, Repository, roleOf } from "./testing/repository.ts";
import { ecdsaKey, ed25519Key, inCertificate, rsaKey, type TestKey } from "./testing/test-key.ts";
import { verifyRole } from "./verify.ts";

const roles = (files: readonly { role: string; version: number }[]) =>
  files.map(({ role, version }) => `${role} ${version}`);

const bytesOf = ({ stored }: Repository, role: RoleName): Uint8Array => stored.get(role) ?? Buffer.of();

/** What every reader checks: the root signed the server's files, and they name exactly the files that are stored. */
function expectConsistent(repository: Repository): void {
  const root = parseRoot(bytesOf(repository, ROOT));
  const snapshot = parseSnapshot(bytesOf(repository, SNAPSHOT));
  const timestamp = parseTimestamp(bytesOf(repository, TIMESTAMP));
  verifyRole(timestamp, "timestamp", root.roles.timestamp);
  verifyRole(snapshot, "snapshot", root.roles.snapshot);
  verifyHashes(snapshot.bytes, "snapshot", timestamp.snapshot);
  expect(timestamp.snapshot.length).toBe(snapshot.bytes.length);
  for (const [role, meta] of snapshot.meta) verifyHashes(bytesOf(repository, role as RoleName), role, meta);
  // A millisecond more for each publish of the same instant: expiry only rises.
  expect(timestamp.expiresAt.getTime() - repository.now.getTime() - 14 * DAY_MS).toBeLessThan(1000);
  expect(timestamp.expiresAt.getTime() - repository.now.getTime()).toBeGreaterThanOrEqual(14 * DAY_MS);
}

describe("judgeUpdate and completeUpdate", () => {
  it("take the first publish in any order of parts and make snapshot and timestamp", () => {
    const repository = new Repository();

    const files = repository.publish([repository.part("targets"), repository.part("root")]);

    expect(roles(files)).toEqual(["root 1", "targets 2", "snapshot 1", "timestamp 1"]);
    expectConsistent(repository);
  });

  it("take the first publish with a client's snapshot, which stands as it came", () => {
    const repository = new Repository({ clientSnapshot: true });
    const parts = repository.withSnapshot([repository.part("root"), repository.part("targets")]);

    const files = repository.publish(parts);

    expect(roles(files)).toEqual(["root 1", "targets 2", "snapshot 2", "timestamp 1"]);
    expect(bytesOf(repository, SNAPSHOT)).toEqual(parts.at(-1)?.bytes);
    expectConsistent(repository);
  });

  it("take an upload without parts: the next snapshot and timestamp of the same files", () => {
    const repository = Repository.published();
    const before = parseSnapshot(bytesOf(repository, SNAPSHOT)).meta;

    const files = repository.publish([]);

    expect(roles(files)).toEqual(["snapshot 2", "timestamp 2"]);
    expect(parseSnapshot(bytesOf(repository, SNAPSHOT)).meta).toEqual(before);
    expectConsistent(repository);
  });

  it("keep every uploaded byte, spaces and a last newline too, and hash those", () => {
    const repository = Repository.published();
    const { bytes } = repository.part("targets");
    const pretty = Buffer.from(`${JSON.stringify(JSON.parse(Buffer.from(bytes).toString()), undefined, 2)}\n`);

    repository.publish([{ filename: "targets.json", bytes: pretty }]);

    expect(bytesOf(repository, "targets" as RoleName)).toEqual(pretty);
    expectConsistent(repository);
  });

  it("take delegations from the top down, several levels in one upload", () => {
    const repository = Repository.published();

    const files = repository.publish(["targets/a/b", "targets/a", "targets"].map((role) => repository.part(role)));

    expect(roles(files).slice(0, 3)).toEqual(["targets 3", "targets/a 2", "targets/a/b 2"]);
    expectConsistent(repository);
  });

  it("take a delegation alone, under its stored parents", () => {
    const repository = Repository.published();
    const sign = put(["targets", "v1"], metaOf(Buffer.from("an image")));

    expect(roles(repository.publish([repository.part("targets/a/b", sign)]))[0]).toBe("targets/a/b 2");
    expect(roles(repository.publish([repository.part("targets/a/b", drop(["targets", "v1"]))]))[0]).toBe(
      "targets/a/b 3",
    );
    expectConsistent(repository);
  });

  it.each([
    ["null lists", put(["delegations"], { keys: {}, roles: null })],
    ["null delegations", put(["delegations"], null)],
    ["no delegations", drop(["delegations"])],
    ["null keys and targets", all(put(["delegations"], { keys: null, roles: null }), put(["targets"], null))],
    ["a delegation without keys, as docker leaves targets/releases", put(["delegations", "roles", 0, "keyids"], [])],
    ["a delegation without paths", drop(["delegations", "roles", 0, "paths"])],
    ["an unknown member", put(["note"], { any: ["thing", true, null] })],
    ["odd target names", put(["targets", "../%2e\u2028<é😀>/__proto__"], metaOf(Buffer.of()))],
    ["the target __proto__", put(["targets", "__proto__"], metaOf(Buffer.of()))],
    ["a custom member", put(["targets", "x"], { ...metaOf(Buffer.of()), custom: { a: [1, "<&>"] } })],
    ["expiry with nanoseconds and an offset", put(["expires"], "2028-01-02T03:04:05.123456789+05:30")],
    ["a version that leaves ten out", put(["version"], 12)],
  ])("take targets with %s", (_what, change) => {
    const repository = Repository.published();

    repository.publish([repository.part("targets", change)]);

    expectConsistent(repository);
  });

  it("take a removed delegation's last file as a stale entry, and the role again when it is back", () => {
    const repository = Repository.published();
    const { delegations } = repository.next("targets");

    repository.publish([repository.part("targets", put(["delegations"], { keys: {}, roles: null }))]);
    expect(parseSnapshot(bytesOf(repository, SNAPSHOT)).meta.has("targets/a")).toBe(true);
    repository.publish([repository.part("targets", put(["delegations"], delegations)), repository.part("targets/a")]);

    expectConsistent(repository);
  });

  it("do not show a client's timestamp to anybody", () => {
    const repository = Repository.published();
    const forged = { filename: "timestamp", bytes: Buffer.from('{"signed":{"version":99}}') };

    const files = repository.publish([forged]);

    expect(roles(files)).toEqual(["snapshot 2", "timestamp 2"]);
  });

  it("take uploads under an expired root, as long as no root is uploaded", () => {
    const repository = Repository.published();
    repository.now = inDays(3651);

    expect(roles(repository.publish([repository.part("targets")]))[0]).toBe("targets 3");
  });
});

describe("rotations", () => {
  const replaceRoot = (repository: Repository, next: TestKey) => {
    const old = repository.keys.root;
    const { targets, snapshot, timestamp } = repository.keys;
    const change = all(
      put(["keys"], keysOf(old, next, targets, snapshot, timestamp)),
      put(["roles", "root"], roleOf([next])),
    );
    return repository.part("root", change, [old, next]);
  };

  it.each([
    ["ECDSA P-256", () => ecdsaKey()],
    ["ECDSA P-384", () => ecdsaKey("secp384r1")],
    ["ECDSA P-521", () => ecdsaKey("secp521r1")],
    ["RSA", () => rsaKey()],
  ])("hand the root to a new %s key, and from there to the next", (_what, make) => {
    const repository = Repository.published();

    for (const key of [make(), ecdsaKey()]) {
      const next = inCertificate(key, certificateFor(GUN));
      repository.publish([replaceRoot(repository, next)]);
      repository.keys.root = next;
    }

    expect(repository.versionOf("root")).toBe(3);
    expectConsistent(repository);
  });

  it("hand over from a root certificate that has expired", () => {
    const repository = Repository.published();
    repository.now = inDays(3651);
    const next = inCertificate(ecdsaKey(), { ...certificateFor(GUN), notAfter: inDays(9000) });

    expect(roles(repository.publish([replaceRoot(repository, next)]))[0]).toBe("root 2");
  });

  it("take a certificate for a prefix with *", () => {
    const repository = new Repository();
    repository.keys.root = inCertificate(ecdsaKey(), certificateFor("registry.example.com:5000/*"));

    expect(roles(repository.publish([repository.part("root"), repository.part("targets")]))[0]).toBe("root 1");
  });

  it("sign with the new timestamp key from the very upload that lists it", () => {
    const repository = Repository.published();
    const { root, targets, snapshot } = repository.keys;
    const timestamp = ed25519Key();
    repository.keys.timestamp = timestamp;
    const change = all(
      put(["keys"], keysOf(root, targets, snapshot, timestamp)),
      put(["roles", "timestamp"], roleOf([timestamp])),
    );

    repository.publish([repository.part("root", change)]);

    expectConsistent(repository);
  });

  it("replace the targets key; a delegation waits for targets by the new key", () => {
    const repository = Repository.published();
    const { root, snapshot, timestamp } = repository.keys;
    const targets = rsaKey();
    const change = all(
      put(["keys"], keysOf(root, targets, snapshot, timestamp)),
      put(["roles", "targets"], roleOf([targets])),
    );

    repository.publish([repository.part("root", change)]);
    expect(() => repository.publish([repository.part("targets/a")])).toThrow(
      expect.objectContaining({ code: "INVALID_UPDATE", detail: undefined }),
    );
    repository.keys.targets = targets;
    repository.publish([repository.part("targets"), repository.part("targets/a")]);

    expectConsistent(repository);
  });

  it("count two different keys for a threshold of two", () => {
    const repository = Repository.published();
    const { root, snapshot, timestamp, targets } = repository.keys;
    const second = ecdsaKey();
    const change = all(
      put(["keys"], keysOf(root, targets, second, snapshot, timestamp)),
      put(["roles", "targets"], roleOf([targets, second], 2)),
    );

    repository.publish([repository.part("root", change)]);
    repository.publish([repository.part("targets", undefined, [targets, second])]);

    expectConsistent(repository);
  });

  it("produce what is never promised for less time than before, though the clock went back a year", () => {
    const repository = Repository.published();
    repository.now = inDays(-365);
    const before = parseTimestamp(bytesOf(repository, TIMESTAMP)).expiresAt;

    repository.publish([]);

    const { expiresAt } = parseTimestamp(bytesOf(repository, TIMESTAMP));
    expect(expiresAt.getTime()).toBe(before.getTime() + 1);
  });
});
