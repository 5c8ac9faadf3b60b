import { describe, expect, it } from "vitest";
import { parseRepositoryName } from "../oci/repository-name.ts";
import { ALL, alice, bob, PULL, PUSH, realm, seen, useGate } from "./test-gate.ts";
import { basic, bearer, openTestServer } from "./test-server.ts";

const gate = useGate();
const { ask, statuses } = gate;

const root = basic("root", "root's password");

describe("gate, with a password", () => {
  it("lets the owner of the namespace do everything there, to what exists and what does not", async () => {
    expect(await statuses("alice/open", alice)).toEqual([200, 200, 200, 200, 200]);
    expect(await statuses("alice/shut", alice)).toEqual([200, 200, 200, 200, 200]);
    expect(await statuses("alice/new/deep", alice)).toEqual([200, 200, 200, 200, 200]);
  });

  it("lets a system administrator do everything everywhere", async () => {
    expect(await statuses("alice/shut", root)).toEqual([200, 200, 200, 200, 200]);
    expect(await statuses("bob/new", root)).toEqual([200, 200, 200, 200, 200]);
  });

  it("tells a system administrator who pushes to an unknown namespace to make it first", async () => {
    const { status, body } = await ask(PUSH, "nobody/new", root);

    expect([status, body.errors[0].code]).toEqual([403, "DENIED"]);
    expect(body.errors[0].message).toMatch(/no user or organization nobody; make it first: goldseal org create nobody/);
  });

  it("lets another user pull what is public, and says no to the rest", async () => {
    expect(await statuses("alice/open", bob)).toEqual([200, 403, 403, 403, 403]);
  });

  it("answers for a hidden repository as for a missing one, to the byte", async () => {
    for (const operation of ALL) {
      const hidden = await ask(operation, "alice/shut", bob);
      const missing = await ask(operation, "alice/none", bob);

      expect(seen(hidden, "alice/shut")).toBe(seen(missing, "alice/none"));
      expect(hidden.status).toBe(operation === PULL ? 404 : 403);
      expect(hidden.body.errors[0].code).toBe(operation === PULL ? "NAME_UNKNOWN" : "DENIED");
    }
  });

  it("says in a refusal who may not do what, and where to turn", async () => {
    const { body } = await ask(PUSH, "alice/open", bob);

    expect(body.errors[0].message).toMatch(/^bob has no right to push to alice\/open; its owner .* can give it/);
  });

  it("refuses a wrong password, an unknown and a suspended user with one and the same answer", async () => {
    const wrong = await ask(PULL, "alice/open", basic("alice", "guess"));
    const unknown = await ask(PULL, "alice/open", basic("nobody", "guess"));
    const suspended = await ask(PULL, "alice/open", basic("sue", "sue's password"));
    const impossible = await ask(PULL, "alice/open", basic("No\0body", "guess"));

    expect(wrong.status).toBe(401);
    expect(wrong.headers["www-authenticate"]).toBe(`Bearer ${realm},scope="repository:alice/open:pull"`);
    for (const other of [unknown, suspended, impossible]) expect(seen(other, "")).toBe(seen(wrong, ""));
  });

  it("takes the scheme in any case", async () => {
    const shouted = { authorization: alice.authorization.replace("Basic", "bAsIc") };

    expect((await ask(PULL, "alice/shut", shouted)).status).toBe(200);
  });

  it.each([
    ["two headers", { Authorization: [alice.authorization, bob.authorization] }],
    ["twice the same header", { Authorization: [alice.authorization, alice.authorization] }],
    ["no scheme", { authorization: "YWxpY2U6cGFzcw==" }],
    ["an unknown scheme", { authorization: "Digest abc" }],
    ["an empty header", { authorization: "" }],
    ["Basic without text", { authorization: "Basic " }],
    ["Basic without a colon", { authorization: `Basic ${Buffer.from("alice").toString("base64")}` }],
    ["Basic that is not UTF-8", { authorization: "Basic /zr/" }],
    ["Basic that is not base64", { authorization: "Basic a" }],
  ])("refuses %s with 401, on public repositories too", async (_, headers) => {
    const { status, body } = await ask(PULL, "alice/open", headers);

    expect({ status, code: body.errors[0].code }).toEqual({ status: 401, code: "UNAUTHORIZED" });
  });

  it("speaks of an invalid name only to those whose credentials are good", async () => {
    const good = await ask(PULL, "Alice/UPPER", alice);
    const bad = await ask(PULL, "Alice/UPPER", basic("alice", "guess"));
    const anonymous = await ask(PULL, "Alice/UPPER");

    expect([good.status, bad.status, anonymous.status]).toEqual([400, 401, 400]);
    expect(good.body.errors[0].code).toBe("NAME_INVALID");
    expect(bad.headers["www-authenticate"]).toBe(`Bearer ${realm}`);
  });

  it("obeys a suspension and a changed visibility in the very next request", async () => {
    await gate.server().addUser("carol", "carol's password");
    const carol = basic("carol", "carol's password");
    await gate.server().repositories.create(parseRepositoryName("carol/app"));
    const before = [await ask(PULL, "carol/app", carol), await ask(PULL, "carol/app", bob)];

    await gate.server().repositories.setVisibility(parseRepositoryName("carol/app"), "public");
    await gate.server().database.query("", "update users set suspended = true where name = 'carol'");
    const after = [await ask(PULL, "carol/app", carol), await ask(PULL, "carol/app", bob)];

    expect(before.map(({ status }) => status)).toEqual([200, 404]);
    expect(after.map(({ status }) => status)).toEqual([401, 200]);
  });
});

