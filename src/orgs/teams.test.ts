import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";
import { parseRepositoryName } from "../oci/repository-name.ts";
import { unconfirmed } from "../storage/test-database.ts";
import { type AnswerBody, type Ask, basic, bearer, openTestServer, type TestServer } from "./test-server.ts";

let server: TestServer;

const PEOPLE = ["none", "member", "reader", "writer", "signer", "deleter", "keeper", "wholly", "maker", "owner", "ann"];
const as = (name: string) => basic(name, `${name}'s password`);
const root = as("root");

beforeAll(async () => {
  server = await openTestServer();
  await server.addUser("root", "root's password", { systemAdmin: true });
  for (const name of [...PEOPLE, "auditor"]) await server.addUser(name, `${name}'s password`);
  await must("PUT", "users/auditor", { roles: ["auditor"] });
  for (const org of ["lab", "other"]) await must("PUT", `orgs/${org}`, {});
  for (const name of PEOPLE.slice(1, -1)) await must("PUT", `orgs/lab/members/${name}`, { role: "member" });
  await must("PUT", "orgs/lab/members/owner", { role: "owner" });
  for (const [org, repo, visibility] of [
    ["lab", "open", "public"],
    ["lab", "shut", "private"],
    ["lab", "second", "private"],
    ["other", "shut", "private"],
  ])
    await must("PUT", `orgs/${org}/repositories/${repo}`, { visibility });
  await team("reader", "shut", { level: "read-only" });
  await team("writer", "shut", { level: "read-write" });
  await team("signer", "shut", { level: "read-only", extra: ["sign", "promote"] });
  await team("deleter", "shut", { level: "read-only", extra: ["delete"] });
  await team("keeper", "shut", { level: "admin" });
  await team("wholly", "*", { level: "read-write" });
  await team("maker", "*", { level: "admin" });
});

afterAll(() => server.close());

function rest(method: string, path: string, body: unknown, headers: Ask["headers"] = root) {
  const sent = body === undefined ? {} : { body: JSON.stringify(body) };
  return server.send(method, `/api/v1/${path}`, { headers: { ...headers }, ...sent });
}

async function must(method: string, path: string, body?: unknown): Promise<void> {
  const { status, text } = await rest(method, path, body);
  if (status >= 300) throw new Error(`${method} ${path} answered ${status}: ${text}`);
}

/** A team of one, called as its member. */
async function team(name: string, scope: string, grant: unknown): Promise<void> {
  await must("PUT", `orgs/lab/teams/${name}`, {});
  await must("PUT", `orgs/lab/teams/${name}/members/${name}`, {});
  await must("PUT", `orgs/lab/teams/${name}/grants/${scope}`, grant);
}

const OPERATIONS = {
  list: ["GET", "tags/list"],
  pull: ["GET", "manifests/x"],
  push: ["PUT", "tags/list"],
  untag: ["DELETE", "tags/list"],
  delete: ["DELETE", "blobs/x"],
  sign: ["POST", "sign"],
  promote: ["POST", "promote"],
  admin: ["POST", "admin"],
} as const;

async function allowed(who: string, repository: string): Promise<string> {
  const entries = Object.entries(OPERATIONS).map(async ([name, [method, rest]]) => {
    const { status } = await server.send(method, `/v2/${repository}/${rest}`, { headers: as(who) });
    return status === 200 ? [name] : [];
  });
  return (await Promise.all(entries)).flat().join(" ");
}

const ALL = "list pull push untag delete sign promote admin";
const WRITE = "list pull push untag";

