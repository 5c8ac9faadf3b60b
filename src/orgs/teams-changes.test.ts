import { describe, expect, it } from "vitest";
import { useLab } from "./test-lab.ts";

const { rest, must, as, root } = useLab();

describe("who may change what", () => {
  const CHANGES = {
    org: ["PUT", "orgs/lab", {}],
    member: ["PUT", "orgs/lab/members/ann", { role: "member" }],
    team: ["PUT", "orgs/lab/teams/reader", {}],
    teamMember: ["PUT", "orgs/lab/teams/reader/members/reader", {}],
    grant: ["PUT", "orgs/lab/teams/reader/grants/shut", { level: "read-only" }],
    wholeGrant: ["PUT", "orgs/lab/teams/wholly/grants/*", { level: "read-write" }],
    visibility: ["PUT", "orgs/lab/repositories/shut", { visibility: "private" }],
  } as const;

  it.each([
    ["none", [404, 404, 404, 404, 404, 404, 404]],
    ["ann", [404, 404, 404, 404, 404, 404, 404]],
    ["auditor", [403, 403, 403, 403, 403, 403, 403]],
    ["member", [403, 403, 403, 403, 404, 403, 404]],
    ["writer", [403, 403, 403, 403, 403, 403, 403]],
    ["keeper", [403, 403, 403, 403, 200, 403, 200]],
    ["maker", [403, 403, 403, 403, 200, 200, 200]],
  ])(
    "%s gets %j for organization, member, team, team member, grant, whole grant, visibility",
    async (who, statuses) => {
      const answers = await Promise.all(
        Object.values(CHANGES).map(async ([method, path, body]) => (await rest(method, path, body, as(who))).status),
      );

      expect(answers).toEqual(statuses);
    },
  );

  it("an owner and a system administrator may change all of it", async () => {
    for (const who of ["owner", "root"]) {
      for (const [method, path, body] of Object.values(CHANGES))
        expect([200, 201]).toContain((await rest(method, path, body, as(who))).status);
      await must("DELETE", "orgs/lab/members/ann");
    }
  });

  it("a team's administrator changes its members, and nothing else", async () => {
    await must("PUT", "orgs/lab/teams/reader/members/reader", { admin: true });
    const own = await rest("PUT", "orgs/lab/teams/reader/members/member", {}, as("reader"));
    const removed = await rest("DELETE", "orgs/lab/teams/reader/members/member", undefined, as("reader"));
    const others = await rest("PUT", "orgs/lab/teams/writer/members/reader", {}, as("reader"));
    const grant = await rest("PUT", "orgs/lab/teams/reader/grants/shut", { level: "admin" }, as("reader"));
    await must("PUT", "orgs/lab/teams/reader/members/reader", {});

    expect([own.status, removed.status, others.status, grant.status]).toEqual([201, 204, 403, 403]);
  });

  it("only system administrators make and delete organizations, and only empty ones go", async () => {
    const made = await rest("PUT", "orgs/mine", {}, as("ann"));
    const byOwner = await rest("DELETE", "orgs/lab", undefined, as("owner"));
    const full = await rest("DELETE", "orgs/lab", undefined);
    await must("PUT", "orgs/empty", {});
    await must("PUT", "orgs/empty/members/ann", { role: "owner" });
    const gone = await rest("DELETE", "orgs/empty", undefined);

    expect([made.status, byOwner.status, full.status, gone.status]).toEqual([404, 403, 409, 204]);
    expect(full.body.code).toBe("not-empty");
    expect((await rest("GET", "orgs/empty", undefined)).status).toBe(404);
    expect((await rest("PUT", "orgs/ann", {})).body.code).toBe("name-taken");
  });

  it("keeps the last owner", async () => {
    const left = await rest("DELETE", "orgs/lab/members/owner", undefined, as("owner"));
    const demoted = await rest("PUT", "orgs/lab/members/owner", { role: "member" });
    const deleted = await rest("DELETE", "users/owner", undefined);

    expect([left, demoted, deleted].map(({ status, body }) => [status, body.code])).toEqual([
      [409, "last-owner"],
      [409, "last-owner"],
      [409, "last-owner"],
    ]);
  });

  it("does not count an owner who is suspended", async () => {
    await must("PUT", "orgs/lab/members/ann", { role: "owner" });
    await must("PUT", "users/ann", { suspended: true });

    const left = await rest("DELETE", "orgs/lab/members/owner", undefined, as("owner"));
    const deleted = await rest("DELETE", "users/owner", undefined);

    expect([left.body.code, deleted.body.code]).toEqual(["last-owner", "last-owner"]);
    await must("PUT", "users/ann", { suspended: false });
    await must("DELETE", "orgs/lab/members/ann");
  });

  it.each(["members", "teams", "robots"])("answers 404 for %s of what is no organization", async (noun) => {
    for (const org of ["nowhere", "ann"]) {
      for (const who of ["root", "auditor", "ann"]) {
        const { status, body } = await rest("GET", `orgs/${org}/${noun}`, undefined, as(who));
        expect([who, status, body.code]).toEqual([who, 404, "not-found"]);
      }
    }
  });

  it("keeps one of two owners who remove each other at once", async () => {
    await must("PUT", "orgs/lab/members/ann", { role: "owner" });

    const answers = await Promise.all([
      rest("DELETE", "orgs/lab/members/ann", undefined, as("owner")),
      rest("DELETE", "orgs/lab/members/owner", undefined, as("ann")),
    ]);

    const { body } = await rest("GET", "orgs/lab/members", undefined);
    expect(body.members.filter(({ role }: { role: string }) => role === "owner")).toHaveLength(1);
    expect(answers.map(({ status }) => status)).toContain(204);
    await must("PUT", "orgs/lab/members/owner", { role: "owner" });
    await rest("DELETE", "orgs/lab/members/ann", undefined);
  });

  it("puts only members of the organization into a team, and only its own repositories into a grant", async () => {
    const stranger = await rest("PUT", "orgs/lab/teams/reader/members/ann", {});
    const elsewhere = await rest("PUT", "orgs/lab/teams/reader/grants/..%2Fother%2Fshut", { level: "read-only" });
    const missing = await rest("PUT", "orgs/lab/teams/reader/grants/none", { level: "read-only" });

    expect([stranger.status, stranger.body.code]).toEqual([409, "not-a-member"]);
    expect([elsewhere.status, missing.status]).toEqual([400, 404]);
  });

  it.each([
    ["PUT", "orgs/lab", { owner: "ann" }],
    ["PUT", "orgs/lab/members/reader", {}],
    ["PUT", "orgs/lab/members/reader", { role: "admin" }],
    ["PUT", "orgs/lab/teams/reader", { members: [] }],
    ["PUT", "orgs/lab/teams/reader/grants/shut", { level: "write" }],
    ["PUT", "orgs/lab/teams/reader/grants/shut", { level: "read-only", extra: ["push"] }],
    ["PUT", "orgs/lab/teams/reader/grants/shut", { level: "read-only", deny: true }],
    ["PUT", "orgs/UPPER", {}],
    ["PUT", "orgs/lab/teams/a%00b", {}],
  ])("%s %s refuses %j", async (method, path, body) => {
    const { status, body: problem } = await rest(method, path, body);

    expect([status, problem.code]).toEqual([400, "invalid-request"]);
  });
});

