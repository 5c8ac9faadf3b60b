import { describe, expect, it } from "vitest";
import { alice, bob, useGate } from "./test-gate.ts";
import { type Ask, basic, bearer, service } from "./test-server.ts";

const gate = useGate();

function get(query: Record<string, string> | [string, string][], headers: Ask["headers"] = {}) {
  return gate.server().send("GET", `/token?${new URLSearchParams(query)}`, { headers });
}

function post(fields: Record<string, string> | [string, string][], type = "application/x-www-form-urlencoded") {
  return gate
    .server()
    .send("POST", "/token", { headers: { "content-type": type }, body: `${new URLSearchParams(fields)}` });
}

function accessIn(token: string) {
  return JSON.parse(Buffer.from(token.split(".")[1] ?? "", "base64url").toString()).access;
}

async function granted(headers: Ask["headers"], ...scopes: string[]) {
  const { status, body } = await get(
    scopes.map((scope): [string, string] => ["scope", scope]),
    headers,
  );
  expect(status).toBe(200);
  return accessIn(body.token);
}

function repository(name: string, ...actions: string[]) {
  return { type: "repository", name, actions };
}

describe("GET /token", () => {
  it("answers in the token specification's words, for no longer than five minutes, and lets nobody keep it", async () => {
    const { status, headers, body } = await get({ service, scope: "repository:alice/shut:pull,push" }, alice);

    expect(status).toBe(200);
    expect(headers["cache-control"]).toBe("no-store");
    expect(body).toEqual({
      token: body.access_token,
      access_token: expect.stringMatching(/^[\w-]+\.[\w-]+\.[\w-]+$/),
      expires_in: 300,
      issued_at: "2026-11-22T12:00:00.700Z",
      scope: "repository:alice/shut:pull,push",
    });
  });

  it.each([
    ["none", [], []],
    ["what is there", ["repository:alice/shut:pull"], [repository("alice/shut", "pull")]],
    ["what is not yet there", ["repository:alice/new:pull,push"], [repository("alice/new", "pull", "push")]],
    ["push without pull", ["repository:alice/shut:push"], [repository("alice/shut", "push")]],
    ["everything", ["repository:alice/shut:*"], [repository("alice/shut", "*")]],
    ["everything and more", ["repository:alice/shut:pull,*"], [repository("alice/shut", "*")]],
    ["delete", ["repository:alice/shut:pull,push,delete"], [repository("alice/shut", "pull", "push", "delete")]],
    ["the catalog", ["registry:catalog:*"], [{ type: "registry", name: "catalog", actions: ["*"] }]],
    [
      "one repository twice",
      ["repository:alice/shut:pull", "repository:alice/shut:push,pull"],
      [repository("alice/shut", "pull", "push")],
    ],
    [
      "two, one of them another's",
      ["repository:bob/app:pull,push", "repository:alice/shut:pull"],
      [repository("alice/shut", "pull")],
    ],
    [
      "two in one parameter",
      ["repository:alice/shut:pull repository:alice/open:pull"],
      [repository("alice/shut", "pull"), repository("alice/open", "pull")],
    ],
    ["unknown actions", ["repository:alice/shut:pull,admin,untag,PUSH"], [repository("alice/shut", "pull")]],
    ["no action", ["repository:alice/shut:"], []],
    ["upper case", ["repository:Alice/Shut:pull"], []],
    ["another class", ["repository(plugin):alice/shut:pull"], []],
    ["another type", ["Repository:alice/shut:pull", "admin:alice/shut:*", "registry:users:*"], []],
    [
      "trust data by our host and port",
      ["repository:registry.test:5443/alice/shut:pull,push,delete"],
      [{ type: "repository", name: "registry.test:5443/alice/shut", actions: ["pull", "push"] }],
    ],
    ["a name with another host and port", ["repository:other.test:5443/alice/shut:pull"], []],
    ["no name", ["repository::pull", "repository:pull"], []],
    ["a path for a name", ["repository:alice/../bob/x:pull", "repository:/alice/shut:pull"], []],
    ["patterns for a name", ["repository:alice/*:pull", "repository:alice/.*:pull", "repository:alice/%:pull"], []],
    ["garbage", [":", "::", "x", "repository", "\0:\0:\0"], []],
  ])("grants the owner who asks for %s exactly this", async (_, scopes, access) => {
    expect(await granted(alice, ...scopes)).toEqual(access);
  });

  it("grants others what is theirs by visibility, with one answer for hidden and missing", async () => {
    const asked = ["open", "shut", "none"].map((name) => `repository:alice/${name}:pull,push,delete`);

    expect(await granted(bob, ...asked)).toEqual([repository("alice/open", "pull")]);
    expect(await granted(bob, "repository:alice/open:*")).toEqual([repository("alice/open", "pull")]);
    expect(await granted(undefined, ...asked)).toEqual([repository("alice/open", "pull")]);
  });

  it("grants a system administrator what was asked for, wherever", async () => {
    const root = basic("root", "root's password");

    expect(await granted(root, "repository:lab/app:*")).toEqual([repository("lab/app", "*")]);
  });

  it("takes a hundred scopes and refuses more", async () => {
    const many = (count: number) => Array.from({ length: count }, (_, n): [string, string] => ["scope", `x:y${n}:z`]);

    const [most, more] = [await get(many(100), alice), await get(many(101), alice)];
    const inOne = await post([
      ["grant_type", "password"],
      ["username", "alice"],
      ["password", "alice's password"],
      ["scope", "a ".repeat(10_000)],
    ]);

    expect([most.status, more.status, inOne.status]).toEqual([200, 400, 400]);
    expect(more.body.errors[0]).toEqual({ code: "INVALID_REQUEST", message: "more than 100 scopes" });
  });

  it.each([
    ["another service", "service=staging.test"],
    ["an empty service", "service="],
    ["two services", `service=${service}&service=${service}`],
    ["a NUL in the client's id", "client_id=a%00b&offline_token=true"],
    ["a client's id that is too long", `client_id=${"x".repeat(257)}`],
  ])("refuses %s with 400", async (_, query) => {
    expect((await gate.server().send("GET", `/token?${query}`, { headers: alice })).status).toBe(400);
  });

  it("refuses bad credentials alike, whoever they name, and asks for Basic", async () => {
    const bad: Ask["headers"][] = [
      basic("alice", "guess"),
      basic("nobody", "guess"),
      basic("alice", ""),
      basic("", ""),
      { authorization: "Basic" },
      { authorization: "Nonsense x" },
      { authorization: [alice.authorization, alice.authorization] },
    ];

    const answers = await Promise.all(bad.map((headers) => get({ service }, headers)));

    const withoutId = (text = "") => text.replaceAll(/(decision\W+)[a-z2-9]{16}/g, "$1<id>");
    for (const { status, headers, text } of answers) {
      expect({ status, challenge: headers["www-authenticate"], text: withoutId(text) }).toEqual({
        status: 401,
        challenge: 'Basic realm="goldseal"',
        text: withoutId(answers[0]?.text),
      });
    }
  });

  it("does not take HTTP methods or paths beside its own", async () => {
    const answers = [
      await gate.server().send("PUT", "/token"),
      await gate.server().send("GET", "/tokens"),
      await gate.server().send("GET", "/token/x"),
    ];

    expect(answers.map(({ status }) => status)).toEqual([405, 404, 404]);
  });
});

