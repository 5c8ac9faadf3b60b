import { describe, expect, it } from "vitest";
import { useLab } from "./test-lab.ts";
import { bearer } from "./test-server.ts";

const { rest, must, as, server } = useLab();

describe("users' roles", () => {
  it("suspension ends a user's password and tokens, and can be undone", async () => {
    const { body } = await server().send("GET", "/token?scope=repository:lab/shut:pull", { headers: as("reader") });
    const seen = async () => [
      (await server().send("GET", "/v2/lab/shut/tags/list", { headers: as("reader") })).status,
      (await server().send("GET", "/v2/lab/shut/tags/list", { headers: bearer(body.token) })).status,
    ];
    const before = await seen();
    await must("PUT", "users/reader", { suspended: true });
    const suspended = await seen();
    await must("PUT", "users/reader", { suspended: false });

    expect([before, suspended, await seen()]).toEqual([
      [200, 200],
      [401, 401],
      [200, 200],
    ]);
  });

  it("keep a user from changing their own, and the last system administrator", async () => {
    const own = await rest("PUT", "users/ann", { roles: ["admin"] }, as("ann"));
    const last = await rest("PUT", "users/root", { roles: [] });
    const suspended = await rest("PUT", "users/root", { suspended: true });
    const deleted = await rest("DELETE", "users/root", undefined);

    expect(own.body.code).toBe("forbidden");
    expect([last, suspended, deleted].map(({ status, body }) => [status, body.code])).toEqual(
      Array.from({ length: 3 }, () => [409, "last-admin"]),
    );
  });

  it("let an auditor read every list and change nothing", async () => {
    const reads = ["users", "users/ann", "orgs", "orgs/lab", "orgs/lab/members", "orgs/lab/teams/reader/grants"];
    const statuses = await Promise.all(
      reads.map(async (path) => (await rest("GET", path, undefined, as("auditor"))).status),
    );

    expect(statuses).toEqual(reads.map(() => 200));
    expect((await rest("PUT", "users/ann", { suspended: true }, as("auditor"))).status).toBe(403);
  });

  it("delete a user who has no repositories", async () => {
    await server().addUser("leaver", "leaver's password");
    await must("PUT", "orgs/leaver/repositories/app", { visibility: "private" });
    const full = await rest("DELETE", "users/leaver", undefined);
    await server().database.query("", "delete from repositories where namespace = 'leaver'");
    const gone = await rest("DELETE", "users/leaver", undefined);

    expect([full.body.code, gone.status]).toEqual(["not-empty", 204]);
    expect((await server().send("GET", "/v2/", { headers: as("leaver") })).status).toBe(401);
  });
});