describe("gate, without credentials", () => {
  it("lets anyone pull what is public and challenges for the rest, hidden or missing", async () => {
    expect(await statuses("alice/open")).toEqual([200, 401, 401, 401, 401]);
    expect(await statuses("alice/shut")).toEqual([401, 401, 401, 401, 401]);
    for (const operation of ALL) {
      const [hidden, missing] = [await ask(operation, "alice/shut"), await ask(operation, "alice/none")];
      expect(seen(hidden, "alice/shut")).toBe(seen(missing, "alice/none"));
    }
  });

  it("names in its one challenge the scope that would do", async () => {
    const challenges = await Promise.all(ALL.map(async (operation) => (await ask(operation, "alice/shut")).headers));

    expect(challenges.map((headers) => headers["www-authenticate"])).toEqual([
      `Bearer ${realm},scope="repository:alice/shut:pull"`,
      `Bearer ${realm},scope="repository:alice/shut:pull,push"`,
      `Bearer ${realm},scope="repository:alice/shut:pull,delete"`,
      `Bearer ${realm},scope="repository:alice/shut:pull,delete"`,
      `Bearer ${realm},scope="repository:alice/shut:*"`,
    ]);
  });

  it("challenges at GET /v2/, which is how docker learns to sign in", async () => {
    const without = await gate.server().send("GET", "/v2/");
    const withPassword = await gate.server().send("GET", "/v2/", { headers: bob });
    const withWrong = await gate.server().send("GET", "/v2/", { headers: basic("bob", "guess") });

    expect([without.status, withPassword.status, withWrong.status]).toEqual([401, 200, 401]);
    expect(without.headers["www-authenticate"]).toBe(`Bearer ${realm}`);
  });
});

/** Without the sentence for people, which names a decision. */

describe("gate, with the Basic challenge and without anonymous pulls", () => {
  it("offers Basic alone, takes tokens all the same, and lets nobody in unasked", async () => {
    const strict = await openTestServer({ authChallenge: "basic", anonymous: false });
    await strict.addUser("alice", "alice's password");
    await strict.repositories.create(parseRepositoryName("alice/open"));
    await strict.repositories.setVisibility(parseRepositoryName("alice/open"), "public");
    const path = "/v2/alice/open/tags/list";
    const { body } = await strict.send("GET", "/token?scope=repository:alice/open:pull", { headers: alice });

    const without = await strict.send("GET", path);
    const invalidName = await strict.send("GET", "/v2/UPPER/x/tags/list");
    const catalog = await strict.send("GET", "/v2/_catalog");
    const tokenOfNobody = await strict.send("GET", "/token");
    const withToken = await strict.send("GET", path, { headers: bearer(body.token) });

    for (const { status, headers } of [without, invalidName, catalog, tokenOfNobody]) {
      expect({ status, challenge: headers["www-authenticate"] }).toEqual({
        status: 401,
        challenge: 'Basic realm="goldseal"',
      });
    }
    expect(withToken.status).toBe(200);
    await strict.close();
  });
});
