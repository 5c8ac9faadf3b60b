import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { digestOf } from "../oci/digest.ts";
import { parseRepositoryName } from "../oci/repository-name.ts";
import { ensureRepository } from "../storage/repository-store.ts";
import { openTestDatabase, type TestDatabase } from "../storage/test-database.ts";
import type { NotaryDeps } from "./deps.ts";
import { holdCollection, insertFiles } from "./metadata-store.ts";
import { renewDue } from "./renewal-job.ts";
import { issueServerTarget, withdrawServerTarget } from "./server-target.ts";
import { openTestDeps } from "./testing/deps.ts";
import { spkiOf } from "./tuf/key.ts";
import { parseTargets } from "./tuf/metadata.ts";
import { parseGun, type RoleName } from "./tuf/names.ts";
import { completeUpdate } from "./tuf/produce.ts";
import { put } from "./tuf/testing/loose.ts";
import { certificateFor, DAY_MS, keyJsonOf, Repository, roleOf } from "./tuf/testing/repository.ts";
import { ecdsaKey, inCertificate, type TestKey } from "./tuf/testing/test-key.ts";
import { judgeUpdate } from "./tuf/update.ts";
import { contentsNeeded, readParts, rolesNeeded, type UploadedPart } from "./tuf/upload.ts";

const AUTO = "targets/goldseal-auto" as RoleName;
const RELEASES = "targets/releases" as RoleName;
let test: TestDatabase;
let deps: NotaryDeps;
const start = new Date("2026-11-22T12:00:00Z");
const clock = { now: start };
beforeAll(async () => {
  test = await openTestDatabase();
  deps = openTestDeps(test.database, () => clock.now);
  await test.database.query("", "insert into namespaces (name, kind) values ('lab', 'org')");
});
afterAll(() => test.close());

/** A repository whose owner lets the server sign, and release beside `own`. */
class Owned {
  readonly name;
  readonly gun;
  readonly repository: Repository;
  readonly own = ecdsaKey();

  constructor(name: string) {
    this.name = parseRepositoryName(`lab/${name}`);
    this.gun = parseGun(`registry.test/lab/${name}`);
    this.repository = new Repository({ gun: this.gun });
    this.repository.now = clock.now;
    this.repository.keys.root = inCertificate(ecdsaKey(), certificateFor(this.gun));
  }

  async begin(): Promise<this> {
    for (const role of ["snapshot", "timestamp"] as const) {
      this.repository.keys[role] = {
        key: await deps.keys.pending(deps.database, this.gun, role, clock.now),
      } as TestKey;
    }
    await this.publish([this.repository.part("root"), await this.delegate(this.own)]);
    return this;
  }

  /** Targets that let the server sign, and release beside `own`. */
  async delegate(own: TestKey): Promise<UploadedPart> {
    const { key } = await deps.signers.open(deps.database, "lab", "auto", clock.now);
    const server = { key } as TestKey;
    const delegation = (name: string, keys: readonly TestKey[]) => ({ ...roleOf(keys), name, paths: [""] });
    const roles = [delegation(AUTO, [server]), delegation(RELEASES, [server, own])];
    const keys = { [key.id]: keyJsonOf(key), [own.key.id]: keyJsonOf(own.key) };
    return this.repository.part("targets", put(["delegations"], { keys, roles }));
  }

  /** `targets/releases` by its owner. */
  releases(tag: string): UploadedPart {
    const entry = { hashes: { sha256: Buffer.alloc(32, tag).toString("base64") }, length: 7 };
    return this.repository.part(RELEASES, put(["targets"], { [tag]: entry }), [this.own]);
  }

  async publish(uploaded: readonly UploadedPart[]): Promise<void> {
    const parts = readParts(uploaded);
    await deps.database.transaction(async (sql) => {
      await ensureRepository(sql, this.name, { repositoryId: undefined, mayCreate: true });
      const wanted = { roles: rolesNeeded(parts), contents: contentsNeeded(parts) };
      const { collection, stored } = await holdCollection(sql, this.gun, wanted, clock.now);
      const keys = await deps.keys.hold(sql, this.gun);
      const { serverKeys } = keys;
      const judged = judgeUpdate({ gun: this.gun, parts, stored, serverKeys, now: clock.now });
      await insertFiles(sql, collection, completeUpdate(judged, keys.sign), clock.now);
    });
    for (const { filename, bytes } of uploaded) this.repository.stored.set(filename as RoleName, bytes);
  }

