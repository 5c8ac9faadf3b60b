import { describe, expect, it } from "vitest";
import { parseSnapshot, parseTimestamp } from "./metadata.ts";
import { ROOT, type RoleName, SNAPSHOT, TIMESTAMP } from "./names.ts";
import { type RenewalInput, renewServerRoles } from "./renew.ts";
import { put } from "./testing/loose.ts";
import { inDays, metaOf, Repository } from "./testing/repository.ts";
import type { MetadataFile } from "./update.ts";

const bytesOf = ({ stored }: Repository, role: RoleName): Uint8Array => stored.get(role) ?? Buffer.of();

/** Renews as the server would on a read `days` from now, and stores what comes. */
function renew(repository: Repository, days: number, change: Partial<RenewalInput> = {}): readonly MetadataFile[] {
  const files = renewServerRoles({
    root: bytesOf(repository, ROOT),
    snapshot: bytesOf(repository, SNAPSHOT),
    timestamp: bytesOf(repository, TIMESTAMP),
    serverKeys: repository.serverKeys,
    now: inDays(days),
    sign: repository.sign,
    ...change,
  });
  for (const { role, bytes } of files) repository.stored.set(role, bytes);
  return files;
}

const listed = (files: readonly MetadataFile[]) => files.map(({ role, version }) => `${role} ${version}`);
const noKeys = { serverKeys: { snapshot: new Set(), timestamp: new Set() } as never };

describe("renewServerRoles", () => {
  it("leaves alone what has not ended", () => {
    expect(renew(Repository.published(), 13.9)).toEqual([]);
  });

  it("makes the next timestamp of the same snapshot when the timestamp has ended", () => {
    const repository = Repository.published();
    const before = bytesOf(repository, SNAPSHOT);

    expect(listed(renew(repository, 15))).toEqual(["timestamp 2"]);

    const timestamp = parseTimestamp(bytesOf(repository, TIMESTAMP));
    expect(timestamp.expiresAt).toEqual(inDays(29));
    expect(timestamp.snapshot.hashes.get("sha256")?.toString("base64")).toBe(
      (metaOf(before) as { hashes: { sha256: string } }).hashes.sha256,
    );
  });

  it("makes snapshot and timestamp when the snapshot has ended, with every entry it had", () => {
    const repository = Repository.published();
    const before = parseSnapshot(bytesOf(repository, SNAPSHOT));

    expect(listed(renew(repository, 1096))).toEqual(["snapshot 2", "timestamp 2"]);

    expect(parseSnapshot(bytesOf(repository, SNAPSHOT)).meta).toEqual(before.meta);
  });

  it("renews a day before the end when it is told to", () => {
    const before = { snapshot: inDays(13.5), timestamp: inDays(14.5) };

    expect(listed(renew(Repository.published(), 13.5, { expiringBefore: before }))).toEqual(["timestamp 2"]);
  });

  it("refuses with the root's expiry when the root has ended, but only once something must be signed", () => {
    const repository = Repository.published();
    repository.publish([repository.part("root", put(["expires"], inDays(10).toISOString()))]);
    const before = { snapshot: inDays(12), timestamp: inDays(30) };

    expect(renew(repository, 12, { expiringBefore: before })).toEqual([]);
    expect(() => renew(repository, 15)).toThrow(
      expect.objectContaining({ code: "EXPIRED", expired: { role: "root", expires: inDays(10).toISOString() } }),
    );
  });

  it("never renews a client's snapshot: it says when that has ended, and keeps the timestamp fresh until then", () => {
    const repository = Repository.published({ clientSnapshot: true });
    const soon = { snapshot: inDays(2000), timestamp: inDays(0) };

    expect(renew(repository, 0, { expiringBefore: soon })).toEqual([]);
    expect(listed(renew(repository, 15))).toEqual(["timestamp 2"]);
    expect(() => renew(repository, 1096)).toThrow(
      expect.objectContaining({ code: "EXPIRED", expired: expect.objectContaining({ role: "snapshot" }) }),
    );
  });

  it("says that the server holds no key, but only once something must be signed", () => {
    const early = { snapshot: inDays(0), timestamp: inDays(30) };

    expect(renew(Repository.published(), 0, { ...noKeys, expiringBefore: early })).toEqual([]);
    expect(() => renew(Repository.published(), 15, noKeys)).toThrow(expect.objectContaining({ code: "KEY" }));
  });

  it("does not hand out what its own key did not sign", () => {
    const repository = Repository.published();
    const wrong: RenewalInput["sign"] = (role, id, message) =>
      repository.sign(role, id, Buffer.concat([message, message]));

    expect(() => renew(repository, 15, { sign: wrong })).toThrow("the server's timestamp does not verify");
  });
});
