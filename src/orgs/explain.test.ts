import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { parseRepositoryName } from "../oci/repository-name.ts";
import { unconfirmed } from "../storage/test-database.ts";
import { type Answer, basic, bearer, openTestServer, type TestServer } from "./test-server.ts";

const root = basic("root", "root's password");
const alice = basic("alice", "alice's password");
const bob = basic("bob", "bob's password");

const MAY_CREATE = { repositoryId: undefined, mayCreate: true };

let server: TestServer;

beforeAll(async () => {
  server = await openTestServer();
  await server.addUser("root", "root's password", { systemAdmin: true });
  for (const name of ["alice", "bob", "carol", "sue"]) await server.addUser(name, `${name}'s password`);
  for (const name of ["alice/open", "alice/shut"])
    await server.repositories.ensure(parseRepositoryName(name), MAY_CREATE, unconfirmed);
  await server.repositories.setVisibility(parseRepositoryName("alice/open"), "public");
  await server.database.query("", "update users set suspended = true where name = 'sue'");
  await seedTeam();
});

beforeEach(() => server.database.query("", "delete from sign_in_failures"));

afterAll(() => server.close());

/** Bob is in team acme/dev, which may push to acme/app and sign there. */
async function seedTeam() {
  const sql = (text: string) => server.database.query<{ id: string }>("", text);
  await sql("insert into namespaces (name, kind) values ('acme', 'org')");
  await server.repositories.ensure(parseRepositoryName("acme/app"), MAY_CREATE, unconfirmed);
  await sql("insert into org_members (org, user_id, role) select 'acme', id, 'member' from users where name = 'bob'");
  await sql("insert into org_members (org, user_id, role) select 'acme', id, 'owner' from users where name = 'carol'");
  await sql("insert into teams (org, name) values ('acme', 'dev')");
  await sql(
    "insert into team_members (team_id, org, user_id) select t.id, 'acme', u.id from teams t, users u where u.name = 'bob'",
  );
  await sql(
    `insert into grants (team_id, org, repository_id, level, extra)
     select t.id, 'acme', r.id, 'read-write', '{sign}' from teams t, repositories r where r.name = 'acme/app'`,
  );
}

const explain = (user: string, action: string, repository: string, headers = root) =>
  server.send("GET", `/api/v1/explain?${new URLSearchParams({ user, action, repository })}`, { headers });

const decisionOf = ({ text }: Answer): string => /\(decision ([a-z2-9]{16})\)/.exec(text)?.[1] ?? "none";

describe("GET /api/v1/explain?user=&action=&repository=", () => {
  it.each([
    ["root", "push", "alice/shut", true, "root may push alice/shut: is a system administrator"],
    ["alice", "push", "alice/new", true, "alice may push alice/new: it is the user's own namespace"],
    ["bob", "pull", "alice/open", true, "bob may pull alice/open: the repository is public"],
    ["carol", "admin", "acme/app", true, "carol may admin acme/app: is an owner of acme"],
    [
      ...(["bob", "sign", "acme/app", true] as const),
      "bob may sign acme/app: is in team acme/dev, which has read-write and sign on acme/app",
    ],
    [
      ...(["bob", "delete", "acme/app", false] as const),
      "bob may not delete acme/app: all there is: is in team acme/dev, which has read-write and sign on acme/app; " +
        "a team with the extra right delete, or admin would let bob",
    ],
    [
      ...(["bob", "push", "alice/open", false] as const),
      "bob may not push alice/open: all there is: the repository is public; a team with read-write would let bob",
    ],
    [
      ...(["bob", "pull", "alice/shut", false] as const),
      "bob may not pull alice/shut: no rule gives any right here, so it looks as if there were no such repository; " +
        "a team with read-only would let bob",
    ],
  ])("says why %s may (not) %s %s", async (user, action, repository, allowed, says) => {
    const { status, body } = await explain(user, action, repository);

    expect(status).toBe(200);
    expect(body).toMatchObject({ user, action, repository, allowed, says });
  });

  it("names the rule for programs too", async () => {
    const { body } = await explain("bob", "push", "acme/app");

    expect(body).toMatchObject({
      level: "read-write",
      exists: true,
      via: [{ kind: "grant", org: "acme", team: "dev", scope: "acme/app", level: "read-write", extra: ["sign"] }],
    });
  });

  it("agrees with what happens then", async () => {
    for (const [user, headers, repository] of [
      ["bob", bob, "acme/app"],
      ["bob", bob, "alice/open"],
      ["alice", alice, "acme/app"],
    ] as const) {
      const { body } = await explain(user, "push", repository);
      const { status } = await server.send("PUT", `/v2/${repository}/tags/list`, { headers });
      expect(status === 200).toBe(body.allowed);
    }
  });

  it("knows robots", async () => {
    const body = JSON.stringify({ grants: [{ scope: "app", actions: ["pull"] }] });
    const made = await server.send("PUT", "/api/v1/orgs/acme/robots/ci", { headers: root, body });
    expect([made.status, made.text]).toEqual([201, expect.anything()]);

    expect((await explain("acme+ci", "pull", "acme/app")).body).toMatchObject({
      allowed: true,
      says: "acme+ci may pull acme/app: is a robot of acme that may pull in acme/app",
    });
    expect((await explain("acme+ci", "push", "acme/app")).body.allowed).toBe(false);
  });

  it("says that a suspended user may do nothing", async () => {
    expect((await explain("sue", "pull", "alice/open")).body).toMatchObject({ allowed: false, why: "suspended" });
  });

  it("tells users about themselves, hidden as missing; about others only what is theirs", async () => {
    const self = (repository: string) => explain("bob", "pull", repository, bob);
    const [hidden, missing] = [await self("alice/shut"), await self("alice/none")];

    expect(hidden.status).toBe(200);
    expect(hidden.text.replaceAll("alice/shut", "x")).toBe(missing.text.replaceAll("alice/none", "x"));
    expect((await explain("alice", "pull", "acme/app", bob)).status).toBe(404);
    expect((await explain("nobody", "pull", "acme/app", bob)).status).toBe(404);
    expect((await explain("bob", "pull", "alice/shut", alice)).status).toBe(404);
    expect((await explain("alice", "push", "alice/shut", alice)).body).toMatchObject({ allowed: true, exists: true });
    expect((await explain("bob", "pull", "acme/none", basic("carol", "carol's password"))).body.exists).toBe(false);
    expect((await explain("nobody", "pull", "alice/shut")).status).toBe(404);
  });

  it.each(["action=pull", "repository=alice/app", "action=fly&repository=alice/app", "action=pull&repository=A%2FB"])(
    "answers 400 to %s",
    async (query) => {
      const { status, body } = await server.send("GET", `/api/v1/explain?${query}`, { headers: alice });

      expect([status, body.code]).toEqual([400, "invalid-request"]);
    },
  );
});

