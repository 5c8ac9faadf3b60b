import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { pushParts, putManifest } from "../testing/images.ts";
import { basic, openTestApp, PASSWORD, type TestApp } from "../testing/open-test-app.ts";

let app: TestApp;
const ENV = { GOLDSEAL_BRIDGE_ACCOUNT: "bridge" };

beforeAll(async () => {
  app = await openTestApp(ENV);
  for (const org of ["shop", "bank"]) await app.addOrg(org);
  await admin("PUT", "users/bridge", { password: PASSWORD });
  await admin("PUT", "orgs/shop/members/bridge", { role: "member" });
  await admin("PUT", "orgs/shop/teams/swarm", {});
  await admin("PUT", "orgs/shop/teams/swarm/members/bridge", {});
  for (const repository of ["shop/web", "shop/api", "bank/core"]) {
    const place = { app, as: "admin", repository };
    expect((await putManifest(place, "v1", (await pushParts(place, repository)).manifest)).status).toBe(201);
  }
  for (const repo of ["web", "api"]) await admin("PUT", `orgs/shop/teams/swarm/grants/${repo}`, { level: "read-only" });
});
afterAll(async () => {
  expect(app.errors()).toEqual([]);
  await app[Symbol.asyncDispose]();
});

async function rest(method: string, path: string, body?: unknown, headers: Record<string, string> = {}) {
  const sent = body === undefined ? {} : { body: JSON.stringify(body) };
  const answer = await app.ask(method, `/api/v1/${path}`, { ...sent, headers });
  const text = answer.body.toString();
  return { status: answer.status, headers: answer.headers, body: text === "" ? {} : JSON.parse(text) };
}
async function admin(method: string, path: string, body?: unknown): Promise<void> {
  const { status } = await rest(method, path, body, { authorization: basic("admin") });
  if (status >= 300) throw new Error(`${method} ${path}: ${status}`);
}
const as = (name: string) => ({ authorization: basic(name) });
const issue = (more: object = {}, headers = as("bridge")) => {
  const body = { environment: "prod", service: "web", repositories: ["shop/web"], ...more };
  return rest("POST", "cluster-agent/credentials", body, headers);
};
/** Statuses of a pull and of a push. */
async function reach(username: string, secret: string, repository = "shop/web"): Promise<number[]> {
  const headers = { authorization: basic(username, secret) };
  const pull = await app.ask("GET", `/v2/${repository}/manifests/v1`, { headers });
  const push = await app.ask("POST", `/v2/${repository}/blobs/uploads/`, { headers });
  return [pull.status, push.status];
}
const secretsOf = async (service: string) =>
  (
    await app.database.query<{ count: number }>(
      "",
      "select count(*)::int from robot_secrets s join robots b on b.id = s.robot_id where b.service = $1",
      [service],
    )
  )[0]?.count;
const age = (service: string, hours: number) =>
  app.database.query(
    "",
    `update robot_secrets s set expires_at = s.expires_at - make_interval(hours => $2)
     from robots b where b.id = s.robot_id and b.service = $1`,
    [service, hours],
  );

describe("POST /api/v1/cluster-agent/credentials", () => {
  it("gives a secret that pulls from those repositories, and does nothing else, for a day", async () => {
    const { status, headers, body } = await issue({ repositories: ["shop/web", "shop/web", "shop/api"] });

    expect([status, headers["cache-control"]]).toEqual([201, "no-store"]);
    expect(Object.keys(body).sort()).toEqual(["expiresAt", "secret", "username"]);
    expect(body.username).toMatch(/^shop\+pull-[0-9a-f]{16}$/);
    const lifeSeconds = (Date.parse(body.expiresAt) - Date.now()) / 1000;
    expect(Math.abs(lifeSeconds - 24 * 3600)).toBeLessThan(60);
    expect(await reach(body.username, body.secret)).toEqual([200, 403]);
    expect(await reach(body.username, body.secret, "shop/api")).toEqual([200, 403]);
    expect(await reach(body.username, body.secret, "bank/core")).toEqual([404, 403]);
  });

  it("reaches what the last one was asked for, and no more", async () => {
    const first = (await issue({ service: "moves", repositories: ["shop/web"] })).body;
    const second = (await issue({ service: "moves", repositories: ["shop/api"] })).body;

    expect(second.username).toBe(first.username);
    expect(await reach(second.username, second.secret, "shop/api")).toEqual([200, 403]);
    expect(await reach(second.username, second.secret)).toEqual([404, 403]);
  });

  it("lets two secrets overlap, and keeps that of the two before which was used: nodes have it", async () => {
    const ask = async (): Promise<string> => (await issue({ service: "two" })).body.secret;
    const { username, secret: held } = (await issue({ service: "two" })).body;
    expect(await reach(username, held)).toEqual([200, 403]);

    const lost = await ask();
    const next = await ask();

    expect(await secretsOf("prod/two")).toBe(2);
    expect(await reach(username, held)).toEqual([200, 403]);
    expect(await reach(username, lost)).toEqual([401, 401]);
    expect(await reach(username, next)).toEqual([200, 403]);
    const later = await ask();
    expect(await reach(username, held)).toEqual([401, 401]);
    expect(await reach(username, next)).toEqual([200, 403]);
    expect(await reach(username, later)).toEqual([200, 403]);
  });

  it("gives what ends by itself", async () => {
    const { username, secret } = (await issue({ service: "ends" })).body;
    await age("prod/ends", 23);
    expect(await reach(username, secret)).toEqual([200, 403]);

    await age("prod/ends", 1);

    const another = await app.openAnother(ENV);
    const { status } = await another.ask("GET", "/v2/shop/web/manifests/v1", {
      headers: { authorization: basic(username, secret) },
    });
    await another[Symbol.asyncDispose]();
    expect(status).toBe(401);
  });

  it.each<[string, object, number, string, RegExp]>([
    ["a repository that is hidden from the bridge", { repositories: ["bank/core"] }, 404, "not-found", /hidden/],
    ["a repository that is not there", { repositories: ["shop/none"] }, 404, "not-found", /hidden/],
    ["two organizations", { repositories: ["shop/web", "bank/core"] }, 400, "invalid-request", /one organization/],
    ["no repository", { repositories: [] }, 400, "invalid-request", /repositories/],
    ["what is no repository", { repositories: ["shop/*"] }, 400, "invalid-request", /repositories\.0/],
    ["a service of a strange name", { service: "../web" }, 400, "invalid-request", /service/],
    ["an environment of a strange name", { environment: "prod/web" }, 400, "invalid-request", /environment/],
    ["more than there is", { actions: ["push"] }, 400, "invalid-request", /actions/],
  ])("refuses %s", async (_what, more, status, code, detail) => {
    const before = await app.stored();

    const answer = await issue({ service: "refused", ...more });

    expect(answer).toMatchObject({ status, body: { code, detail: expect.stringMatching(detail) } });
    expect([await secretsOf("prod/refused"), await app.stored()]).toEqual([0, before]);
  });

  it("is on record with the repository, and without the secret", async () => {
    const { body } = await issue({ service: "recorded" });

    const rows = await app.database.query<{ text: string; target: string; actor: string }>(
      "",
      "select l::text as text, target, actor from audit_log l where action = 'cluster-credential-issue' order by id desc limit 1",
    );

    expect(rows[0]).toMatchObject({ target: "shop/web", actor: "bridge" });
    expect(rows[0]?.text).toContain("recorded");
    expect(rows[0]?.text).not.toContain(body.secret);
  });
});