describe("POST /token", () => {
  const password = {
    grant_type: "password",
    service,
    client_id: "docker",
    username: "alice",
    password: "alice's password",
  };

  it("takes name and password in a form, with the scopes apart or together", async () => {
    const scope = "repository:alice/shut:pull repository:alice/open:pull";

    const { status, body } = await post({ ...password, scope });

    expect(status).toBe(200);
    expect(body).toMatchObject({ expires_in: 300, scope });
    expect(body.refresh_token).toBeUndefined();
    expect(accessIn(body.access_token)).toEqual([repository("alice/shut", "pull"), repository("alice/open", "pull")]);
  });

  it.each([
    ["a wrong password", { password: "guess" }, 401],
    ["an unknown user", { username: "nobody" }, 401],
    ["no user", { username: "" }, 401],
    ["another grant", { grant_type: "client_credentials" }, 400],
    ["no grant", { grant_type: "" }, 400],
    ["another service", { service: "staging.test" }, 400],
    ["a refresh token that is none", { grant_type: "refresh_token", refresh_token: "x" }, 401],
  ])("refuses %s", async (_, fields, status) => {
    const answer = await post({ ...password, ...fields });

    expect(answer.status).toBe(status);
    expect(answer.body.errors[0].code).toBe(status === 401 ? "UNAUTHORIZED" : "INVALID_REQUEST");
  });

  it("refuses bodies that are too large, no form, or say a thing twice", async () => {
    const large = await post({ ...password, scope: "x".repeat(70_000) });
    const json = await post(password, "application/json");
    const twice = await post([...Object.entries(password), ["username", "bob"]]);

    expect([large.status, json.status, twice.status]).toEqual([413, 400, 400]);
  });
});

