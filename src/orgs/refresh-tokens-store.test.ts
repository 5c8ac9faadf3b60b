import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openTestDatabase, type TestDatabase, unconfirmed } from "../storage/test-database.ts";
import { RefreshTokensStore } from "./refresh-tokens-store.ts";
import { hashOfSecret } from "./secrets.ts";
import { UsersStore } from "./users-store.ts";

const binding = { service: "registry.test", clientId: "docker" };

let test: TestDatabase;
beforeAll(async () => {
  test = await openTestDatabase();
});
afterAll(() => test.close());

async function signIn(name: string): Promise<string> {
  const users = new UsersStore(test.database);
  if ((await users.find(name)) === undefined) await users.create({ name, passwordHash: "unused" });
  const user = await users.find(name);
  if (user === undefined) throw new Error(`no ${name}`);
  return new RefreshTokensStore(test.database).create(user, { ...binding, credential: undefined }, unconfirmed);
}

function unusedFor(token: string, time: string) {
  const text = "update refresh_tokens set used_at = now() - $2::interval where token_hash = $1";
  return test.database.query("", text, [hashOfSecret(token), time]);
}

describe("RefreshTokensStore.sweep", () => {
  it("removes what nobody used for 90 days or an ended password gave, and keeps what may be used again", async () => {
    const store = new RefreshTokensStore(test.database);
    const [fresh, idle, old] = [await signIn("ann"), await signIn("ann"), await signIn("ann")];
    await unusedFor(idle, "89 days 23 hours");
    await unusedFor(old, "90 days");
    const ended = await signIn("bob");
    await test.database.query("", "update users set token_epoch = token_epoch + 1 where name = 'bob'");
    const [renewed, suspended] = [await signIn("bob"), await signIn("carol")];
    await test.database.query("", "update users set suspended = true where name = 'carol'");

    await store.sweep();

    const rows = await test.database.query<{ hash: Buffer }>("", "select token_hash as hash from refresh_tokens");
    const kept = rows.map(({ hash }) => hash.toString("hex")).sort();
    expect(kept).toEqual([fresh, idle, renewed, suspended].map((token) => hashOfSecret(token).toString("hex")).sort());
    expect(await store.use(old, binding)).toBeUndefined();
    expect(await store.use(ended, binding)).toBeUndefined();
    expect((await store.use(idle, binding))?.name).toBe("ann");
  });
});
