import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { readAccess } from "./access-lookup.ts";
import { type Ask, basic, bearer, openTestServer, publicUrl, type TestServer } from "./test-server.ts";

/** Who learns or changes by REST what is not theirs to. */
let server: TestServer;

const as = (name: string) => basic(name, `${name}'s password`);
const root = as("root");

beforeAll(async () => {
  server = await openTestServer();
  await server.addUser("root", "root's password", { systemAdmin: true });
  for (const name of ["owner", "keeper", "member", "stranger"]) await server.addUser(name, `${name}'s password`);
  await must("PUT", "orgs/lab", {});
  await must("PUT", "orgs/lab/members/owner", { role: "owner" });
  for (const name of ["keeper", "member"]) await must("PUT", `orgs/lab/members/${name}`, { role: "member" });
  for (const repo of ["app", "secret%2Fplan"])
    await must("PUT", `orgs/lab/repositories/${repo}`, { visibility: "private" });
  await must("PUT", "orgs/lab/teams/keepers", {});
  await must("PUT", "orgs/lab/teams/keepers/members/keeper", { admin: true });
  await must("PUT", "orgs/lab/teams/keepers/grants/app", { level: "admin" });
  await must("PUT", "orgs/lab/teams/planners", {});
  await must("PUT", "orgs/lab/teams/planners/grants/secret%2Fplan", { level: "admin" });
});

beforeEach(() => server.database.query("", "delete from sign_in_failures"));

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

describe("a robot whose row has the id of the system administrator", () => {
  it("reads no audit and explains nobody but itself", async () => {
    const { secret } = await must("PUT", "orgs/lab/robots/twin", { grants: [{ scope: "app", actions: ["pull"] }] });
    const [ids] = await server.database.query(
      "",
      "select (select id from users where name = 'root') = (select id from robots where name = 'twin') as same",
    );
    expect(ids?.same).toBe(true);

    const audit = await rest("GET", "audit", undefined, bearer(secret));
    const other = await rest("GET", "explain?user=owner&action=pull&repository=lab/app", undefined, bearer(secret));
    const self = await rest("GET", "explain?action=pull&repository=lab/app", undefined, bearer(secret));

    expect([audit.status, audit.body.entries]).toEqual([200, []]);
    expect([other.status, self.status, self.body.allowed]).toEqual([404, 200, true]);
  });
});

describe("a robot that lost all its repositories", () => {
  it("is rotated, changed and deleted by owners only", async () => {
    await must("PUT", "orgs/lab/repositories/gone", { visibility: "private" });
    await must("PUT", "orgs/lab/robots/bare", { grants: [{ scope: "gone", actions: ["pull"] }] });
    await must("DELETE", "orgs/lab/repositories/gone");

    const rotated = await rest("POST", "orgs/lab/robots/bare/rotate", {}, as("member"));
    const taken = await rest(
      "PUT",
      "orgs/lab/robots/bare",
      { grants: [{ scope: "app", actions: ["pull"] }] },
      as("keeper"),
    );
    const deleted = await rest("DELETE", "orgs/lab/robots/bare", undefined, as("member"));

    expect([rotated.status, taken.status, deleted.status]).toEqual([403, 403, 403]);
    expect((await rest("POST", "orgs/lab/robots/bare/rotate", {}, as("owner"))).status).toBe(201);
  });
});

describe("a rotated secret", () => {
  it("is no longer good for a transaction that began before and waited for the rotation", async () => {
    await must("PUT", "orgs/lab/robots/turned", { grants: [{ scope: "app", actions: ["push"] }] });
    const facts = await server.database.transaction(async (sql) => {
      const [secret] = await sql.query(
        "",
        "select s.id from robot_secrets s join robots b on b.id = s.robot_id where b.full_name = 'lab+turned'",
      );
      const key = { user: "lab+turned", credential: Number(secret?.id), repository: "" } as const;
      expect((await readAccess(sql, key)).credentialGood).toBe(true);
      await must("POST", "orgs/lab/robots/turned/rotate", {});
      return readAccess(sql, key);
    });

    expect(facts.credentialGood).toBe(false);
  });
});

