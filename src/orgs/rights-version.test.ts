import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { digestOf } from "../oci/digest.ts";
import { parseRepositoryName } from "../oci/repository-name.ts";
import { BlobRows } from "../storage/blob-rows.ts";
import { ManifestStore } from "../storage/manifest-store.ts";
import { openTestDatabase, type TestDatabase } from "../storage/test-database.ts";
import { type AccessKey, LastingKey, openAccessLookup } from "./access-lookup.ts";
import { PersonalTokensStore } from "./personal-tokens-store.ts";
import { UsersStore } from "./users-store.ts";

let opened: TestDatabase;

beforeAll(async () => {
  opened = await openTestDatabase();
  await new UsersStore(opened.database).create({ name: "ann", passwordHash: "x" });
});

afterAll(() => opened.close());

const query = <R extends Record<string, unknown>>(text: string, values: unknown[] = []) =>
  opened.database.query<R>("", text, values);

const version = async () => (await query<{ version: string }>("select version from rights_version"))[0]?.version;

describe("the version of the rights", () => {
  it("is raised by every table that permissions are read from", async () => {
    const source = await readFile(join(import.meta.dirname, "access-lookup.ts"), "utf8");
    const [, access = ""] = /const ACCESS = `([^`]+)`/.exec(source.replaceAll(/\$\{\w+\}/g, "")) ?? [];
    const read = new Set([...access.matchAll(/\b(?:from|join) ([a-z_]+) [a-z]+\b/g)].map(([, table]) => table));
    const watched = await query<{ name: string }>(
      `select c.relname as name from pg_trigger t join pg_class c on c.oid = t.tgrelid where t.tgname = 'rights_changed'`,
    );

    expect(read.size).toBe(12);
    expect(watched.map(({ name }) => name).sort()).toEqual([...read].sort());
  });

  it("rises with a change, once for a transaction, and not with a use", async () => {
    const tokens = new PersonalTokensStore(opened.database);
    const [user] = await query<{ id: string }>("select id from users where name = 'ann'");
    const token = { userId: Number(user?.id), name: "laptop", expiresAt: undefined };
    const seen = [await version()];

    await tokens.create(token, async () => undefined);
    seen.push(await version());
    await query("update personal_tokens set last_used_at = now()");
    seen.push(await version());
    await query("insert into namespaces (name, kind) select 'org' || n, 'org' from generate_series(1, 100) n");
    seen.push(await version());

    const first = Number(seen[0]);
    expect(seen.map(Number)).toEqual([first, first + 1, first + 1, first + 2]);
  });

  it("stays where a change was undone", async () => {
    const before = await version();

    const undone = opened.database.transaction(async (sql) => {
      await sql.query("", "update users set suspended = true");
      throw new Error("no");
    });

    await expect(undone).rejects.toThrow("no");
    expect(await version()).toBe(before);
  });
});

describe("openAccessLookup", () => {
  const kinds = [
    ["a key", (key: AccessKey) => key] as const,
    ["a lasting key", (key: AccessKey) => new LastingKey(key)] as const,
  ];

  it.each(kinds)(
    "has for %s what another process changed, in the first call after that is committed",
    async (_, keyOf) => {
      const find = openAccessLookup(opened.database);
      const key = keyOf({ user: "ann", repository: "ann/app" });
      for (let round = 0; round < 20; round++) {
        const suspended = round % 2 === 0;
        await Promise.all(Array.from({ length: 5 }, () => find(key)));
        await query("update users set suspended = $1 where name = 'ann'", [suspended]);

        const facts = await Promise.all(Array.from({ length: 5 }, () => find(key)));

        expect(new Set(facts.map(({ user }) => user?.suspended))).toEqual(new Set([suspended]));
      }
    },
  );

  it.each(["manifest", "blob"].flatMap((what) => kinds.map(([kind, keyOf]) => [what, kind, keyOf] as const)))(
    "reads the version along with the row of a %s for %s, and whatever changed before",
    async (what, _, keyOf) => {
      const find = openAccessLookup(opened.database);
      const key = keyOf({ user: "ann", repository: "ann/app" });
      const repository = parseRepositoryName(key.repository);
      const digest = digestOf(Buffer.from("one that is not there"));
      const seeBytes = async () => true;
      const manifests = new ManifestStore(opened.database, { seeBytes });
      const blobs = new BlobRows(opened.database, seeBytes);
      const look = () =>
        what === "manifest" ? manifests.look(repository, { kind: "digest", digest }) : blobs.look(repository, digest);
      await find(key, look());
      const asked = vi.spyOn(opened.database, "lookUp");

      for (const suspended of [true, false]) {
        await query("update users set suspended = $1 where name = 'ann'", [suspended]);
        expect((await find(key, look())).user?.suspended).toBe(suspended);
        expect((await find(key, look())).user?.suspended).toBe(suspended);
      }

      expect(asked.mock.calls.map(([{ name }]) => name)).toEqual(Array.from({ length: 4 }, () => `${what}-rows`));
      asked.mockRestore();
    },
  );

  it.each(kinds)("does not let %s outlive a credential that ends by itself", async (kind, keyOf) => {
    const find = openAccessLookup(opened.database);
    const looked = async () => ({ rights: (await version()) ?? "" });
    const begin = async (seconds: number) => {
      const [token] = await query<{ id: string }>(
        `insert into personal_tokens (user_id, name, token_hash, expires_at)
         select id, $1::text, convert_to($1::text, 'UTF8'), now() + make_interval(secs => $2) from users where name = 'ann'
         returning id`,
        [`${kind.replaceAll(" ", "-")}-${seconds}`, seconds],
      );
      const key = keyOf({ user: "ann", credential: Number(token?.id), repository: "" });
      return { id: token?.id, key, first: await find(key, looked()) };
    };

    let token = await begin(1);
    // A busy machine may look when it is over already: then one that lasts longer.
    for (let seconds = 4; !token.first.credentialGood && seconds < 100; seconds *= 4) token = await begin(seconds);
    const { id, key, first } = token;
    const isOver = async () =>
      (await query("select 1 from personal_tokens where id = $1 and expires_at <= now()", [id])).length === 1;
    await expect.poll(isOver).toBe(true);

    expect([first.credentialGood, (await find(key, looked())).credentialGood]).toEqual([true, false]);
  });
});
