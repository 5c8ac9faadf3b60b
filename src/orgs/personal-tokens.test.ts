import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Ask, basic, bearer, openTestServer, type TestServer } from "./test-server.ts";

let server: TestServer;

const as = (name: string) => basic(name, `${name}'s password`);
const root = as("root");

beforeAll(async () => {
  server = await openTestServer();
  await server.addUser("root", "root's password", { systemAdmin: true });
  for (const name of ["owner", "keeper", "member"]) await server.addUser(name, `${name}'s password`);
  for (const org of ["lab", "other"]) await must("PUT", `orgs/${org}`, {});
  await must("PUT", "orgs/lab/members/owner", { role: "owner" });
  for (const name of ["keeper", "member"]) await must("PUT", `orgs/lab/members/${name}`, { role: "member" });
  for (const repo of ["app", "team%2Fone", "team%2Ftwo", "teamwork"])
    await must("PUT", `orgs/lab/repositories/${repo}`, { visibility: "private" });
  await must("PUT", "orgs/other/repositories/app", { visibility: "private" });
  await must("PUT", "orgs/lab/teams/keepers", {});
  await must("PUT", "orgs/lab/teams/keepers/members/keeper", {});
  await must("PUT", "orgs/lab/teams/keepers/grants/app", { level: "admin" });
});

afterAll(() => server.close());

function rest(method: string, path: string, body: unknown, headers: Ask["headers"] = root) {
  const sent = body === undefined ? {} : { body: JSON.stringify(body) };
  return server.send(method, `/api/v1/${path}`, { headers: { ...headers }, ...sent });
}

async function must(method: string, path: string, body?: unknown) {
  const answer = await rest(method, path, body);
  if (answer.status >= 300) throw new Error(`${method} ${path} answered ${answer.status}: ${answer.text}`);
  return answer.body;
}

async function tokenOf(headers: Ask["headers"], scope: string): Promise<string> {
  const { status, body } = await server.send("GET", `/token?scope=${scope}`, { headers: { ...headers } });
  expect(status).toBe(200);
  return body.token;
}

const list = (headers: Ask["headers"], repository = "lab/app") =>
  server.send("GET", `/v2/${repository}/tags/list`, { headers: { ...headers } }).then(({ status }) => status);

describe("a personal token", () => {
  async function makeToken(name: string, headers = as("owner")): Promise<string> {
    const { status, body } = await rest("POST", "tokens", { name }, headers);
    expect(status).toBe(201);
    return body.secret;
  }

  it("signs its user in, by Basic and at the token service, and as a bearer to REST", async () => {
    const secret = await makeToken("everywhere");
    const password = basic("owner", secret);

    expect(secret).toMatch(/^gsp_[\w-]{43}$/);
    expect(await list(password)).toBe(200);
    expect(await list(bearer(await tokenOf(password, "repository:lab/app:pull")))).toBe(200);
    expect((await rest("GET", "users/owner", undefined, bearer(secret))).body.name).toBe("owner");
    const { body } = await rest("GET", "tokens", undefined, bearer(secret));
    expect(body.tokens[0]).toMatchObject({ name: "everywhere", lastUsedAt: expect.stringMatching(/Z$/) });
  });

  it("is nobody else's, no bearer token of the registry, and an access token is none", async () => {
    const secret = await makeToken("mine");

    expect(await list(basic("member", secret))).toBe(401);
    expect(await list(bearer(secret))).toBe(401);
    expect(await list(basic("owner", `gsp_${"A".repeat(43)}`))).toBe(401);
    const access = await tokenOf(as("owner"), "registry:catalog:*");
    expect((await rest("GET", "tokens", undefined, bearer(access))).status).toBe(401);
  });

  it("ends with its deletion, its time and its user's suspension, and so does all that was got for it", async () => {
    const seen = [];
    for (const end of [
      () => rest("DELETE", "tokens/short", undefined, as("owner")),
      () => server.database.query("", "update personal_tokens set expires_at = now() where name = 'short'"),
      () => rest("PUT", "users/owner", { suspended: true }),
    ]) {
      await server.database.query("", "delete from personal_tokens where name = 'short'");
      const password = basic("owner", await makeToken("short"));
      const { body } = await server.send("GET", "/token?offline_token=true&scope=repository:lab/app:pull", {
        headers: password,
      });
      const renew = () =>
        server.send("POST", "/token", {
          headers: { "content-type": "application/x-www-form-urlencoded" },
          body: `${new URLSearchParams({ grant_type: "refresh_token", refresh_token: body.refresh_token })}`,
        });
      const statuses = async () => [await list(password), await list(bearer(body.token)), (await renew()).status];
      const before = await statuses();
      await end();
      seen.push([before, await statuses()]);
    }
    await must("PUT", "users/owner", { suspended: false });

    expect(seen).toEqual(
      Array.from({ length: 3 }, () => [
        [200, 200, 200],
        [401, 401, 401],
      ]),
    );
  });

  it("makes no other token and changes no password of its user", async () => {
    const secret = await makeToken("humble");

    const token = await rest("POST", "tokens", { name: "child" }, bearer(secret));
    const password = await rest("PUT", "users/owner", { password: "stolen password" }, basic("owner", secret));

    expect([token.body.code, password.body.code]).toEqual(["forbidden", "forbidden"]);
    expect((await rest("POST", "tokens", { name: "humble" }, as("owner"))).body.code).toBe("name-taken");
  });
});