describe("GET /api/v1/explain/{id}", () => {
  const ask = (id: string, headers: Record<string, string>) => server.send("GET", `/api/v1/explain/${id}`, { headers });

  it("tells whom it was refused to, the owner and a system administrator, and nobody else", async () => {
    const id = decisionOf(await server.send("PUT", "/v2/alice/open/tags/list", { headers: bob }));

    const { body } = await ask(id, bob);

    expect(body).toMatchObject({
      ...{ decision: id, actor: "bob", action: "push", target: "alice/open", outcome: "refused" },
      says: expect.stringMatching(/^bob has no right to push to alice\/open/),
      detail: {
        why: "denied",
        verdict: { level: "read-only", via: [{ kind: "public", says: "the repository is public" }] },
      },
    });
    for (const headers of [alice, root]) expect((await ask(id, headers)).body).toEqual(body);
    expect((await ask(id, basic("carol", "carol's password"))).status).toBe(404);
    expect((await ask("a".repeat(16), root)).status).toBe(404);
  });

  it("keeps what is hidden hidden: pulls of hidden and of missing repositories differ in nothing but name and id", async () => {
    const [hidden, missing] = [
      await server.send("GET", "/v2/alice/shut/tags/list", { headers: bob }),
      await server.send("GET", "/v2/alice/none/tags/list", { headers: bob }),
    ];
    const told = async (answer: Answer, name: string) => {
      const { body } = await ask(decisionOf(answer), bob);
      const { requestId: _, decision, ...rest } = body;
      return JSON.stringify(rest).replaceAll(name, "x").replaceAll(decision, "<id>");
    };

    expect([hidden.status, missing.status]).toEqual([404, 404]);
    expect(hidden.body.errors[0].message).toMatch(/ \(decision [a-z2-9]{16}\)$/);
    expect(await told(hidden, "alice/shut")).toBe(await told(missing, "alice/none"));
  });

  it("tells a token that lacks the scope from a user who lacks the right", async () => {
    const { body: issued } = await server.send("GET", "/token?scope=repository:acme/app:pull", { headers: bob });
    const refused = await server.send("PUT", "/v2/acme/app/tags/list", { headers: bearer(issued.token) });

    const { body } = await ask(decisionOf(refused), bob);

    expect(refused.status).toBe(401);
    // What docker prints.
    const described = `error_description="${refused.body.errors[0].message}"`;
    expect(refused.headers["www-authenticate"]).toContain(described);
    expect(body.detail).toMatchObject({ why: "out-of-scope", verdict: { allowed: true } });
  });

  it("tells the owner of an account who tried to sign in", async () => {
    const refused = await server.send("GET", "/v2/", { headers: basic("alice", "guess"), from: "127.0.0.7" });

    const { body } = await ask(decisionOf(refused), alice);

    expect(body).toMatchObject({ action: "sign-in", actor: "alice", outcome: "refused", source: "127.0.0.7" });
    expect((await ask(decisionOf(refused), bob)).status).toBe(404);
  });

  it("resolves on every worker what another one refused", async () => {
    const other = await server.openWorker();
    const id = decisionOf(await other.send("PUT", "/v2/alice/shut/tags/list", { headers: bob }));
    await other.close();

    expect((await ask(id, bob)).status).toBe(200);
  });
});
