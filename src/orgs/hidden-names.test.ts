import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { basic, bearer, openTestServer, type TestServer } from "./test-server.ts";

/** Members of an organization see its teams and robots; repositories that are hidden from them stay hidden there too. */
let server: TestServer;
const as = (name: string) => basic(name, `${name}'s password`);
const NAMES = ["app", "base", "core"];

beforeAll(async () => {
  server = await openTestServer();
  await server.addUser("root", "root's password", { systemAdmin: true });
  for (const name of ["member", "reader"]) await server.addUser(name, `${name}'s password`);
  await must("PUT", "", {});
  for (const name of ["member", "reader"]) await must("PUT", `/members/${name}`, { role: "member" });
  for (const name of NAMES) await must("PUT", `/repositories/${name}`, { visibility: "private" });
  for (const name of ["team", "few"]) await must("PUT", `/teams/${name}`, {});
  for (const scope of [...NAMES, "*"]) await must("PUT", `/teams/team/grants/${scope}`, { level: "read-only" });
  await must("PUT", "/teams/few/members/reader", {});
  await must("PUT", "/teams/few/grants/core", { level: "read-only" });
  const grants = [...NAMES, "team/*"].map((scope) => ({ scope, actions: ["pull"] }));
  await must("PUT", "/robots/ci", { grants });
});

afterAll(() => server.close());

function rest(method: string, path: string, name: string, body?: unknown) {
  const sent = body === undefined ? {} : { body: JSON.stringify(body) };
  return server.send(method, `/api/v1/orgs/lab${path}`, { headers: as(name), ...sent });
}

async function must(method: string, path: string, body: unknown): Promise<void> {
  const { status, text } = await rest(method, path, "root", body);
  if (status >= 300) throw new Error(`${method} ${path} answered ${status}: ${text}`);
}

const scopesOf = (grants: readonly { readonly scope: string }[]) => grants.map(({ scope }) => scope);

describe("GET /api/v1/orgs/{org}/teams/{t}/grants", () => {
  it.each([
    ["member", ["*"]],
    ["reader", ["*", "core"]],
    ["root", ["*", ...NAMES]],
  ])("shows %s those on %j", async (name, expected) => {
    const { body } = await rest("GET", "/teams/team/grants", name);

    expect([scopesOf(body.grants), body.next]).toEqual([expected, undefined]);
  });

  it("pages by what is shown: no page is short, and none says that there is more that is hidden", async () => {
    const first = await rest("GET", "/teams/team/grants?limit=1", "reader");
    const second = await rest("GET", "/teams/team/grants?limit=1&after=*", "reader");

    expect([scopesOf(first.body.grants), first.body.next]).toEqual([["*"], expect.stringContaining("after=*")]);
    expect([scopesOf(second.body.grants), second.body.next]).toEqual([["core"], undefined]);
  });

  it("answers for one that is hidden as for one that is missing", async () => {
    const [hidden, missing] = [
      await rest("GET", "/teams/team/grants/app", "member"),
      await rest("GET", "/teams/team/grants/nil", "member"),
    ];

    expect([hidden.status, hidden.text]).toEqual([404, missing.text]);
  });
});

describe("GET /api/v1/orgs/{org}/robots", () => {
  it.each([
    ["member", []],
    ["reader", ["core"]],
    ["root", [...NAMES, "team/*"]],
  ])("shows %s what robots reach, of %j", async (name, expected) => {
    const list = await rest("GET", "/robots", name);
    const one = await rest("GET", "/robots/ci", name);

    expect([scopesOf(list.body.robots[0].grants), scopesOf(one.body.grants)]).toEqual([expected, expected]);
  });

  it.each([
    ["POST", "/robots/ci/rotate", {}],
    ["DELETE", "/robots/ci", undefined],
    ["PUT", "/robots/ci", { grants: [{ scope: "x/*", actions: ["pull"] }] }],
  ])("refuses %s %s without a name of what the robot reaches", async (method, path, body) => {
    const { status, text } = await rest(method, path, "member", body);

    expect(status).toBe(403);
    for (const name of NAMES) expect(text).not.toContain(`lab/${name}`);
  });
});

describe("a robot with the row number of a system administrator", () => {
  it("sees nothing of the audit, and asks about nobody else", async () => {
    const ids = await server.database.query(
      "",
      "select u.id as user, r.id as robot from users u, robots r where u.name = 'root' and r.name = 'ci'",
    );
    const { body } = await rest("POST", "/robots/ci/rotate", "root", {});
    const headers = bearer(body.secret);

    const audit = await server.send("GET", "/api/v1/audit", { headers });
    const other = await server.send("GET", "/api/v1/explain?user=member&action=pull&repository=lab/app", { headers });

    expect(ids).toEqual([{ user: ids[0]?.robot, robot: ids[0]?.robot }]);
    expect([audit.status, audit.body.entries, other.status]).toEqual([200, [], 404]);
  });
});

it("GET /api/v1/orgs/{org}/repositories/{repo}/grants answers 404 for what is not there, to its owner too", async () => {
  const { status, body } = await rest("GET", "/repositories/nil/grants", "root");

  expect([status, body.code]).toEqual([404, "not-found"]);
});