describe("ETag and If-Match", () => {
  const path = "orgs/lab/teams/signer/grants/shut";

  it("lets a change through that knows what it changes, and refuses one that does not with 412", async () => {
    const { headers } = await rest("GET", path, undefined);
    const match = { ...root, "if-match": String(headers.etag) };
    const grant = { level: "read-only", extra: ["sign", "promote"] };

    const first = await rest("PUT", path, grant, match);
    const stale = await rest("PUT", path, grant, match);
    const gone = await rest("DELETE", path, undefined, match);
    const exists = await rest("PUT", path, grant, { ...root, "if-none-match": "*" });
    const missing = await rest("PUT", "orgs/lab/teams/signer/grants/open", grant, { ...root, "if-match": "*" });

    expect(first.status).toBe(200);
    expect([stale, gone, exists, missing].map(({ status, body }) => [status, body.code])).toEqual(
      Array.from({ length: 4 }, () => [412, "precondition-failed"]),
    );
    expect(first.headers.etag).toBe((await rest("GET", path, undefined)).headers.etag);
  });

  it("holds for users, organizations, members, teams and repositories", async () => {
    for (const [path, body] of [
      ["users/reader", { suspended: false }],
      ["orgs/lab", {}],
      ["orgs/lab/members/reader", { role: "member" }],
      ["orgs/lab/teams/reader", {}],
      ["orgs/lab/teams/reader/members/reader", {}],
      ["orgs/lab/repositories/shut", { visibility: "private" }],
    ] as const) {
      const { headers } = await rest("GET", path, undefined);
      expect([path, (await rest("PUT", path, body, { ...root, "if-match": '"1"' })).status]).toEqual([path, 412]);
      expect((await rest("PUT", path, body, { ...root, "if-match": String(headers.etag) })).status).toBe(200);
    }
  });
});
