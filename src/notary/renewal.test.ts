import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openTestDatabase, type TestDatabase } from "../storage/test-database.ts";
import type { NotaryDeps } from "./deps.ts";
import { holdCollection, insertFiles } from "./metadata-store.ts";
import { freshTimestamp } from "./renewal.ts";
import { renewDue } from "./renewal-job.ts";
import { markUsed } from "./server-keys-store.ts";
import { openTestDeps } from "./testing/deps.ts";
import { parseTimestamp } from "./tuf/metadata.ts";
import { type Gun, parseGun } from "./tuf/names.ts";
import { completeUpdate } from "./tuf/produce.ts";
import { certificateFor, DAY_MS, Repository } from "./tuf/testing/repository.ts";
import { ecdsaKey, inCertificate, type TestKey } from "./tuf/testing/test-key.ts";
import { judgeUpdate } from "./tuf/update.ts";
import { contentsNeeded, readParts, rolesNeeded } from "./tuf/upload.ts";

let test: TestDatabase;
let deps: NotaryDeps;
const clock = { now: new Date("2026-11-22T12:00:00Z") };
beforeAll(async () => {
  test = await openTestDatabase();
  deps = openTestDeps(test.database, () => clock.now);
});
afterAll(() => test.close());

/** Trust data of a GUN of its own, published now. */
async function publish(name: string): Promise<Gun> {
  const gun = parseGun(`registry.test/alice/${name}`);
  const repository = new Repository({ gun });
  repository.now = clock.now;
  const dates = { notBefore: inDays(-1), notAfter: inDays(3650) };
  repository.keys.root = inCertificate(ecdsaKey(), { ...certificateFor(gun), ...dates });
  for (const role of ["snapshot", "timestamp"] as const) {
    repository.keys[role] = { key: await deps.keys.pending(deps.database, gun, role, clock.now) } as TestKey;
  }
  const parts = readParts([repository.part("root"), repository.part("targets")]);
  await deps.database.transaction(async (sql) => {
    const wanted = { roles: rolesNeeded(parts), contents: contentsNeeded(parts) };
    const { collection, stored } = await holdCollection(sql, gun, wanted, clock.now);
    const keys = await deps.keys.hold(sql, gun);
    const judged = judgeUpdate({ gun, parts, stored, serverKeys: keys.serverKeys, now: clock.now });
    const files = completeUpdate(judged, keys.sign);
    await markUsed(sql, gun, keys, clock.now);
    await insertFiles(sql, collection, files, clock.now);
  });
  return gun;
}

async function timestampOf(gun: Gun) {
  const found = await deps.files.findCurrent(gun, "timestamp");
  if (found === undefined) throw new Error("there is no timestamp");
  return { found, ...parseTimestamp(found.content) };
}

const inDays = (days: number): Date => new Date(clock.now.getTime() + days * DAY_MS);

describe("the renewal job", () => {
  it("signs a timestamp anew each day, without a reader, and once", async () => {
    const gun = await publish("daily");
    expect(await renewDue(deps)).toBe(0);

    clock.now = inDays(1);
    const renewed = [await renewDue(deps), await renewDue(deps)];

    expect(renewed).toEqual([1, 0]);
    const { version, expiresAt } = await timestampOf(gun);
    expect([version, expiresAt]).toEqual([2, inDays(14)]);
    expect((await deps.changes.list({ gun, from: 0n, backwards: false, limit: 10 })).map((one) => one.version)).toEqual(
      [1, 2],
    );
  });

  it("signs a snapshot anew before anybody would be warned of it, and says so in the new timestamp", async () => {
    const gun = await publish("snapshot");

    clock.now = inDays(1095 * 0.6);
    await renewDue(deps);

    const snapshot = await deps.files.findCurrent(gun, "snapshot");
    expect(snapshot?.expiresAt).toEqual(inDays(1095));
    const { snapshot: named } = await timestampOf(gun);
    expect(named.length).toBe(snapshot?.content.length);
  });

  it("never signs an expiry that is no later than the last, whatever the clock says", async () => {
    const gun = await publish("clock");
    const before = (await timestampOf(gun)).expiresAt;
    await deps.database.query("", "update trust_current set signed_at = '2000-01-01' where role = 'timestamp'");

    clock.now = inDays(-30);
    await renewDue(deps);

    expect((await timestampOf(gun)).expiresAt.getTime()).toBeGreaterThanOrEqual(before.getTime());
    clock.now = inDays(30);
  });
});

describe("a timestamp that is read", () => {
  it("is made anew on its last day, for all who read at once only one time", async () => {
    const gun = await publish("read");
    const { found } = await timestampOf(gun);
    clock.now = inDays(13.5);

    const reads = await Promise.all(
      Array.from({ length: 8 }, () => freshTimestamp(deps, { gun, role: "timestamp", found })),
    );

    expect(new Set(reads.map(({ content }) => content.toString("base64"))).size).toBe(1);
    const { version, expiresAt } = await timestampOf(gun);
    expect([version, expiresAt]).toEqual([2, inDays(14)]);
  });

  it("is refused with the role that has expired when the root is over too", async () => {
    const gun = await publish("over");
    const { found } = await timestampOf(gun);
    clock.now = inDays(3651);

    const read = freshTimestamp(deps, { gun, role: "timestamp", found });

    await expect(read).rejects.toMatchObject({ code: "UNKNOWN", detail: { Role: "root" } });
    clock.now = inDays(-3651);
  });
});

describe("what is old", () => {
  it("is counted by role once 70 % of its life are over", async () => {
    const before = await deps.files.countOld(clock.now);
    await publish("old");

    const counts = await Promise.all([0.69, 0.71].map((share) => deps.files.countOld(inDays(14 * share))));

    const growth = counts.map((count) => (count.get("timestamp") ?? 0) - (before.get("timestamp") ?? 0));
    expect(growth[1]).toBeGreaterThan(growth[0] ?? 0);
  });
});