describe("rights of teams", () => {
  it.each([
    ["none", "list pull", "", ""],
    ["member", "list pull", "", ""],
    ["reader", "list pull", "list pull", ""],
    ["writer", "list pull", WRITE, ""],
    ["signer", "list pull", "list pull sign promote", ""],
    ["deleter", "list pull", "list pull untag delete", ""],
    ["keeper", "list pull", ALL, ""],
    ["wholly", WRITE, WRITE, WRITE],
    ["maker", ALL, ALL, ALL],
    ["owner", ALL, ALL, ALL],
    ["root", ALL, ALL, ALL],
    ["auditor", "list", "list", "list"],
  ])("%s may do in the public, the granted and another repository: %s | %s | %s", async (who, open, shut, second) => {
    expect([await allowed(who, "lab/open"), await allowed(who, "lab/shut"), await allowed(who, "lab/second")]).toEqual([
      open,
      shut,
      second,
    ]);
    const elsewhere = who === "root" ? ALL : who === "auditor" ? "list" : "";
    expect(await allowed(who, "other/shut")).toBe(elsewhere);
  });

  it.each([
    ["wholly", "list pull untag"],
    ["writer", ""],
    ["keeper", ""],
    ["member", ""],
    ["maker", ALL],
    ["owner", ALL],
  ])("%s may do with a repository that is not there: %s", async (who, expected) => {
    expect(await allowed(who, "lab/new")).toBe(expected);
  });

  it("add up: the highest wins, and leaving one team leaves the rest", async () => {
    await must("PUT", "orgs/lab/teams/reader/members/writer", {});
    const both = await allowed("writer", "lab/shut");
    await must("DELETE", "orgs/lab/teams/writer/members/writer");
    const one = await allowed("writer", "lab/shut");
    await must("DELETE", "orgs/lab/teams/reader/members/writer");
    const none = await allowed("writer", "lab/shut");
    await must("PUT", "orgs/lab/teams/writer/members/writer", {});

    expect([both, one, none]).toEqual([WRITE, "list pull", ""]);
  });

  it("are gone in the very next request, for a token too, when a grant, a team or a membership is", async () => {
    const query = "scope=repository:lab/shut:pull,push";
    const { body } = await server.send("GET", `/token?${query}`, { headers: as("writer") });
    const push = async () =>
      (await server.send("PUT", "/v2/lab/shut/tags/list", { headers: bearer(body.token) })).status;
    const seen = [await push()];

    await must("DELETE", "orgs/lab/teams/writer/grants/shut");
    seen.push(await push());
    await must("PUT", "orgs/lab/teams/writer/grants/shut", { level: "read-write" });
    seen.push(await push());
    await must("DELETE", "orgs/lab/members/writer");
    seen.push(await push());
    await must("PUT", "orgs/lab/members/writer", { role: "member" });
    seen.push(await push());
    await must("PUT", "orgs/lab/teams/writer/members/writer", {});
    seen.push(await push());
    await must("DELETE", "orgs/lab/teams/writer");
    seen.push(await push());
    await must("PUT", "orgs/lab/teams/writer", {});
    await must("PUT", "orgs/lab/teams/writer/members/writer", {});
    seen.push(await push());
    await must("PUT", "orgs/lab/teams/writer/grants/shut", { level: "read-write" });

    expect(seen).toEqual([200, 403, 200, 403, 403, 200, 403, 403]);
  });

  it("show in the catalog exactly what may be listed", async () => {
    const names = ["lab/open", "lab/second", "lab/shut", "other/shut"];
    for (const who of [...PEOPLE, "root", "auditor"]) {
      const listed = await server.send("GET", "/v2/_catalog", { headers: as(who) });
      const may = await Promise.all(names.map(async (name) => (await allowed(who, name)).startsWith("list")));
      expect([who, listed.body.repositories]).toEqual([who, names.filter((_, index) => may[index])]);
      const inLab = await rest("GET", "orgs/lab/repositories?limit=1000", undefined, as(who));
      expect(inLab.body.repositories.map(({ name }: { name: string }) => name)).toEqual(
        listed.body.repositories.filter((name: string) => name.startsWith("lab/")),
      );
    }
  });

  it("page the catalog without counting what is hidden", async () => {
    const first = await rest("GET", "orgs/lab/repositories?limit=1", undefined, as("reader"));
    const second = await server.send("GET", first.body.next, { headers: as("reader") });

    expect(first.body.repositories).toEqual([{ name: "lab/open", visibility: "public" }]);
    expect(first.headers.link).toBe(`<${first.body.next}>; rel="next"`);
    expect(second.body).toEqual({ repositories: [{ name: "lab/shut", visibility: "private" }] });
  });

  it("let a read-write token delete a tag when it asked for delete, never without, and no manifest ever", async () => {
    const token = async (actions: string) =>
      (await server.send("GET", `/token?scope=repository:lab/shut:${actions}`, { headers: as("writer") })).body;
    const [pushing, deleting] = [await token("pull,push"), await token("pull,push,delete")];
    const send = async (body: { token: string }, path: string) =>
      (await server.send("DELETE", `/v2/lab/shut/${path}`, { headers: bearer(body.token) })).status;

    expect(deleting.scope).toBe("repository:lab/shut:pull,push,delete");
    expect([await send(pushing, "tags/list"), await send(pushing, "blobs/x")]).toEqual([401, 401]);
    expect([await send(deleting, "tags/list"), await send(deleting, "blobs/x")]).toEqual([200, 403]);
  });

  it("make the repository of a first push with the organization's default visibility", async () => {
    await must("PUT", "orgs/other", { defaultVisibility: "public" });
    const admission = { repositoryId: undefined, mayCreate: true };

    await server.repositories.ensure(parseRepositoryName("other/made"), admission, unconfirmed);

    expect(await server.repositories.find(parseRepositoryName("other/made"))).toMatchObject({ visibility: "public" });
    await must("PUT", "orgs/other", {});
    await server.database.query("", "delete from repositories where name = 'other/made'");
  });

  it("do not let a push that was judged for one repository land in another of its name", async () => {
    const name = parseRepositoryName("lab/shut");

    const push = server.repositories.ensure(name, { repositoryId: 4711, mayCreate: false }, unconfirmed);

    await expect(push).rejects.toMatchObject({ code: "NAME_UNKNOWN" });
  });
});

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

