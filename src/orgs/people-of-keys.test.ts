import { createHash, randomBytes } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Key, spkiOf } from "../notary/tuf/key.ts";
import { certificateFor } from "../notary/tuf/testing/repository.ts";
import { ecdsaKey, inCertificate } from "../notary/tuf/testing/test-key.ts";
import { findPeopleOfKeys } from "./people-of-keys.ts";
import { basic, openTestServer, type TestServer } from "./test-server.ts";
import { UserKeysStore } from "./user-keys-store.ts";

let server: TestServer;
let keys: UserKeysStore;

const now = new Date("2026-11-22T12:00:00Z");
const later = new Date("2026-11-22T13:00:00Z");
const confirm = async () => undefined;
const root = basic("root", "root's password");
const idOf = (key: Key): string => String(spkiOf(key));

beforeAll(async () => {
  server = await openTestServer();
  keys = new UserKeysStore(server.database);
  await server.addUser("root", "root's password", { systemAdmin: true });
  for (const name of ["ann", "bob", "eve"]) await server.addUser(name, `${name}'s password`);
  for (const org of ["lab", "other"]) {
    await must("PUT", `orgs/${org}`);
    for (const team of ["qa", "dev", "ops"]) await must("PUT", `orgs/${org}/teams/${team}`);
  }
  for (const name of ["ann", "bob"]) await must("PUT", `orgs/lab/members/${name}`, { role: "member" });
  for (const team of ["qa", "dev"]) await must("PUT", `orgs/lab/teams/${team}/members/ann`);
  await must("PUT", "orgs/other/members/ann", { role: "owner" });
  await must("PUT", "orgs/other/teams/ops/members/ann");
});
afterAll(() => server.close());

function rest(method: string, path: string, body: unknown = undefined, headers = root) {
  const sent = body === undefined ? {} : { body: JSON.stringify(body) };
  return server.send(method, `/api/v1/${path}`, { headers: { ...headers }, ...sent });
}

async function must(method: string, path: string, body: unknown = {}): Promise<void> {
  const { status, text } = await rest(method, path, method === "DELETE" ? undefined : body);
  if (status >= 300) throw new Error(`${method} ${path} answered ${status}: ${text}`);
}

async function keyOf(user: string, { key = ecdsaKey().key, isProved = true } = {}): Promise<Key> {
  const [row] = await server.database.query<{ id: string }>("", "select id from users where name = $1", [user]);
  const where = { userId: Number(row?.id), spkiSha256: idOf(key) };
  await keys.add({ userId: where.userId, name: randomBytes(4).toString("hex"), key }, now, confirm);
  await keys.challenge(where, now, confirm);
  if (isProved) await keys.prove(where, () => true, { now, confirm });
  return key;
}

const find = (org: string, ...all: readonly Key[]) => findPeopleOfKeys(server.database, { spkis: all.map(idOf), org });

describe("findPeopleOfKeys", () => {
  it("leads from proved keys to people and their teams in the one organization", async () => {
    const [first, second, stranger] = [await keyOf("ann"), await keyOf("ann"), await keyOf("eve")];

    const people = await find("lab", first, second, stranger);

    const ann = { user: "ann", provedAt: now, removedAt: undefined, suspended: false, role: "member" };
    expect(people.get(idOf(first))).toMatchObject({ ...ann, spkiSha256: idOf(first), teams: ["dev", "qa"] });
    expect(people.get(idOf(second))).toMatchObject({ ...ann, userId: people.get(idOf(first))?.userId });
    expect(people.get(idOf(stranger))).toMatchObject({ user: "eve", role: undefined, teams: [] });
    expect((await find("other", first)).get(idOf(first))).toMatchObject({ role: "owner", teams: ["ops"] });
    expect((await find("ann", first)).get(idOf(first))).toMatchObject({ role: undefined, teams: [] });
  });

  it("knows nobody of a key that is unproven, of a deleted user, or nobody's", async () => {
    const claimed = await keyOf("bob", { isProved: false });
    await server.addUser("gone", "gone's password");
    const orphaned = await keyOf("gone");
    await must("DELETE", "users/gone");

    expect(await find("lab", claimed, orphaned, ecdsaKey().key)).toEqual(new Map());
    expect(await find("lab")).toEqual(new Map());
  });

  it("sees at once that a key was removed, added anew, that its owner left a team or is suspended", async () => {
    const key = await keyOf("bob");
    const seen = async () => (await find("lab", key)).get(idOf(key));
    const userId = Number((await seen())?.userId);
    const where = { userId, spkiSha256: idOf(key) };
    await must("PUT", "orgs/lab/teams/ops/members/bob");
    const before = await seen();

    await must("DELETE", "orgs/lab/teams/ops/members/bob");
    await must("PUT", "users/bob", { suspended: true });
    const left = await seen();
    await must("PUT", "users/bob", { suspended: false });
    await keys.remove(where, later, { confirm, check: () => undefined });
    const removed = await seen();
    await keys.add({ userId, name: "again", key }, later, confirm);
    const claimed = await seen();
    await keys.challenge(where, later, confirm);
    await keys.prove(where, () => true, { now: later, confirm });

    expect(before).toMatchObject({ teams: ["ops"], suspended: false, removedAt: undefined });
    expect(left).toMatchObject({ teams: [], suspended: true });
    expect(removed).toMatchObject({ user: "bob", provedAt: now, removedAt: later });
    expect(claimed).toBeUndefined();
    expect(await seen()).toMatchObject({ provedAt: later, removedAt: undefined });
  });
});

describe("GET /api/v1/orgs/{org}/keys/{key}", () => {
  it("leads from a delegation's key id, bare or in a certificate, to the person", async () => {
    const pair = ecdsaKey();
    const key = await keyOf("ann", { key: pair.key });
    const { key: certificate } = inCertificate(pair, certificateFor("ann"));
    await keyOf("ann", { key: certificate });
    const person = { user: "ann", teams: ["dev", "qa"], spkiSha256: idOf(key), provedAt: now.toISOString() };

    for (const id of [key.id, certificate.id, idOf(key)]) {
      const { status, body } = await rest("GET", `orgs/lab/keys/${id}`, undefined, basic("bob", "bob's password"));
      expect([status, body]).toEqual([200, person]);
    }
  });

  it("says nothing of keys that do not count, of people who are no members, and to strangers", async () => {
    const [proved, claimed, stranger] = [
      await keyOf("ann"),
      await keyOf("ann", { isProved: false }),
      await keyOf("eve"),
    ];
    const gone = await keyOf("ann");
    await must("DELETE", `users/ann/keys/${idOf(gone)}`);
    const none = createHash("sha256").digest("hex");
    const ids = [...[claimed, stranger, gone].map(({ id }) => id), none, "laptop"];

    for (const id of ids) expect((await rest("GET", `orgs/lab/keys/${id}`)).body.code).toBe("not-found");
    const asEve = await rest("GET", `orgs/lab/keys/${proved.id}`, undefined, basic("eve", "eve's password"));
    expect([asEve.status, asEve.body.code]).toEqual([404, "not-found"]);
  });
});
