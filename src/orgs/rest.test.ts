import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { openTestDatabase } from "../storage/test-database.ts";
import { ensureAdmin } from "./open-orgs.ts";
import { type Answer, basic, openTestServer, type TestServer } from "./test-server.ts";

const root = basic("root", "root's password");
const alice = basic("alice", "alice's password");
const bob = basic("bob", "bob's password");

let server: TestServer;

beforeAll(async () => {
  server = await openTestServer();
  await server.addUser("root", "root's password", { systemAdmin: true });
});

beforeEach(async () => {
  for (const table of ["repositories", "users"])
    await server.database.query("", `delete from ${table} where ${table === "users" ? "name <> 'root'" : "true"}`);
  await server.database.query("", "delete from namespaces where name <> 'root'");
  for (const name of ["alice", "bob"]) await server.addUser(name, `${name}'s password`);
});

afterAll(() => server.close());

function put(path: string, value: unknown, headers: Record<string, string>) {
  return server.send("PUT", `/api/v1/${path}`, {
    headers,
    body: typeof value === "string" ? value : JSON.stringify(value),
  });
}

function get(path: string, headers?: Record<string, string>) {
  return server.send("GET", `/api/v1/${path}`, headers === undefined ? {} : { headers });
}

function problem({ status, headers, body }: Answer) {
  expect(headers["content-type"]).toBe("application/problem+json");
  expect(body.status).toBe(status);
  return [status, body.code];
}

describe("PUT /api/v1/users/{u}", () => {
  it("makes a user who can sign in, once for all and for a system administrator only", async () => {
    const made = await put("users/carol", { password: "carol's password" }, root);
    const self = await get("users/carol", basic("carol", "carol's password"));

    expect(made.status).toBe(201);
    expect(made.body).toEqual({
      name: "carol",
      roles: [],
      suspended: false,
      createdAt: expect.stringMatching(/^20\d\d-.*Z$/),
    });
    expect(self.body).toEqual(made.body);
    expect(problem(await put("users/dora", { password: "dora's password" }, alice))).toEqual([404, "not-found"]);
    expect(problem(await get("users/dora", root))).toEqual([404, "not-found"]);
  });

  it("changes a password: the old one is refused from the next request on", async () => {
    const changed = await put("users/alice", { password: "another password" }, alice);

    const [old, recent] = [
      await get("users/alice", alice),
      await get("users/alice", basic("alice", "another password")),
    ];
    expect([changed.status, old.status, recent.status]).toEqual([200, 401, 200]);
  });

  it("lets a system administrator change another's password, and others not even learn who there is", async () => {
    const byRoot = await put("users/alice", { password: "another password" }, root);
    const [known, unknown] = [
      await put("users/root", { password: "my password now" }, bob),
      await put("users/none", {}, bob),
    ];

    expect(byRoot.status).toBe(200);
    expect(problem(known)).toEqual([404, "not-found"]);
    expect(unknown.text).toBe(known.text);
    expect((await get("users/root", root)).status).toBe(200);
  });

  it("leaves a user as is when the body is empty", async () => {
    expect((await put("users/alice", {}, root)).status).toBe(200);
    expect((await get("users/alice", alice)).status).toBe(200);
  });

  it.each([
    ["an unknown role", { password: "long enough", roles: ["owner"] }],
    ["a role that is no list", { password: "long enough", roles: "admin" }],
    ["a password like a token", { password: "gsp_long_enough" }],
    ["systemAdmin", { password: "long enough", systemAdmin: true }],
    ["system_admin", { password: "long enough", system_admin: true }],
    ["an id", { id: 1 }],
    ["__proto__", '{"__proto__":{"systemAdmin":true}}'],
    ["constructor", '{"constructor":1}'],
    ["one key twice", '{"password":"long enough","password":"long enough"}'],
    ["a short password", { password: "seven.." }],
    ["a password over 1024 bytes", { password: "ü".repeat(513) }],
    ["a number for a password", { password: 12345678 }],
    ["a list", []],
    ["null", "null"],
    ["no JSON", "{"],
    ["nothing", ""],
  ])("refuses a body with %s", async (_, body) => {
    const before = await server.database.query("", "select * from users order by id");

    expect(problem(await put("users/alice", body, root))).toEqual([400, "invalid-request"]);

    expect(await server.database.query("", "select * from users order by id")).toEqual(before);
  });

  it.each(["Alice", "a", "a".repeat(33), "a..b", "a%2Fb", "-a", "a%00b", "%ff%fe"])(
    "refuses the name %s",
    async (name) => {
      expect(problem(await put(`users/${name}`, { password: "long enough" }, root))).toEqual([400, "invalid-request"]);
    },
  );

  it("refuses a user without a password, and a name that an organization has", async () => {
    await server.database.query("", "insert into namespaces (name, kind) values ('lab', 'org')");

    expect(problem(await put("users/carol", {}, root))).toEqual([400, "invalid-request"]);
    expect(problem(await put("users/lab", { password: "long enough" }, root))).toEqual([409, "name-taken"]);
  });

  it("makes one user of many requests at once", async () => {
    const answers = await Promise.all(
      Array.from({ length: 6 }, (_, n) => put("users/carol", { password: `password ${n}` }, root)),
    );

    const counts = Object.groupBy(answers, ({ status }) => String(status));
    expect(counts["201"]).toHaveLength(1);
    expect(answers.every(({ status }) => [200, 201, 409].includes(status))).toBe(true);
  });

  it("refuses a large body", async () => {
    expect(problem(await put("users/alice", { password: "p".repeat(70_000) }, root))).toEqual([413, "body-too-large"]);
  });
});