describe("what a plain member of an organization sees", () => {
  it("names no repository that is hidden from the member", async () => {
    await must("PUT", "orgs/lab/robots/planner", { grants: [{ scope: "secret/plan", actions: ["pull"] }] });
    const paths = [
      "orgs/lab/teams/planners/grants",
      "orgs/lab/teams/planners/grants/secret%2Fplan",
      "orgs/lab/robots",
      "orgs/lab/robots/planner",
      "orgs/lab/repositories",
    ];
    for (const path of paths) {
      const { text } = await rest("GET", path, undefined, as("member"));
      expect([path, text]).toEqual([path, expect.not.stringContaining("secret")]);
    }
  });
});

describe("who there is", () => {
  it("is not told to a team's administrator: unknown or of another organization is one answer", async () => {
    const put = (user: string) => rest("PUT", `orgs/lab/teams/keepers/members/${user}`, {}, as("keeper"));
    const [outside, nobody] = [await put("stranger"), await put("nonesuch")];

    expect(nobody.text.replaceAll("nonesuch", "x")).toBe(outside.text.replaceAll("stranger", "x"));
    expect([outside.status, nobody.status]).toEqual([409, 409]);
  });

  it("is not told by explain, which every user may ask about the own namespace", async () => {
    for (const user of ["owner", "nonesuch", "root"]) {
      const { status } = await rest(
        "GET",
        `explain?user=${user}&action=pull&repository=stranger/x`,
        undefined,
        as("stranger"),
      );
      expect([user, status]).toEqual([user, 404]);
    }
  });
});

describe("odd input", () => {
  it.each([
    "audit?actor=%00",
    "audit?action=a%00",
    "audit?target=%00*",
    "explain?user=%00&action=pull&repository=lab/app",
  ])("answers 400 to %s", async (path) => {
    const { status, body } = await rest("GET", path, undefined);
    expect([status, body.code]).toEqual([400, "invalid-request"]);
  });

  it.each(["users?sort=password_hash", "users?password_hash=a", "audit?actr=ann", "orgs/lab?expand=members"])(
    "refuses a query parameter that the path does not have: %s",
    async (path) => {
      const { status, body } = await rest("GET", path, undefined);
      expect([status, body.code]).toEqual([400, "invalid-request"]);
    },
  );

  it("takes no slash in the organization of a path, which would put the change on nobody's record", async () => {
    await must("PUT", "orgs/lab/repositories/in%2Fside", { visibility: "private" });
    const { status } = await rest("DELETE", "orgs/lab%2Fin/repositories/side", undefined);
    expect(status).toBe(400);
  });
});

describe("a browser that another site's page drives", () => {
  it("changes nothing with the password that it remembers", async () => {
    const headers = { ...as("owner"), origin: "https://evil.test", "content-type": "text/plain" };
    const { status, body } = await rest("POST", "orgs/lab/repositories/app/rename", { name: "lab/evil" }, headers);
    expect([status, body.code]).toEqual([403, "forbidden"]);

    const own = { ...as("owner"), origin: publicUrl };
    expect((await rest("PUT", "orgs/lab/repositories/app", { visibility: "private" }, own)).status).toBe(200);
  });
});

describe("GET of one thing", () => {
  it("answers 304 to whom has it already", async () => {
    const { headers } = await rest("GET", "orgs/lab", undefined);
    const again = await rest("GET", "orgs/lab", undefined, { ...root, "if-none-match": headers.etag ?? "" });
    expect([again.status, again.text, again.headers.etag]).toEqual([304, "", headers.etag]);
  });
});

describe("a new password", () => {
  it("ends the user's personal tokens too", async () => {
    await server.addUser("robbed", "robbed's password");
    const { body } = await rest("POST", "tokens", { name: "thief" }, as("robbed"));
    expect((await rest("GET", "users/robbed", undefined, bearer(body.secret))).status).toBe(200);

    await must("PUT", "users/robbed", { password: "another password" });

    expect((await rest("GET", "users/robbed", undefined, bearer(body.secret))).status).toBe(401);
  });
});
