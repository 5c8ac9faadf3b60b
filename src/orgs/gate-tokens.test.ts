import { describe, expect, it } from "vitest";
import { parseRepositoryName } from "../oci/repository-name.ts";
import { alice, bob, DELETE, PULL, PUSH, realm, seen, useGate } from "./test-gate.ts";
import { type Answer, type Ask, basic, bearer } from "./test-server.ts";

const gate = useGate();
const { ask, statuses } = gate;

async function tokenOf(who: Ask["headers"], ...scopes: string[]): Promise<string> {
  const query = scopes.map((scope) => `scope=${encodeURIComponent(scope)}`).join("&");
  const { status, body } = await gate
    .server()
    .send("GET", `/token?${query}`, who === undefined ? {} : { headers: who });
  expect(status).toBe(200);
  return body.token;
}

function challengeOf({ headers }: Answer): string | undefined {
  return headers["www-authenticate"]?.replace(/,error_description="[^"]+ \(decision [a-z2-9]{16}\)"$/, "");
}

describe("gate, with a token", () => {
  it("lets a token do what it names, and challenges with insufficient_scope for what it does not", async () => {
    const token = bearer(await tokenOf(alice, "repository:alice/shut:pull,push"));

    expect(await statuses("alice/shut", token)).toEqual([200, 200, 401, 401, 401]);
    expect(await statuses("alice/open", token)).toEqual([401, 401, 401, 401, 401]);
    expect(challengeOf(await ask(DELETE, "alice/shut", token))).toBe(
      `Bearer ${realm},scope="repository:alice/shut:pull,delete",error="insufficient_scope"`,
    );
  });

  it("says to a person who was granted nothing what is missing, hidden or not, and where to turn", async () => {
    const token = bearer(await tokenOf(bob, "repository:alice/shut:pull", "repository:alice/none:pull"));

    const [hidden, missing] = [await ask(PULL, "alice/shut", token), await ask(PULL, "alice/none", token)];

    expect(hidden.body.errors[0].message).toMatch(
      /^the token of bob does not allow to pull from alice\/shut; its owner/,
    );
    expect(seen(hidden, "alice/shut")).toBe(seen(missing, "alice/none"));
  });

  it("judges each token and each action by itself, whatever was decided for another of the same user a moment ago", async () => {
    const tokens = [
      await tokenOf(alice, "repository:alice/shut:pull"),
      await tokenOf(alice, "repository:alice/shut:push"),
      await tokenOf(alice, "repository:alice/open:pull,push"),
    ];

    for (let round = 0; round < 2; round++) {
      const rows = [];
      for (const token of tokens) rows.push((await statuses("alice/shut", bearer(token))).slice(0, 2));
      expect(rows).toEqual([
        [200, 401],
        [401, 200],
        [401, 401],
      ]);
    }
  });

  it("keeps delete apart from push and pull", async () => {
    const token = bearer(await tokenOf(alice, "repository:alice/shut:delete"));

    expect(await statuses("alice/shut", token)).toEqual([401, 401, 200, 200, 401]);
  });

  it("takes * for everything", async () => {
    const token = bearer(await tokenOf(alice, "repository:alice/shut:*"));

    expect(await statuses("alice/shut", token)).toEqual([200, 200, 200, 200, 200]);
  });

  it("takes any good token at GET /v2/, one of nobody too", async () => {
    const tokens = [
      await tokenOf(undefined),
      await tokenOf(bob),
      await tokenOf(undefined, "repository:alice/open:pull"),
    ];

    const answers = await Promise.all(
      tokens.map((token) => gate.server().send("GET", "/v2/", { headers: bearer(token) })),
    );

    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200]);
  });

  it("shows the catalog to tokens that name it", async () => {
    const named = await tokenOf(bob, "registry:catalog:*");
    const other = await tokenOf(bob, "repository:alice/open:pull");

    const shown = await gate.server().send("GET", "/v2/_catalog", { headers: bearer(named) });
    const refused = await gate.server().send("GET", "/v2/_catalog", { headers: bearer(other) });

    expect([shown.status, refused.status]).toEqual([200, 401]);
    expect(challengeOf(refused)).toBe(`Bearer ${realm},scope="registry:catalog:*",error="insufficient_scope"`);
  });

  it("gives a token of nobody nothing on what is hidden or missing, with one answer", async () => {
    const token = bearer(await tokenOf(undefined, "repository:alice/shut:pull", "repository:alice/none:pull"));

    const [hidden, missing] = [await ask(PULL, "alice/shut", token), await ask(PULL, "alice/none", token)];

    expect(hidden.status).toBe(401);
    expect(seen(hidden, "alice/shut")).toBe(seen(missing, "alice/none"));
  });

  it("knows that a right named by the token is gone: 404 to read, 403 to write", async () => {
    await gate.server().repositories.create(parseRepositoryName("bob/box"));
    await gate.server().repositories.setVisibility(parseRepositoryName("bob/box"), "public");
    const token = bearer(await tokenOf(alice, "repository:bob/box:pull"));
    await gate.server().addUser("adam", "adam's password", { systemAdmin: true });
    const ofAdam = bearer(await tokenOf(basic("adam", "adam's password"), "repository:bob/box:pull,push"));
    const before = [await ask(PULL, "bob/box", token), await ask(PUSH, "bob/box", ofAdam)];

    await gate.server().repositories.setVisibility(parseRepositoryName("bob/box"), "private");
    await gate.server().database.query("", "update users set system_admin = false where name = 'adam'");
    const after = [await ask(PULL, "bob/box", token), await ask(PUSH, "bob/box", ofAdam)];

    expect(before.map(({ status }) => status)).toEqual([200, 200]);
    expect(after.map(({ status }) => status)).toEqual([404, 403]);
  });

  it("ends with its user's suspension and with a new password, at once", async () => {
    await gate.server().addUser("dora", "dora's password");
    const dora = basic("dora", "dora's password");
    const first = bearer(await tokenOf(dora, "repository:dora/app:pull"));
    await gate.server().database.query("", "update users set suspended = true where name = 'dora'");
    const suspended = await ask(PULL, "dora/app", first);
    await gate.server().database.query("", "update users set suspended = false where name = 'dora'");
    const again = await ask(PULL, "dora/app", first);

    const changed = await gate.server().send("PUT", "/api/v1/users/dora", {
      headers: dora,
      body: '{"password":"a new password"}',
    });
    const afterwards = await ask(PULL, "dora/app", first);

    expect([suspended.status, again.status, changed.status, afterwards.status]).toEqual([401, 200, 200, 401]);
    expect(afterwards.headers["www-authenticate"]).toMatch(/error="invalid_token"$/);
  });

  it("ends when its user is gone, though another takes the name", async () => {
    await gate.server().addUser("emil", "emil's password");
    const token = bearer(await tokenOf(basic("emil", "emil's password"), "repository:emil/app:pull"));
    await gate.server().database.query("", "delete from users where name = 'emil'");
    await gate.server().database.query("", "delete from namespaces where name = 'emil'");
    const gone = await ask(PULL, "emil/app", token);

    await gate.server().addUser("emil", "another password");
    const another = await ask(PULL, "emil/app", token);

    expect([gone.status, another.status]).toEqual([401, 401]);
  });

  it("gives a user called anonymous nothing that anonymous has not, and the reverse", async () => {
    await gate.server().addUser("anonymous", "a real user's password");
    const ofNobody = bearer(await tokenOf(undefined, "repository:anonymous/app:pull,push"));

    expect((await ask(PUSH, "anonymous/app", ofNobody)).status).toBe(401);
  });
});
