import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type Answer, type Ask, basic, openTestServer, type TestServer } from "./test-server.ts";

let server: TestServer;

const root = basic("root", "root's password");
const owner = basic("owner", "owner's password");
const keeper = basic("keeper", "keeper's password");
const stranger = basic("stranger", "stranger's password");

beforeAll(async () => {
  server = await openTestServer();
  await server.addUser("root", "root's password", { systemAdmin: true });
  for (const name of ["owner", "keeper", "stranger", "sleeper"]) await server.addUser(name, `${name}'s password`);
  await must("PUT", "users/sleeper", { suspended: true });
  await must("PUT", "orgs/acme", {});
  await must("PUT", "orgs/acme/members/owner", { role: "owner" });
  await must("PUT", "orgs/acme/members/keeper", { role: "member" });
  await must("PUT", "orgs/acme/teams/dev", {});
  await must("PUT", "orgs/acme/teams/dev/members/keeper", { admin: true });
  await must("PUT", "orgs/acme/repositories/app", { visibility: "private" });
  await must("PUT", "orgs/acme/robots/ci", { grants: [{ scope: "*", actions: ["pull"] }] });
});

beforeEach(() => server.database.query("", "delete from sign_in_failures"));

afterAll(() => server.close());

function rest(method: string, path: string, body: unknown, headers: Ask["headers"]) {
  const sent = body === undefined ? {} : { body: JSON.stringify(body) };
  return server.send(method, `/api/v1/${path}`, { headers: { ...headers }, ...sent });
}

async function must(method: string, path: string, body: unknown): Promise<void> {
  const { status, text } = await rest(method, path, body, root);
  if (status >= 300) throw new Error(`${method} ${path} answered ${status}: ${text}`);
}

/** Status, headers, body and with it its length, but for what differs between any two answers. */
function seen({ status, headers, text }: Answer) {
  const { date: _, "x-request-id": __, ...rest } = headers;
  return { status, rest, length: text.length, text: text.replaceAll(/(decision\W+)[a-z2-9]{16}/g, "$1<id>") };
}

/** Names of one length, so that not even an echo could tell them apart. */
const WRONG = {
  "a user with a wrong password": ["keeper", "guess"],
  nobody: ["nobody", "guess"],
  "a suspended user with the right password": ["sleeper", "sleeper's password"],
  "a suspended user with a wrong password": ["sleeper", "guess"],
  "an organization": ["acme", "guess"],
  "a robot with a wrong password": ["acme+ci", "guess"],
  "a robot with another's secret": ["acme+ci", `gsb_${"A".repeat(43)}`],
  "an unknown robot": ["acme+no", "guess"],
  "an unknown robot with a secret": ["acme+no", `gsb_${"A".repeat(43)}`],
  "a user with an unknown token": ["keeper", `gsp_${"A".repeat(43)}`],
  "a name that is none": ["No Body\0", "guess"],
} as const;

const DOORS: Record<string, (name: string, password: string) => Promise<Answer>> = {
  "GET /v2/": (name, password) => server.send("GET", "/v2/", { headers: basic(name, password) }),
  "GET /v2/<name>": (name, password) =>
    server.send("GET", "/v2/acme/app/manifests/x", { headers: basic(name, password) }),
  "GET /token": (name, password) => server.send("GET", "/token", { headers: basic(name, password) }),
  "POST /token": (name, password) =>
    server.send("POST", "/token", {
      headers: { "content-type": "application/x-www-form-urlencoded" },
      body: new URLSearchParams({ grant_type: "password", username: name, password }).toString(),
    }),
  REST: (name, password) => rest("GET", "users/keeper", undefined, basic(name, password)),
};