describe("DELETE /api/v1/cluster-agent/credentials/{environment}/{service}", () => {
  it("ends every secret of the service, and of no other", async () => {
    const [gone, kept] = [(await issue({ service: "gone" })).body, (await issue({ service: "kept" })).body];
    const again = (await issue({ service: "gone" })).body;

    const revoke = () => rest("DELETE", "cluster-agent/credentials/prod/gone", undefined, as("bridge"));
    const [first, second] = [await revoke(), await revoke()];

    expect([first.status, second.status, second.body.code]).toEqual([204, 404, "not-found"]);
    for (const { secret } of [gone, again]) expect(await reach(gone.username, secret)).toEqual([401, 401]);
    expect(await reach(kept.username, kept.secret)).toEqual([200, 403]);
  });
});

describe("PUT /api/v1/cluster-agent/digests", () => {
  it("takes what is hidden from the bridge for missing", async () => {
    const rows = await app.database.query<{ digest: string; name: string }>(
      "",
      "select m.digest, r.name from manifests m join repositories r on r.id = m.repository_id order by r.name",
    );
    const deployed = rows.map(({ digest, name }) => {
      return { environment: "prod", service: "web", repository: name, digest, state: "running" };
    });

    const { status, body } = await rest("PUT", "cluster-agent/digests", { deployed }, as("bridge"));

    expect([status, body]).toEqual([200, { kept: 2, missing: [{ repository: "bank/core", digest: rows[0]?.digest }] }]);
  });
});

describe("the routes of the bridge", () => {
  const routes = [
    ["POST", "credentials", { environment: "prod", service: "web", repositories: ["shop/web"] }],
    ["DELETE", "credentials/prod/none", undefined],
    ["PUT", "digests", { deployed: [] }],
  ] as const;

  it.each(routes)("%s %s is for its account and system administrators alone", async (method, path, body) => {
    const send = (headers: Record<string, string>) => rest(method, `cluster-agent/${path}`, body, headers);
    const robot = (await issue()).body;
    const answers = [
      await send(as("alice")),
      await send({ authorization: basic(robot.username, robot.secret) }),
      await send({}),
      await send({ authorization: basic("bridge", "wrong password") }),
      await send(as("bridge")),
      await send(as("admin")),
    ];

    const ok = { POST: 201, DELETE: 404, PUT: 200 }[method];
    expect(answers.map(({ status }) => status)).toEqual([403, 403, 401, 401, ok, ok]);
    expect(answers[0]?.body.detail).toContain("is not the account of the cluster's bridge");
  });

  it("are nobody's but administrators' where no account is configured", async () => {
    const another = await app.openAnother({ GOLDSEAL_BRIDGE_ACCOUNT: "somebody-else" });

    const body = JSON.stringify({ deployed: [] });
    const answers = ["bridge", "admin"].map((name) =>
      another.ask("PUT", "/api/v1/cluster-agent/digests", { as: name, body }),
    );

    expect((await Promise.all(answers)).map(({ status }) => status)).toEqual([403, 200]);
    await another[Symbol.asyncDispose]();
  });
});