describe("GET /api/v1/users", () => {
  it("lists everyone, without secrets, to system administrators", async () => {
    const { status, text, body } = await get("users", root);

    expect(status).toBe(200);
    expect(body.users.map(({ name, roles }: { name: string; roles: string[] }) => [name, roles])).toEqual([
      ["alice", []],
      ["bob", []],
      ["root", ["admin"]],
    ]);
    expect(text).not.toContain("argon2");
  });

  it("is refused to others, and asks those who do not sign in for Basic", async () => {
    const anonymous = await get("users");

    expect(problem(await get("users", alice))).toEqual([403, "forbidden"]);
    expect(problem(anonymous)).toEqual([401, "unauthorized"]);
    expect(anonymous.headers["www-authenticate"]).toBe('Basic realm="goldseal"');
    expect(problem(await get("users", basic("root", "guess")))).toEqual([401, "unauthorized"]);
  });
});

describe("/api/v1/orgs/{org}/repositories/{repo}", () => {
  const path = "orgs/alice/repositories/team%2Fapp";

  it("lets the owner make a repository and change who sees it", async () => {
    const made = await put(path, { visibility: "private" }, alice);
    const hidden = await get(path, bob);
    const changed = await put(path, { visibility: "public" }, alice);
    const shown = await get(path, bob);

    expect([made.status, changed.status, shown.status]).toEqual([201, 200, 200]);
    expect(shown.body).toEqual({ name: "alice/team/app", visibility: "public" });
    expect(problem(hidden)).toEqual([404, "not-found"]);
    expect(hidden.text).toBe((await get("orgs/alice/repositories/none", bob)).text);
  });

  it("refuses others: hidden as missing, visible as forbidden", async () => {
    await put(path, { visibility: "private" }, alice);
    const hidden = await put(path, { visibility: "public" }, bob);
    const missing = await put("orgs/alice/repositories/none", { visibility: "public" }, bob);
    await put(path, { visibility: "public" }, alice);

    expect(problem(hidden)).toEqual([404, "not-found"]);
    expect(missing.text).toBe(hidden.text);
    expect(problem(await put(path, { visibility: "private" }, bob))).toEqual([403, "forbidden"]);
    expect((await get(path, bob)).body.visibility).toBe("public");
  });

  it("lets a system administrator make one in an organization, once there is such an organization", async () => {
    const without = await put("orgs/lab/repositories/app", { visibility: "public" }, root);
    await put("orgs/lab", {}, root);

    expect(problem(without)).toEqual([404, "not-found"]);
    expect((await put("orgs/lab/repositories/app", { visibility: "public" }, root)).status).toBe(201);
    expect((await get("orgs/lab/repositories/app", alice)).status).toBe(200);
  });

  it.each([
    ["no visibility", {}],
    ["another visibility", { visibility: "secret" }],
    ["an unknown field", { visibility: "public", owner: "bob" }],
  ])("refuses a body with %s", async (_, body) => {
    expect(problem(await put(path, body, alice))).toEqual([400, "invalid-request"]);
    expect(problem(await get(path, alice))).toEqual([404, "not-found"]);
  });

  it("refuses names that are none, and paths that do not exist", async () => {
    expect(problem(await get("orgs/alice/repositories/UPPER", alice))).toEqual([400, "invalid-request"]);
    expect(problem(await get("orgs/alice/repositories/..%2Fbob%2Fapp", alice))).toEqual([400, "invalid-request"]);
    expect(problem(await get("nothing", alice))).toEqual([404, "not-found"]);
    expect(problem(await server.send("POST", "/api/v1/users/alice", { headers: root }))).toEqual([
      405,
      "method-not-allowed",
    ]);
  });
});

describe("POST /api/v1/token-keys/rotate", () => {
  it("is for system administrators", async () => {
    const refused = await server.send("POST", "/api/v1/token-keys/rotate", { headers: alice });

    expect(problem(refused)).toEqual([403, "forbidden"]);
  });
});

describe("ensureAdmin", () => {
  it("makes the administrator once, with a password that it returns once", async () => {
    const { database, close } = await openTestDatabase();

    const [one, other] = await Promise.all([ensureAdmin(database), ensureAdmin(database)]);
    const later = await ensureAdmin(database, "another password");

    expect([one, other].filter((password) => password !== undefined)).toHaveLength(1);
    expect(one ?? other).toMatch(/^[\w-]{24}$/);
    expect(later).toBeUndefined();
    expect(await database.query("", "select name, system_admin from users")).toEqual([
      { name: "admin", system_admin: true },
    ]);
    await close();
  });

  it("takes the password it is given and does not return it, and refuses one that is none", async () => {
    const { database, close } = await openTestDatabase();

    await expect(ensureAdmin(database, "short")).rejects.toThrow(/^GOLDSEAL_ADMIN_PASSWORD: .*at least 8/);
    expect(await ensureAdmin(database, "long enough")).toBeUndefined();

    expect(await database.query("", "select name from users")).toEqual([{ name: "admin" }]);
    await close();
  });
});
