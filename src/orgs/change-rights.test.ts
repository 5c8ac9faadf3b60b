import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { Failpoint } from "../storage/failpoint.ts";
import { openTestDatabase, type TestDatabase, unconfirmed } from "../storage/test-database.ts";
import { GrantsStore } from "./grants-store.ts";
import { OrgsStore } from "./orgs-store.ts";
import { RobotsStore } from "./robots-store.ts";
import { TeamsStore } from "./teams-store.ts";
import { UsersStore } from "./users-store.ts";

const change = { check: () => undefined, confirm: unconfirmed };
const BOB = { passwordHash: "x", systemAdmin: undefined, auditor: undefined, suspended: undefined };
const anyGrant = { org: "shop", team: "dev", scope: "*" };

let test: TestDatabase;
/** What others see at each place that a change comes by: the version of the rights, and how many rows there are. */
let seen: [place: string, version: number, rows: number][];
let breaks: string | undefined;

const look = async (): Promise<[number, number]> => {
  const tables = ["namespaces", "users", "org_members", "teams", "team_members", "grants", "robots"];
  const rows = tables.map((table) => `(select count(*)::int from ${table})`).join(" + ");
  const [row] = await test.database.query<{ version: string; rows: number }>(
    "",
    `select version, ${rows} as rows from rights_version`,
  );
  return [Number(row?.version), row?.rows ?? 0];
};
const failpoint: Failpoint = async (place) => {
  seen.push([place, ...(await look())]);
  if (place === breaks) throw new Error("ended here");
};

beforeAll(async () => {
  test = await openTestDatabase();
  await new UsersStore(test.database).create({ name: "ann", passwordHash: "x" });
  await new OrgsStore(test.database).put("shop", { defaultVisibility: "private" }, change);
  await new TeamsStore(test.database).put({ org: "shop", name: "dev" }, change);
});
afterAll(() => test.close());
beforeEach(() => {
  seen = [];
  breaks = undefined;
});

const stores = () => ({
  grants: new GrantsStore(test.database, failpoint),
  orgs: new OrgsStore(test.database, failpoint),
  robots: new RobotsStore(test.database, failpoint),
  teams: new TeamsStore(test.database, failpoint),
  users: new UsersStore(test.database, failpoint),
});
type Stores = ReturnType<typeof stores>;

describe("a change of rights", () => {
  it.each<[string, number, (stores: Stores) => Promise<unknown>]>([
    ["a user", 2, ({ users }) => users.put("bob", BOB, change)],
    ["an organization", 1, ({ orgs }) => orgs.put("lab", { defaultVisibility: "private" }, change)],
    ["a member", 1, ({ orgs }) => orgs.putMember({ org: "shop", name: "ann" }, "member", change)],
    ["a team", 1, ({ teams }) => teams.put({ org: "shop", name: "qa" }, change)],
    ["a team's member", 1, ({ teams }) => teams.putMember({ org: "shop", team: "dev", user: "ann" }, false, change)],
    ["a grant", 1, ({ grants }) => grants.put(anyGrant, { level: "read-only", extra: [] }, change)],
    [
      "a robot",
      1,
      ({ robots }) => robots.put({ org: "shop", name: "ci" }, { grants: [], expiresAt: undefined }, change),
    ],
    ["a grant taken back", -1, ({ grants }) => grants.delete(anyGrant, change)],
    ["a user who leaves", -2, ({ users }) => users.delete("bob", change)],
  ])(
    "of %s is seen by nobody before its commit, and with the next version by all before it is answered",
    async (_what, made, act) => {
      const [version, rows] = await look();

      await act(stores());

      expect(seen).toEqual([
        ["acl.beforeCommit", version, rows],
        ["acl.afterEpoch", version + 1, rows + made],
      ]);
    },
  );

  it("that ends before its commit changed nothing, and one that ends after it all", async () => {
    const put = () => stores().grants.put(anyGrant, { level: "admin", extra: [] }, change);
    const [version, rows] = await look();
    breaks = "acl.beforeCommit";
    await expect(put()).rejects.toThrow("ended here");
    const before = await look();
    breaks = "acl.afterEpoch";
    await expect(put()).rejects.toThrow("ended here");

    expect([before, await look()]).toEqual([
      [version, rows],
      [version + 1, rows + 1],
    ]);
  });
});
