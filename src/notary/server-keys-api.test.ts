import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type KeyRing, newKeyLine, parseKeyRing } from "../keys/key-ring.ts";
import { openTestDatabase } from "../storage/test-database.ts";
import { openTestApp, type TestApp } from "../testing/open-test-app.ts";
import { ServerKeysStore } from "./server-keys-store.ts";
import { AUTHORITY, openSigner } from "./testing/signer.ts";
import { parseGun } from "./tuf/names.ts";

let app: TestApp;
beforeAll(async () => {
  app = await openTestApp();
  for (const name of ["one", "two"]) await openSigner(app, `alice/${name}`);
});
afterAll(async () => {
  expect(app.errors()).toEqual([]);
  await app[Symbol.asyncDispose]();
});

const rest = async (method: string, path: string, as = "admin") => {
  const { status, body } = await app.ask(method, `/api/v1/${path}`, { as });
  return { status, body: JSON.parse(body.toString()) };
};

describe("the REST API of the server's keys", () => {
  it("lists them to system administrators, page by page, without private halves", async () => {
    const { status, body } = await rest("GET", "trust-keys?limit=3");
    const rest2 = await rest("GET", body.next.slice("/api/v1/".length));

    expect(status).toBe(200);
    const all = [...body.trustKeys, ...rest2.body.trustKeys];
    expect(all.map(({ gun, role }) => `${gun} ${role}`)).toEqual(
      ["one", "two"].flatMap((name) => ["snapshot", "timestamp"].map((role) => `${AUTHORITY}/alice/${name} ${role}`)),
    );
    expect(Object.keys(all[0])).toEqual(["gun", "role", "algorithm", "keyId", "createdAt", "firstUsedAt"]);
    expect((await rest("GET", "trust-keys", "alice")).status).toBe(403);
  });

  it("makes the next keys of one repository, the same when asked again, and then of all others", async () => {
    const first = await rest("POST", "orgs/alice/repositories/one/trust-keys/rotate", "alice");
    const again = await rest("POST", "orgs/alice/repositories/one/trust-keys/rotate", "alice");
    const stranger = await rest("POST", "orgs/alice/repositories/one/trust-keys/rotate", "bob");
    const others = [await rest("POST", "trust-keys/rotate"), await rest("POST", "trust-keys/rotate")];

    expect([first.status, first.body]).toEqual([200, again.body]);
    expect(stranger.status).toBe(404);
    expect(others.map(({ body }) => body)).toEqual([{ made: 2 }, { made: 0 }]);
  });

  it("makes none for a repository that is not there, whoever could make it", async () => {
    const { status, body } = await rest("POST", "orgs/alice/repositories/none/trust-keys/rotate", "alice");
    const { body: keys } = await rest(
      "GET",
      `trust-keys?after=${encodeURIComponent(`${AUTHORITY}/alice/none`)}&limit=1`,
    );

    expect([status, body.code]).toEqual([404, "not-found"]);
    expect(keys.trustKeys.map(({ gun }: { gun: string }) => gun)).not.toContain(`${AUTHORITY}/alice/none`);
  });

  it("finds nothing to reseal where one key has sealed everything", async () => {
    expect((await rest("POST", "keyring/reseal")).body).toEqual({ resealed: 0 });
  });
});

describe("reseal", () => {
  it("lets the old key go: what it sealed opens with the new one alone", async () => {
    const { database, close } = await openTestDatabase();
    const [old, fresh] = [newKeyLine("old"), newKeyLine("new")];
    const gun = parseGun("registry.test/alice/app");
    const now = new Date();
    const { id } = await new ServerKeysStore(database, parseKeyRing(old), "ed25519").pending(
      database,
      gun,
      "timestamp",
      now,
    );

    const resealed = await new ServerKeysStore(database, parseKeyRing(fresh + old), "ed25519").reseal();

    const alone: KeyRing = parseKeyRing(fresh);
    const { sign } = await new ServerKeysStore(database, alone, "ed25519").hold(database, gun);
    expect([resealed, sign("timestamp", id, Buffer.from("x")).sig.length]).toEqual([1, 64]);
    await close();
  });
});