describe("users' roles", () => {
  it("suspension ends a user's password and tokens, and can be undone", async () => {
    const { body } = await server.send("GET", "/token?scope=repository:lab/shut:pull", { headers: as("reader") });
    const seen = async () => [
      (await server.send("GET", "/v2/lab/shut/tags/list", { headers: as("reader") })).status,
      (await server.send("GET", "/v2/lab/shut/tags/list", { headers: bearer(body.token) })).status,
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
    await server.addUser("leaver", "leaver's password");
    await must("PUT", "orgs/leaver/repositories/app", { visibility: "private" });
    const full = await rest("DELETE", "users/leaver", undefined);
    await server.database.query("", "delete from repositories where namespace = 'leaver'");
    const gone = await rest("DELETE", "users/leaver", undefined);

    expect([full.body.code, gone.status]).toEqual(["not-empty", 204]);
    expect((await server.send("GET", "/v2/", { headers: as("leaver") })).status).toBe(401);
  });
});

describe("GET /api/v1/openapi.json", () => {
  const describedAt = ({ paths }: AnswerBody, path: string) => {
    const found = paths[path];
    if (found === undefined) throw new Error(`openapi.json does not describe ${path}`);
    return found;
  };

  it("describes every route of REST by the schemas that check it", async () => {
    const { status, body } = await server.send("GET", "/api/v1/openapi.json");

    expect(status).toBe(200);
    expect(body.openapi).toBe("3.1.0");
    const put = describedAt(body, "/api/v1/orgs/{org}/teams/{team}/grants/{repo}").put;
    expect(put.requestBody.content["application/json"].schema).toMatchObject({
      additionalProperties: false,
      required: ["level"],
      properties: { level: { enum: ["read-only", "read-write", "admin"] } },
    });
    expect(put.parameters.map(({ name }: { name: string }) => name)).toEqual([
      ...["org", "team", "repo"],
      ...["If-Match", "If-None-Match"],
    ]);
    expect(put.responses.default.content["application/problem+json"]).toBeDefined();
    const list = describedAt(body, "/api/v1/users").get;
    expect(list.parameters.map(({ name }: { name: string }) => name)).toEqual(["after", "limit"]);
  });

  it("names the conditions that changes take, and the lines of the audit", async () => {
    const { body } = await server.send("GET", "/api/v1/openapi.json");

    const operations = Object.values(body.paths).flatMap((path) => Object.entries(path));
    const unconditional = operations.filter(
      ([method, { parameters }]) => method !== "get" && !parameters.some(({ name }) => name === "If-Match"),
    );
    expect(unconditional.map(([, { operationId }]) => operationId).sort()).toEqual([
      ...["directory-sync", "keyring-reseal", "token-create", "token-delete", "token-keys-rotate"],
    ]);
    const audit = describedAt(body, "/api/v1/audit").get.responses["200"].content;
    expect(Object.keys(audit)).toEqual(["application/json", "application/x-ndjson"]);
  });

  it("says what the routes answer", async () => {
    const { body } = await server.send("GET", "/api/v1/openapi.json");
    await must("PUT", "orgs/lab/robots/ci", { grants: [{ scope: "shut", actions: ["pull"] }] });
    await must("POST", "tokens", { name: "described" });
    const paths: Record<string, string> = {
      "users/{user}": "users/ann",
      "orgs/{org}": "orgs/lab",
      "orgs/{org}/members": "orgs/lab/members?limit=1",
      "orgs/{org}/members/{user}": "orgs/lab/members/owner",
      "orgs/{org}/teams/{team}": "orgs/lab/teams/reader",
      "orgs/{org}/teams/{team}/members/{user}": "orgs/lab/teams/reader/members/reader",
      "orgs/{org}/teams/{team}/grants/{repo}": "orgs/lab/teams/wholly/grants/*",
      "orgs/{org}/repositories/{repo}": "orgs/lab/repositories/shut",
      "orgs/{org}/repositories/{repo}/grants": "orgs/lab/repositories/shut/grants",
      "orgs/{org}/robots/{robot}": "orgs/lab/robots/ci",
      tokens: "tokens",
    };
    for (const [path, asked] of Object.entries(paths)) {
      const { schema } = describedAt(body, `/api/v1/${path}`).get.responses["200"].content["application/json"];
      const answer = await rest("GET", asked, undefined);
      expect([path, answer.status, z.fromJSONSchema(schema).safeParse(answer.body).error]).toEqual([
        path,
        200,
        undefined,
      ]);
      expect(z.fromJSONSchema(schema).safeParse({ ...answer.body, more: 1 }).success).toBe(false);
    }
  });
});
