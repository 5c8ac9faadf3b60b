import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { pushParts, putManifest, startUpload } from "../testing/images.ts";
import { openTestApp, type TestApp } from "../testing/open-test-app.ts";

let app: TestApp;
let run = 0;
let org = "";

beforeAll(async () => {
  app = await openTestApp();
});

/** Names are reserved for long, so every test has an organization of its own, with alice as owner and bob in a team. */
beforeEach(async () => {
  org = `lab${run++}`;
  await must("PUT", `orgs/${org}`, {});
  await must("PUT", `orgs/${org}/members/alice`, { role: "owner" });
  await must("PUT", `orgs/${org}/members/bob`, { role: "member" });
  await must("PUT", `orgs/${org}/teams/dev`, {});
  await must("PUT", `orgs/${org}/teams/dev/members/bob`, {});
  await pushParts({ app, as: "alice", repository: `${org}/app` });
  await must("PUT", `orgs/${org}/teams/dev/grants/app`, { level: "read-write" });
});

afterAll(async () => {
  expect(app.errors()).toEqual([]);
  await app[Symbol.asyncDispose]();
});

function rest(method: string, path: string, body?: unknown, as = "admin") {
  return app.ask(method, `/api/v1/${path}`, { as, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
}

async function must(method: string, path: string, body?: unknown): Promise<void> {
  const { status, body: text } = await rest(method, path, body);
  if (status >= 300) throw new Error(`${method} ${path} answered ${status}: ${text}`);
}

async function tokenOf(as: string, scope: string) {
  const { body } = await app.ask("GET", `/token?scope=${scope}`, { as });
  return { authorization: `Bearer ${JSON.parse(body.toString()).token}` };
}

async function tagsList(repository: string, ask: { as?: string; headers?: Record<string, string> }) {
  return (await app.ask("GET", `/v2/${repository}/tags/list`, ask)).status;
}

const PRIVATE = { visibility: "private" };

const rename = (repo: string, name: string, as = "alice") =>
  rest("POST", `orgs/${org}/repositories/${repo}/rename`, { name }, as);

describe("DELETE /api/v1/orgs/{org}/repositories/{repo}", () => {
  it("takes everything with it: an index and its children, tags, sessions, grants, and tokens given out for it", async () => {
    const place = { app, as: "alice", repository: `${org}/app` };
    const { manifest } = await pushParts(place);
    await putManifest(place, "v1", manifest);
    const session = await startUpload({ ...place, as: "bob" });
    const token = await tokenOf("bob", `repository:${org}/app:pull,push`);
    const before = await tagsList(`${org}/app`, { headers: token });

    const gone = await rest("DELETE", `orgs/${org}/repositories/app`, undefined, "alice");
    const missing = await rest("DELETE", `orgs/${org}/repositories/app`, undefined, "alice");
    await must("PUT", `orgs/${org}/repositories/app`, { visibility: "private" });
    await must("PUT", `orgs/${org}/teams/dev/grants/app`, { level: "read-write" });

    expect([before, gone.status, missing.status]).toEqual([200, 204, 404]);
    // Bob may again, but what he was given for the repository before is worth nothing here.
    expect(await tagsList(`${org}/app`, { as: "bob" })).toBe(200);
    const late = await app.ask("GET", `/v2/${org}/app/tags/list`, { headers: token });
    expect(late.status).toBe(401);
    expect(late.headers["www-authenticate"]).toContain('error="insufficient_scope"');
    expect((await app.ask("PUT", session, { as: "bob" })).status).toBe(400);
    expect((await app.ask("GET", session, { as: "bob" })).code).toBe("BLOB_UPLOAD_UNKNOWN");
    const renewed = await tokenOf("bob", `repository:${org}/app:pull,push`);
    expect(await tagsList(`${org}/app`, { headers: renewed })).toBe(200);
  });

  it("gives a repository made anew nothing of the grants of the old one", async () => {
    await must("DELETE", `orgs/${org}/repositories/app`);
    await must("PUT", `orgs/${org}/repositories/app`, { visibility: "private" });

    expect(await tagsList(`${org}/app`, { as: "bob" })).toBe(404);
  });

  it("keeps a push from making it again, and says how to", async () => {
    await must("DELETE", `orgs/${org}/repositories/app`);

    const push = await app.ask("POST", `/v2/${org}/app/blobs/uploads/`, { as: "alice" });
    const made = await rest("PUT", `orgs/${org}/repositories/app`, { visibility: "private" }, "alice");
    const again = await app.ask("POST", `/v2/${org}/app/blobs/uploads/`, { as: "alice" });

    expect([push.status, push.code, made.status, again.status]).toEqual([403, "DENIED", 201, 202]);
    expect(push.body.toString()).toContain(`goldseal repository create ${org}/app`);
  });

  it("is for administrators of the repository, and hides what is hidden", async () => {
    const byWriter = await rest("DELETE", `orgs/${org}/repositories/app`, undefined, "bob");
    await must("DELETE", `orgs/${org}/teams/dev/grants/app`);
    const byNobody = await rest("DELETE", `orgs/${org}/repositories/app`, undefined, "bob");

    expect([byWriter.status, byNobody.status]).toEqual([403, 404]);
  });

  it("while pushes go on ends them with a clear answer, and leaves nothing of theirs", async () => {
    const push = () => pushParts({ app, as: "bob", repository: `${org}/app` }).then(() => "done", String);
    const pushes = Array.from({ length: 8 }, push);

    const gone = await rest("DELETE", `orgs/${org}/repositories/app`, undefined, "alice");
    const ends = await Promise.all(pushes);

    expect(gone.status).toBe(204);
    for (const end of ends) expect(end).toMatch(/^done$|: (401|403|404) /);
    expect(await tagsList(`${org}/app`, { as: "alice" })).toBe(404);
  });
});

describe("POST /api/v1/orgs/{org}/repositories/{repo}/rename", () => {
  it("moves everything to the new name; the old one is missing for all, and nobody can have it", async () => {
    const place = { app, as: "alice", repository: `${org}/app` };
    await putManifest(place, "v1", (await pushParts(place)).manifest);
    const token = await tokenOf("bob", `repository:${org}/app:pull`);

    const { status, body } = await rename("app", `${org}/tools/app`);

    expect([status, JSON.parse(body.toString()).name]).toEqual([200, `${org}/tools/app`]);
    const tags = await app.ask("GET", `/v2/${org}/tools/app/tags/list`, { as: "bob" });
    expect(JSON.parse(tags.body.toString()).tags).toEqual(["v1"]);
    for (const as of ["alice", "bob", "admin"]) expect(await tagsList(`${org}/app`, { as })).toBe(404);
    expect(await tagsList(`${org}/app`, { headers: token })).toBe(401);
    const claims = [
      await rest("PUT", `orgs/${org}/repositories/app`, { visibility: "private" }),
      await rename("tools%2Fapp", `${org}/tools/app`),
      await app.ask("POST", `/v2/${org}/app/blobs/uploads/`, { as: "admin" }),
    ];
    expect(claims.map(({ status, code }) => [status, code])).toEqual([
      [409, "name-reserved"],
      [409, "name-taken"],
      [403, "DENIED"],
    ]);
  });

  it("lets the repository itself come back, and others only after 90 days", async () => {
    await pushParts({ app, as: "alice", repository: `${org}/other` });
    await rename("app", `${org}/moved`);
    const other = await rename("other", `${org}/app`);
    const back = await rename("moved", `${org}/app`);
    await rename("app", `${org}/moved`);
    await app.database.query("", "update repository_names set reserved_until = now() - interval '1 second'");
    const later = await rename("other", `${org}/app`);

    expect([other.status, other.code, back.status, later.status]).toEqual([409, "name-reserved", 200, 200]);
  });

  it("to another organization needs the right to make repositories there, and drops the old one's grants", async () => {
    const target = `target${run}`;
    const unknown = await rename("app", `${target}/app`, "admin");
    await must("PUT", `orgs/${target}`, {});
    const stranger = await rename("app", `${target}/app`);
    await must("PUT", `orgs/${target}/members/alice`, { role: "owner" });
    const owner = await rename("app", `${target}/app`);

    expect([unknown.status, stranger.status, owner.status]).toEqual([404, 403, 200]);
    expect(await tagsList(`${target}/app`, { as: "bob" })).toBe(404);
    expect(await tagsList(`${target}/app`, { as: "alice" })).toBe(200);
  });

  it("does not tell whoever administers the one repository which names are taken by what is hidden", async () => {
    for (const name of ["taken", "moved"]) await must("PUT", `orgs/${org}/repositories/${name}`, PRIVATE);
    await must("POST", `orgs/${org}/repositories/moved/rename`, { name: `${org}/elsewhere` });
    await must("PUT", `orgs/${org}/repositories/own`, PRIVATE);
    await must("PUT", `orgs/${org}/teams/dev/grants/own`, { level: "admin" });

    const held = await Promise.all(["taken", "moved"].map((name) => rename("own", `${org}/${name}`, "bob")));
    const seen = await rename("own", `${org}/own`, "bob");
    const free = await rename("own", `${org}/free`, "bob");

    const detail = (name: string) => `the name ${org}/${name} is taken or reserved; choose another`;
    expect(held.map(({ status, code, body }) => [status, code, JSON.parse(body.toString()).detail])).toEqual([
      [409, "name-taken", detail("taken")],
      [409, "name-taken", detail("moved")],
    ]);
    expect(JSON.parse(seen.body.toString()).detail).toBe(`there is a repository ${org}/own already`);
    expect(free.status).toBe(200);
  });

  it("refuses names that are none, and unknown fields", async () => {
    for (const body of [{ name: "app" }, { name: `${org}/../x` }, {}, { name: `${org}/b`, force: true }]) {
      const { status, code } = await rest("POST", `orgs/${org}/repositories/app/rename`, body, "alice");
      expect([status, code]).toEqual([400, "invalid-request"]);
    }
  });
});

describe("a push that goes on", () => {
  const begin = async (headers: Record<string, string>) => {
    const { status, headers: sent } = await app.ask("POST", `/v2/${org}/app/blobs/uploads/`, { headers });
    expect(status).toBe(202);
    return new URL(String(sent.location)).pathname;
  };

  it("survives the renewal of its token, and is cut by the very next request after the right is gone", async () => {
    const scope = `repository:${org}/app:pull,push`;
    const session = await begin(await tokenOf("bob", scope));
    const renewed = await tokenOf("bob", scope);
    const patch = (start: number) =>
      app.ask("PATCH", session, { headers: { ...renewed, "content-range": `${start}-${start + 4}` }, body: "12345" });
    const before = await patch(0);

    await must("DELETE", `orgs/${org}/teams/dev/members/bob`);
    const after = [
      await patch(5),
      await app.ask("PUT", `${session}?digest=sha256:${"0".repeat(64)}`, { headers: renewed }),
    ];
    await must("PUT", `orgs/${org}/teams/dev/members/bob`, {});

    expect(before.status).toBe(202);
    expect(after.map(({ status, code }) => [status, code])).toEqual([
      [403, "DENIED"],
      [403, "DENIED"],
    ]);
    expect((await patch(5)).status).toBe(202);
  });

  it("races with the deletion of its organization: one of the two is refused, and nothing is half there", async () => {
    const lone = `lone${run}`;
    for (let round = 0; round < 5; round++) {
      await must("PUT", `orgs/${lone}`, {});
      const [pushed, deleted] = await Promise.all([
        app.ask("POST", `/v2/${lone}/r${round}/blobs/uploads/`, { as: "admin" }),
        rest("DELETE", `orgs/${lone}`),
      ]);

      expect([pushed.status, deleted.status]).toEqual(
        deleted.status === 204 ? [expect.toBeOneOf([403, 404]), 204] : [202, 409],
      );
      if (deleted.status === 409) await must("DELETE", `orgs/${lone}/repositories/r${round}`);
    }
  });

  it("pulls by digest all through a rename, by the one name or the other", async () => {
    const place = { app, as: "alice", repository: `${org}/app` };
    const { manifest } = await pushParts(place);
    const digest = String((await putManifest(place, "v1", manifest)).headers["docker-content-digest"]);
    const pull = (name: string) => app.ask("GET", `/v2/${org}/${name}/manifests/${digest}`, { as: "alice" });

    const [before, , during, after] = await Promise.all([
      pull("app"),
      rename("app", `${org}/renamed`),
      pull("renamed"),
      pull("app"),
    ]);

    for (const { status } of [before, during, after]) expect([200, 404]).toContain(status);
    expect([(await pull("renamed")).status, (await pull("app")).status]).toEqual([200, 404]);
  });
});

describe("an upload session", () => {
  it("is its user's, and not that of a robot whose row has the same id", async () => {
    const grants = [{ scope: "app", actions: ["pull", "push"] }];
    const robots: { name: string; secret: string }[] = [];
    for (const name of ["one", "two", "three"]) {
      const { body } = await rest("PUT", `orgs/${org}/robots/${name}`, { grants });
      robots.push(JSON.parse(body.toString()));
    }
    const [same] = await app.database.query<{ robot: string; user: string }>(
      "",
      `select b.name as robot, u.name as "user" from robots b join users u on u.id = b.id
       where b.org = $1 and u.name in ('alice', 'bob')`,
      [org],
    );
    const robot = robots.find(({ name }) => name === same?.robot);
    const session = await startUpload({ app, as: String(same?.user), repository: `${org}/app` });
    const basic = Buffer.from(`${org}+${robot?.name}:${robot?.secret}`).toString("base64");
    const headers = { authorization: `Basic ${basic}` };

    const byRobot = await app.ask("GET", session, { headers });
    const own = await app.ask("GET", session, { as: String(same?.user) });

    expect([byRobot.status, byRobot.code, own.status]).toEqual([404, "BLOB_UPLOAD_UNKNOWN", 204]);
  });
});
