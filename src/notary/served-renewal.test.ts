import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { digestOf } from "../oci/digest.ts";
import { parseRepositoryName } from "../oci/repository-name.ts";
import { ensureRepository } from "../storage/repository-store.ts";
import { openTestDatabase, type TestDatabase } from "../storage/test-database.ts";
import type { NotaryDeps } from "./deps.ts";
import { renewDue } from "./renewal-job.ts";
import { issueServerTarget } from "./server-target.ts";
import { openTestDeps } from "./testing/deps.ts";
import { type Gun, parseGun, type RoleName } from "./tuf/names.ts";
import { sha256Of } from "./tuf/signed-file.ts";
import { remember } from "./tuf/testing/reader.ts";
import { DAY_MS } from "./tuf/testing/repository.ts";
import { readTrusted, type TrustedMetadata } from "./tuf/trusted-metadata.ts";

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

const inDays = (days: number): Date => new Date(clock.now.getTime() + days * DAY_MS);

/** Trust data that the server founded now, with one tag. */
async function found(name: string, purpose: "auto" | "promote" = "auto"): Promise<Gun> {
  const repository = parseRepositoryName(`lab/${name}`);
  await deps.database.transaction(async (sql) => {
    await ensureRepository(sql, repository, { repositoryId: undefined, mayCreate: true });
    const target = { purpose, repository, tags: ["v1"], digest: digestOf(name), size: 7 };
    await issueServerTarget(deps, sql, { ...target, now: clock.now });
  });
  return parseGun(`registry.test/lab/${name}`);
}

/** As a client does, from every version that was ever stored. */
async function read(gun: Gun, known: ReadonlyMap<RoleName, Uint8Array> = new Map()): Promise<TrustedMetadata> {
  const rows = await deps.database.query<{ role: string; version: string; content: Buffer }>(
    "",
    `select f.role, f.version, f.content from trust_files f join trust_collections c on c.id = f.collection_id
     where c.gun = $1 order by f.version`,
    [gun],
  );
  const names = rows.flatMap(({ role, version, content }): [string, Buffer][] => [
    [role, content],
    [`${version}.${role}`, content],
    [`${role}.${sha256Of(content).toString("hex")}`, content],
  ]);
  const files = new Map(names);
  const trusted = await readTrusted({ gun, now: clock.now, known, fetch: async (name) => files.get(name) });
  if (trusted === undefined) throw new Error("no trust data");
  return trusted;
}

const versionsOf = ({ root, roles }: TrustedMetadata) =>
  Object.fromEntries([["root", root.version], ...[...roles].map(([name, { targets }]) => [name, targets?.version])]);

describe("the renewal job", () => {
  it("signs anew what the server founded, targets and delegations in good time, without a reader", async () => {
    const gun = await found("targets");
    const before = await read(gun);
    clock.now = inDays(1095 * 0.6 - 1);
    await renewDue(deps);
    const early = await read(gun);

    clock.now = inDays(2);
    await renewDue(deps);

    const late = await read(gun, remember(before));
    const first = { root: 1, targets: 1, "targets/goldseal-auto": 1, "targets/releases": 1 };
    expect(versionsOf(early)).toMatchObject(first);
    expect(versionsOf(late)).toMatchObject({ ...first, targets: 2, "targets/goldseal-auto": 2, "targets/releases": 2 });
    for (const name of ["targets", "targets/goldseal-auto", "targets/releases"])
      expect(late.roles.get(name as RoleName)?.targets?.expiresAt).toEqual(inDays(1095));
    expect(late.roles.get("targets/releases" as RoleName)?.targets?.targets.has("v1")).toBe(true);
    expect((await deps.files.countOld(clock.now)).size).toBe(0);
  });

  it("signs anew a root that the server holds, in a new certificate, so that whoever knew the old one follows", async () => {
    clock.now = start;
    const gun = await found("root", "promote");
    const before = await read(gun);

    clock.now = inDays(3650 * 0.6 + 1);
    // What has run out meanwhile comes a round later.
    await renewDue(deps);
    await renewDue(deps);

    const after = await read(gun, remember(before));
    expect(after.root.version).toBe(2);
    expect(after.root.roles.root.keyIds).not.toEqual(before.root.roles.root.keyIds);
    expect(after.root.expiresAt).toEqual(inDays(3650));
    expect(after.roles.get("targets/goldseal-promote" as RoleName)?.problem).toBeUndefined();
  });

  it("goes on where one GUN cannot be renewed, and leaves those alone that lost their repository", async () => {
    clock.now = start;
    const [broken, good, lost] = [await found("a-broken"), await found("b-good"), await found("c-lost")];
    await deps.database.query("", "update trust_founding_keys set sealed = '\\x00' where gun = $1", [broken]);
    await deps.database.query("", "delete from repositories where name = 'lab/c-lost'");

    clock.now = inDays(1095 * 0.7);
    await renewDue(deps);

    expect(versionsOf(await read(good)).targets).toBe(2);
    expect(versionsOf(await read(lost)).targets).toBe(1);
  });
});
