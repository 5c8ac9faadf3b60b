import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { parseRepositoryName } from "../../oci/repository-name.ts";
import { unconfirmed } from "../../storage/test-database.ts";
import { digestOf, OCI_MANIFEST, pathOf } from "../../testing/images.ts";
import { openTestApp } from "../../testing/open-test-app.ts";
import { basic, bearer, openTestServer, type TestServer } from "../test-server.ts";
import {
  addPerson,
  changeMembers,
  changePassword,
  groupDn,
  hasSlapd,
  personDn,
  type Slapd,
  startSlapd,
  toYaml,
} from "./test-slapd.ts";

const PEOPLE = ["ann", "ben", "Cid.Long", "admin", "local", "dup.name", "dup-name", "eve"];
const passwordOf = (uid: string) => `${uid}'s directory password`;
const root = basic("root", "root's password");
const MAY_CREATE = { repositoryId: undefined, mayCreate: true };

let slapd: Slapd;
let server: TestServer;

describe.skipIf(!hasSlapd)("sign-in by a directory (skipped without slapd: conformance/provision)", () => {
  beforeAll(async () => {
    slapd = await startSlapd(
      PEOPLE.map((uid) => ({ uid, password: passwordOf(uid) })),
      {
        dev: [personDn("ann")],
        nested: [groupDn("loop")],
        loop: [groupDn("nested"), personDn("ben")],
        all: [groupDn("dev"), groupDn("nested")],
      },
    );
    server = await openTestServer({ ldapFile: await configure("one.yaml") });
    await server.addUser("root", "root's password", { systemAdmin: true });
    await server.addUser("local", "local's own password");
    const put = (path: string, body: string) => server.send("PUT", `/api/v1/${path}`, { headers: root, body });
    await put("orgs/acme", "{}");
    for (const team of ["dev", "everyone"]) await put(`orgs/acme/teams/${team}`, "{}");
    await server.repositories.ensure(parseRepositoryName("acme/app"), MAY_CREATE, unconfirmed);
    await put("orgs/acme/teams/dev/grants/app", '{"level":"read-write","extra":[]}');
  });

  beforeEach(async () => {
    await server.database.query("", "delete from sign_in_failures");
    // What was verified a moment ago is remembered for a minute: each test begins later, by the clock of nobody but LDAP.
    server.clock.now = new Date(server.clock.now.getTime() + 1000);
  });

  afterAll(async () => {
    await server.close();
    await slapd.close();
  });

  const SYNC = [
    { group: groupDn("dev"), team: "acme/dev" },
    { group: groupDn("all"), team: "acme/everyone" },
  ];

  async function configure(name: string, more: Record<string, unknown> = {}): Promise<string> {
    const file = join(slapd.folder, name);
    await writeFile(file, toYaml(slapd, { sync: SYNC, ...more }));
    return file;
  }

  /** From a source of its own: what was verified for another one is not remembered for this. */
  let sources = 0;
  const newSource = () => `127.1.${Math.floor(++sources / 250)}.${(sources % 250) + 1}`;

  const ping = async (name: string, password: string, from = newSource()) =>
    (await server.send("GET", "/v2/", { headers: basic(name, password), from })).status;

  const sync = async (dryRun = false) => {
    const { status, body } = await server.send("POST", `/api/v1/directories/corp/sync?dryRun=${dryRun}`, {
      headers: root,
    });
    expect(status).toBe(200);
    return body;
  };

  const membersOfOrg = async () => {
    const { body } = await server.send("GET", "/api/v1/orgs/acme/members", { headers: root });
    return body.members.map(({ user }: { user: string }) => user);
  };
  const membersOf = async (team: string) => {
    const { body } = await server.send("GET", `/api/v1/orgs/acme/teams/${team}/members`, { headers: root });
    return body.members.map(({ user }: { user: string }) => user);
  };

  it("takes the directory's password and no other, and makes the user at the first sign-in", async () => {
    expect(await ping("ann", "guess")).toBe(401);
    expect((await server.send("GET", "/api/v1/users/ann", { headers: root })).status).toBe(404);

    expect(await ping("ann", passwordOf("ann"))).toBe(200);

    expect((await server.send("GET", "/api/v1/users/ann", { headers: root })).status).toBe(200);
    expect(await ping("ann", "")).toBe(401);
    expect(await ping("ann", "guess")).toBe(401);
  });

  it("folds names, and signs one person in by any spelling", async () => {
    const { body } = await server.send("GET", "/v2/", { headers: basic("Cid.Long", passwordOf("Cid.Long")) });

    expect(body.actor).toBe("cid-long");
    expect(await ping("cid-long", passwordOf("Cid.Long"))).toBe(200);
    expect(await ping("CID.LONG", passwordOf("Cid.Long"))).toBe(200);
    const rows = await server.database.query("", "select 1 from users where name like 'cid%'");
    expect(rows).toHaveLength(1);
  });

  it("refuses a name that folds to somebody else's, and admin", async () => {
    expect(await ping("dup.name", passwordOf("dup.name"))).toBe(200);
    expect(await ping("dup-name", passwordOf("dup-name"))).toBe(401);
    expect(await ping("admin", passwordOf("admin"))).toBe(401);
  });

  it("leaves local users to their own password", async () => {
    expect(await ping("local", "local's own password")).toBe(200);
    expect(await ping("local", passwordOf("local"))).toBe(401);
  });

  it("does not let LDAP read a name as a pattern or a filter", async () => {
    for (const name of ["*", "an*", "ann)(uid=*", "ann)(|(uid=*)", "ann\0", " ann", "\\61nn"]) {
      expect(await ping(name, passwordOf("ann")), name).toBe(401);
    }
  });

  it("limits guesses at a directory's user as at any other, by all spellings together", async () => {
    const statuses: number[] = [];
    for (let n = 0; n < 11; n++) statuses.push(await ping(n % 2 === 0 ? "Cid.Long" : "cid-long", `guess ${n}`));

    expect(statuses).toEqual([...Array<number>(10).fill(401), 429]);
  });

  it("does not let a local password be set beside the directory's", async () => {
    const body = JSON.stringify({ password: "a password of my own" });
    const answer = await server.send("PUT", "/api/v1/users/ann", {
      headers: basic("ann", passwordOf("ann")),
      body,
    });

    expect([answer.status, answer.body.code]).toEqual([403, "forbidden"]);
    expect(await ping("ann", "a password of my own")).toBe(401);
  });

  it("puts who signs in into the teams of the groups, nested ones and loops too", async () => {
    await ping("ann", passwordOf("ann"));
    await ping("ben", passwordOf("ben"));

    expect(await membersOf("dev")).toEqual(["ann"]);
    expect(await membersOf("everyone")).toEqual(["ann", "ben"]);
  });

  it("has a change of group in the next token", async () => {
    const scopeOf = async (password = passwordOf("ben")) => {
      const path = "/token?scope=repository:acme/app:pull,push";
      const { body } = await server.send("GET", path, { headers: basic("ben", password), from: newSource() });
      return body.scope;
    };
    expect(await scopeOf()).toBe("");

    await slapd.modify((client) => changeMembers(client, "add", "dev", personDn("ben")));
    expect(await scopeOf()).toBe("repository:acme/app:pull,push");

    await slapd.modify((client) => changeMembers(client, "delete", "dev", personDn("ben")));
    expect(await scopeOf()).toBe("");
  });

  it("syncs groups to teams as its dry run said, and leaves those whom an owner put there", async () => {
    await server.send("PUT", "/api/v1/orgs/acme/members/local", { headers: root, body: '{"role":"member"}' });
    await server.send("PUT", "/api/v1/orgs/acme/teams/dev/members/local", { headers: root, body: "{}" });
    await slapd.modify(async (client) => {
      await addPerson(client, { uid: "fay", password: passwordOf("fay") });
      await changeMembers(client, "add", "dev", personDn("fay"));
      await changeMembers(client, "add", "dev", personDn("dup-name"));
      await changeMembers(client, "delete", "dev", personDn("ann"));
    });

    const planned = await sync(true);
    const before = await membersOf("dev");
    const done = await sync();

    expect(planned).toMatchObject({
      create: ["fay"],
      suspend: [],
      teams: [
        { team: "acme/dev", add: ["fay"], remove: ["ann"] },
        { team: "acme/everyone", add: ["fay"], remove: ["ann"] },
      ],
      refused: [expect.stringContaining(personDn("dup-name"))],
    });
    expect(before).toEqual(["ann", "local"]);
    expect(done).toEqual(planned);
    expect(await membersOf("dev")).toEqual(["fay", "local"]);
    expect(await sync()).toMatchObject({ create: [], teams: [] });
    const { body } = await server.send("GET", "/api/v1/audit?action=directory-change", { headers: root });
    expect(body.entries).toHaveLength(1);
    expect(body.entries[0].detail.teams[0]).toEqual({ team: "acme/dev", add: ["fay"], remove: ["ann"] });
  });

  it("ends a membership of the organization with the last team, unless a person made it", async () => {
    await slapd.modify((client) => changeMembers(client, "add", "dev", personDn("ben")));
    await sync();
    const put = (user: string) =>
      server.send("PUT", `/api/v1/orgs/acme/members/${user}`, { headers: root, body: '{"role":"member"}' });
    expect((await put("ben")).status).toBe(200);
    expect(await membersOfOrg()).toEqual(["ben", "fay", "local"]);

    await slapd.modify(async (client) => {
      for (const uid of ["ben", "fay"]) await changeMembers(client, "delete", "dev", personDn(uid));
      await changeMembers(client, "delete", "loop", personDn("ben"));
    });
    await sync();

    expect(await membersOf("everyone")).toEqual([]);
    expect(await membersOfOrg()).toEqual(["ben", "local"]);
    await slapd.modify(async (client) => {
      await changeMembers(client, "add", "dev", personDn("fay"));
      await changeMembers(client, "add", "loop", personDn("ben"));
    });
  });

  it("suspends whom the directory has no longer, in the next request, and nobody else", async () => {
    await ping("eve", passwordOf("eve"));
    const { body } = await server.send("GET", "/token", { headers: basic("eve", passwordOf("eve")) });
    await slapd.modify((client) => client.del(personDn("eve")));

    expect(await sync(true)).toMatchObject({ suspend: ["eve"] });
    expect(await sync()).toMatchObject({ suspend: ["eve"], restore: [] });

    expect((await server.send("GET", "/v2/", { headers: bearer(body.token) })).status).toBe(401);
    expect(await ping("eve", passwordOf("eve"))).toBe(401);
    expect(await ping("ann", passwordOf("ann"))).toBe(200);
    expect(await sync()).toMatchObject({ suspend: [] });
  });

  it("knows a person again by the id when the directory renames the entry", async () => {
    await slapd.modify((client) => client.modifyDN(personDn("fay"), `uid=fay.new,ou=people,dc=example,dc=org`));

    const { body } = await server.send("GET", "/v2/", { headers: basic("fay", passwordOf("fay")), from: newSource() });

    expect(body.actor).toBe("fay");
    await slapd.modify((client) => client.modifyDN("uid=fay.new,ou=people,dc=example,dc=org", personDn("fay")));
  });

  it("takes tokens, and for an hour the last good password, while the directory is down", async () => {
    await ping("ann", passwordOf("ann"));
    const { body } = await server.send("GET", "/token?offline_token=true", {
      headers: basic("ann", passwordOf("ann")),
      from: newSource(),
    });
    const refresh = `grant_type=refresh_token&refresh_token=${body.refresh_token}`;
    const form = { headers: { "content-type": "application/x-www-form-urlencoded" }, body: refresh };
    await slapd.stop();

    const byToken = (await server.send("GET", "/v2/", { headers: bearer(body.token) })).status;
    const renewed = (await server.send("POST", "/token", form)).status;
    const inGrace = await ping("ann", passwordOf("ann"));
    const guessed = await ping("ann", "guess");
    const unknown = await ping("nobody", "guess");
    const local = await ping("local", "local's own password");
    server.clock.now = new Date(server.clock.now.getTime() + 3_600_000);
    const afterGrace = await ping("ann", passwordOf("ann"));
    await slapd.start();

    expect({ byToken, renewed, inGrace, guessed, unknown, local, afterGrace }).toEqual({
      ...{ byToken: 200, renewed: 200, inGrace: 200, local: 200 },
      ...{ guessed: 503, unknown: 503, afterGrace: 503 },
    });
    expect(await ping("ann", passwordOf("ann"))).toBe(200);
  });

  it("lets a push end that began before the directory stopped, a new token in the middle included", async () => {
    await using app = await openTestApp({ GOLDSEAL_LDAP: await configure("push.yaml") });
    const scope = "scope=repository:ann/app:pull,push";
    const tokenOf = async (authorization: string) => {
      const { body } = await app.ask("GET", `/token?${scope}`, { headers: { authorization } });
      return bearer(JSON.parse(body.toString()).token);
    };
    const password = basic("ann", passwordOf("ann")).authorization;
    const first = await tokenOf(password);
    const begun = await app.ask("POST", "/v2/ann/app/blobs/uploads/", { headers: first });
    await slapd.stop();

    const layer = "layer of a long push";
    const put = await app.ask("PUT", `${pathOf(begun)}?digest=${digestOf(layer)}`, { headers: first, body: layer });
    const second = await tokenOf(password);
    const config = { mediaType: OCI_MANIFEST, digest: digestOf(layer), size: layer.length };
    const manifest = { schemaVersion: 2, mediaType: OCI_MANIFEST, config, layers: [config] };
    const named = await app.ask("PUT", "/v2/ann/app/manifests/v1", {
      headers: { ...second, "content-type": OCI_MANIFEST },
      body: JSON.stringify(manifest),
    });
    await slapd.start();

    expect([begun.status, put.status, named.status]).toEqual([202, 201, 201]);
  });

  it("forgets the old password when the directory says it changed", async () => {
    await ping("ann", passwordOf("ann"));
    await slapd.modify((client) => changePassword(client, "ann", "new password of ann"));
    expect(await ping("ann", passwordOf("ann"))).toBe(401);
    await slapd.stop();

    const old = await ping("ann", passwordOf("ann"));
    await slapd.start();

    expect(old).toBe(503);
    expect(await ping("ann", "new password of ann")).toBe(200);
    await slapd.modify((client) => changePassword(client, "ann", passwordOf("ann")));
  });
});