  issue(tags: readonly string[], of: string): Promise<void> {
    const target = { purpose: "auto", repository: this.name, tags, digest: digestOf(of), size: 7 } as const;
    return deps.database.transaction((sql) => issueServerTarget(deps, sql, { ...target, now: clock.now }));
  }

  withdraw(tags: readonly string[], of: string): Promise<void> {
    const target = { purpose: "auto", repository: this.name, tags, digest: digestOf(of) } as const;
    return deps.database.transaction((sql) => withdrawServerTarget(deps, sql, { ...target, now: clock.now }));
  }

  async read(role: RoleName) {
    const found = await deps.files.findCurrent(this.gun, role);
    const { version, targets, expiresAt } = parseTargets(found?.content ?? Buffer.alloc(0), role);
    return { version, tags: [...targets.keys()], expiresAt };
  }
}

describe("withdrawServerTarget", () => {
  it("takes back what the tags still are, and nothing that they became", async () => {
    const owned = await new Owned("moved").begin();
    await owned.issue(["a", "b"], "first");
    await owned.issue(["b"], "second");

    await owned.withdraw(["a", "b", "none"], "first");
    const once = [await owned.read(AUTO), await owned.read(RELEASES)];
    await owned.withdraw(["a", "b"], "first");

    expect(once.map(({ tags, version }) => [tags, version])).toEqual([
      [["b"], 3],
      [["b"], 3],
    ]);
    expect((await owned.read(AUTO)).version).toBe(3);
  });
});

describe("issueServerTarget", () => {
  it("signs along what the keys of today vouch for, and nothing of a signer who was taken out", async () => {
    const owned = await new Owned("removed").begin();
    await owned.publish([owned.releases("hand")]);
    await owned.issue(["1"], "one");
    const kept = (await owned.read(RELEASES)).tags;
    const last = parseTargets((await deps.files.findCurrent(owned.gun, RELEASES))?.content as Buffer, RELEASES);
    owned.repository.stored.set(RELEASES, last.bytes);
    const file = owned.repository.part(RELEASES, () => undefined, [owned.own]);
    await owned.publish([file]);
    await owned.publish([await owned.delegate(ecdsaKey())]);

    await owned.issue(["2"], "two");

    expect(kept).toEqual(["1", "hand"]);
    expect(await owned.read(RELEASES)).toMatchObject({ tags: ["2"], version: last.version + 2 });
    expect((await owned.read(AUTO)).tags).toEqual(["1", "2"]);
  });

  it("is of a key that is known for the server's, as those of what it founded are", async () => {
    const { key } = await deps.signers.open(deps.database, "lab", "auto", clock.now);
    const name = parseRepositoryName("lab/founded");
    const spkis = await deps.database.transaction(async (sql) => {
      await ensureRepository(sql, name, { repositoryId: undefined, mayCreate: true });
      const target = { purpose: "promote", repository: name, tags: ["1"], digest: digestOf("x"), size: 1 } as const;
      await issueServerTarget(deps, sql, { ...target, now: clock.now });
      const own = await deps.foundingKeys.find(sql, parseGun("registry.test/lab/founded"));
      await deps.foundingKeys.drop(sql, parseGun("registry.test/lab/founded"), clock.now);
      return [own?.root.key, own?.targets.key, key].map((one) => String(one && spkiOf(one)));
    });
    const all = [...spkis, "0".repeat(64)];

    const found = [await deps.signers.among(all), await deps.foundingKeys.among(all)];

    expect(found).toEqual([[spkis[2]], spkis.slice(0, 2)]);
  });
});

describe("the renewal job, where people hold the root", () => {
  it("signs the server's own role anew, and not what people release", async () => {
    const owned = await new Owned("renewed").begin();
    await owned.issue(["1"], "one");

    clock.now = new Date(start.getTime() + 1095 * 0.7 * DAY_MS);
    await renewDue(deps);

    const [auto, releases] = [await owned.read(AUTO), await owned.read(RELEASES)];
    expect([auto.version, releases.version]).toEqual([2, 1]);
    expect(auto.expiresAt).toEqual(new Date(clock.now.getTime() + 1095 * DAY_MS));
    clock.now = start;
  });
});