describe("a sign-in that fails", () => {
  it.each(Object.keys(DOORS))("by %s tells nothing of who there is", async (door) => {
    const answers = new Map<string, Answer>();
    for (const [who, [name, password]] of Object.entries(WRONG)) {
      await server.database.query("", "delete from sign_in_failures");
      const answer = await DOORS[door]?.(name, password);
      if (answer !== undefined) answers.set(who, answer);
    }

    const first = answers.get("nobody");
    expect([first?.status, answers.size]).toEqual([401, Object.keys(WRONG).length]);
    for (const [who, answer] of answers) expect([who, seen(answer)]).toEqual([who, first && seen(first)]);
  });

  it("counts the same for whoever it names", async () => {
    for (const [name, password] of [
      ["keeper", "guess"],
      ["nobody", "guess"],
      ["acme", "guess"],
      ["acme+ci", "guess"],
      ["sleeper", "sleeper's password"],
    ] as const) {
      await server.database.query("", "delete from sign_in_failures");
      for (let n = 0; n < 10; n++) await DOORS["GET /token"]?.(name, password);

      const limited = await DOORS["GET /token"]?.(name, password);

      expect([name, limited?.status]).toEqual([name, 429]);
    }
  });
});

describe("to a stranger", () => {
  it.each([
    ["GET", "orgs/acme", "orgs/none", undefined],
    ["PUT", "orgs/acme", "orgs/none", {}],
    ["GET", "orgs/acme/members", "orgs/none/members", undefined],
    ["PUT", "orgs/acme/members/stranger", "orgs/none/members/stranger", { role: "owner" }],
    ["GET", "orgs/acme/teams/dev", "orgs/none/teams/dev", undefined],
    ["GET", "orgs/acme/robots/ci", "orgs/none/robots/ci", undefined],
    ["DELETE", "orgs/acme/robots/ci", "orgs/none/robots/ci", undefined],
    ["GET", "orgs/acme/repositories/app", "orgs/acme/repositories/non", undefined],
    ["PUT", "orgs/acme/repositories/app", "orgs/none/repositories/app", { visibility: "public" }],
    ["GET", "orgs/acme/repositories", "orgs/none/repositories", undefined],
    ["POST", "orgs/stranger/repositories/own/rename", "orgs/stranger/repositories/own/rename", { name: "acme/app" }],
    ["GET", "users/keeper", "users/nobody", undefined],
    ["PUT", "users/keeper", "users/nobody", { password: "a new password" }],
    [
      "GET",
      "explain?action=pull&repository=acme/app&user=keeper",
      "explain?action=pull&repository=acme/app&user=nobody",
      undefined,
    ],
  ])("%s %s looks like %s", async (method, there, missing, body) => {
    const answers = [await rest(method, there, body, stranger), await rest(method, missing, body, stranger)];

    const [one, other] = answers.map(seen);
    expect(one).toEqual(other);
  });

  it("a rename into a hidden organization looks like one into none", async () => {
    await must("PUT", "orgs/stranger/repositories/mine", { visibility: "private" });
    const into = (name: string) => rest("POST", "orgs/stranger/repositories/mine/rename", { name }, stranger);

    const [hidden, missing] = [await into("acme/mine"), await into("none/mine")];

    expect([hidden.status, hidden.body.code]).toEqual([403, "forbidden"]);
    expect({
      ...seen(missing),
      text: missing.text.replaceAll("none", "acme").replaceAll(/decision\W+\w{16}/g, ""),
    }).toEqual({
      ...seen(hidden),
      text: hidden.text.replaceAll(/decision\W+\w{16}/g, ""),
    });
  });
});

describe("somebody who adds people", () => {
  it("to a team hears the same of who is not of the organization and of who does not exist", async () => {
    const add = (name: string) => rest("PUT", `orgs/acme/teams/dev/members/${name}`, {}, keeper);

    const [outside, nobody] = [await add("stranger"), await add("no-people")];

    expect([outside.status, outside.body.code]).toEqual([409, "not-a-member"]);
    expect(seen(nobody).length - "no-people".length).toBe(seen(outside).length - "stranger".length);
    expect(nobody.text.replaceAll("no-people", "stranger")).toBe(outside.text);
  });

  it("to an organization learns whom there is not: an owner must, and every miss is on record", async () => {
    const { status, body } = await rest("PUT", "orgs/acme/members/no-people", { role: "member" }, owner);
    const { body: found } = await rest(
      "GET",
      "audit?outcome=refused&target=orgs/acme/members/no-people",
      undefined,
      root,
    );

    expect([status, body.code, body.detail]).toEqual([404, "not-found", "there is no user no-people"]);
    expect(found.entries).toMatchObject([{ actor: "owner", action: "org-member-put", outcome: "refused" }]);
  });
});