describe("a refresh token", () => {
  async function signIn(clientId: string, who = "alice") {
    const offline = { service, client_id: clientId, offline_token: "true" };
    const { body } = await get(offline, basic(who, `${who}'s password`));
    return body.refresh_token as string;
  }

  function refresh(token: string, fields: Record<string, string> = {}) {
    return post({ grant_type: "refresh_token", service, client_id: "docker", refresh_token: token, ...fields });
  }

  it("is given to those who sign in and ask for it, by GET and by POST, and works as often as needed", async () => {
    const byGet = await signIn("docker");
    const fields = {
      grant_type: "password",
      service,
      client_id: "docker",
      username: "alice",
      password: "alice's password",
    };
    const byPost = (await post({ ...fields, access_type: "offline" })).body.refresh_token;

    for (const token of [byGet, byGet, byPost]) {
      const { status, body } = await refresh(token, { scope: "repository:alice/shut:pull" });
      expect(status).toBe(200);
      expect(body.refresh_token).toBe(token);
      const used = await gate.server().send("GET", "/v2/alice/shut/tags/list", { headers: bearer(body.access_token) });
      expect(used.body).toEqual({ actor: "alice", kind: "user" });
    }
  });

  it("is not given to nobody", async () => {
    const { status, body } = await get({ service, offline_token: "true" });

    expect([status, body.refresh_token]).toEqual([200, undefined]);
  });

  it("stands for no more than its user", async () => {
    const { body } = await refresh(await signIn("docker", "bob"), { scope: "repository:alice/shut:pull,push" });

    expect(accessIn(body.access_token)).toEqual([]);
  });

  it("is refused from another client, at another service, as a bearer token and as a password", async () => {
    const token = await signIn("docker");

    expect((await refresh(token, { client_id: "other" })).status).toBe(401);
    expect((await refresh(token, { service: "staging.test" })).status).toBe(400);
    expect((await gate.server().send("GET", "/v2/", { headers: bearer(token) })).status).toBe(401);
    expect((await get({ service }, basic("alice", token))).status).toBe(401);
  });

  it("is no access token, and an access token is none of it", async () => {
    const { body } = await get({ service }, alice);

    expect((await refresh(body.token)).status).toBe(401);
  });

  it("ends with a new password and, for as long as it lasts, with a suspension", async () => {
    await gate.server().addUser("carol", "carol's password");
    const token = await signIn("docker", "carol");
    await gate.server().database.query("", "update users set suspended = true where name = 'carol'");
    const suspended = await refresh(token);
    await gate.server().database.query("", "update users set suspended = false where name = 'carol'");
    const again = await refresh(token);

    const body = '{"password":"a new password"}';
    await gate.server().send("PUT", "/api/v1/users/carol", { headers: basic("carol", "carol's password"), body });
    const changed = await refresh(token);

    expect([suspended.status, again.status, changed.status]).toEqual([401, 200, 401]);
  });

  it("lies in the database only as a hash", async () => {
    const token = await signIn("docker");

    const rows = await gate
      .server()
      .database.query("", "select to_jsonb(t) as row, encode(token_hash, 'base64') as h from refresh_tokens t");

    expect(rows.length).toBeGreaterThan(0);
    expect(JSON.stringify(rows)).not.toContain(token.slice(4));
  });
});
