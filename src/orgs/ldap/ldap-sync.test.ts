import { describe, expect, it } from "vitest";
import { basic, bearer } from "../test-server.ts";
import { passwordOf, root, useDirectory } from "./test-directory.ts";
import { addPerson, changeMembers, hasSlapd, personDn } from "./test-slapd.ts";

describe.skipIf(!hasSlapd)("groups of a directory (skipped without slapd: conformance/provision)", () => {
  const { newSource, ping, server, slapd } = useDirectory();

  const sync = async (dryRun = false) => {
    const { status, body } = await server().send("POST", `/api/v1/directories/corp/sync?dryRun=${dryRun}`, {
      headers: root,
    });
    expect(status).toBe(200);
    return body;
  };

  const membersOfOrg = async () => {
    const { body } = await server().send("GET", "/api/v1/orgs/acme/members", { headers: root });
    return body.members.map(({ user }: { user: string }) => user);
  };
  const membersOf = async (team: string) => {
    const { body } = await server().send("GET", `/api/v1/orgs/acme/teams/${team}/members`, { headers: root });
    return body.members.map(({ user }: { user: string }) => user);
  };

  it("puts who signs in into the teams of the groups, nested ones and loops too", async () => {
    await ping("ann", passwordOf("ann"));
    await ping("ben", passwordOf("ben"));

    expect(await membersOf("dev")).toEqual(["ann"]);
    expect(await membersOf("everyone")).toEqual(["ann", "ben"]);
  });

  it("has a change of group in the next token", async () => {
    const scopeOf = async (password = passwordOf("ben")) => {
      const path = "/token?scope=repository:acme/app:pull,push";
      const { body } = await server().send("GET", path, { headers: basic("ben", password), from: newSource() });
      return body.scope;
    };
    expect(await scopeOf()).toBe("");

    await slapd().modify((client) => changeMembers(client, "add", "dev", personDn("ben")));
    expect(await scopeOf()).toBe("repository:acme/app:pull,push");

    await slapd().modify((client) => changeMembers(client, "delete", "dev", personDn("ben")));
    expect(await scopeOf()).toBe("");
  });

  it("syncs groups to teams as its dry run said, and leaves those whom an owner put there", async () => {
    await ping("dup.name", passwordOf("dup.name"));
    await server().send("PUT", "/api/v1/orgs/acme/members/local", { headers: root, body: '{"role":"member"}' });
    await server().send("PUT", "/api/v1/orgs/acme/teams/dev/members/local", { headers: root, body: "{}" });
    await slapd().modify(async (client) => {
      await addPerson(client, { uid: "fay", password: passwordOf("fay") });
      await changeMembers(client, "add", "dev", personDn("fay"));
      await changeMembers(client, "add", "dev", personDn("dup-name"));
      await changeMembers(client, "delete", "dev", personDn("ann"));
    });

    const lastSync = async () =>
      (await server().send("GET", "/api/v1/directories", { headers: root })).body.directories[0].lastSync;
    const none = await lastSync();
    const planned = await sync(true);
    const before = await membersOf("dev");
    expect(await lastSync()).toEqual(none);
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
    const now = server().clock.now.toISOString();
    expect(await lastSync()).toEqual({ startedAt: now, endedAt: now, outcome: "done" });
    expect(await membersOf("dev")).toEqual(["fay", "local"]);
    expect(await sync()).toMatchObject({ create: [], teams: [] });
    const { body } = await server().send("GET", "/api/v1/audit?action=directory-change", { headers: root });
    // Those before are of people who signed in: none of them made a user.
    expect(body.entries.filter(({ detail }) => String(detail.create) !== "")).toHaveLength(1);
    expect(body.entries[0].detail.teams[0]).toEqual({ team: "acme/dev", add: ["fay"], remove: ["ann"] });
  });

  it("ends a membership of the organization with the last team, unless a person made it", async () => {
    await slapd().modify((client) => changeMembers(client, "add", "dev", personDn("ben")));
    await sync();
    const put = (user: string) =>
      server().send("PUT", `/api/v1/orgs/acme/members/${user}`, { headers: root, body: '{"role":"member"}' });
    expect((await put("ben")).status).toBe(200);
    expect(await membersOfOrg()).toEqual(["ben", "fay", "local"]);

    await slapd().modify(async (client) => {
      for (const uid of ["ben", "fay"]) await changeMembers(client, "delete", "dev", personDn(uid));
      await changeMembers(client, "delete", "loop", personDn("ben"));
    });
    await sync();

    expect(await membersOf("everyone")).toEqual([]);
    expect(await membersOfOrg()).toEqual(["ben", "local"]);
    await slapd().modify(async (client) => {
      await changeMembers(client, "add", "dev", personDn("fay"));
      await changeMembers(client, "add", "loop", personDn("ben"));
    });
  });

  it("suspends whom the directory has no longer, in the next request, and nobody else", async () => {
    await ping("eve", passwordOf("eve"));
    const { body } = await server().send("GET", "/token", { headers: basic("eve", passwordOf("eve")) });
    await slapd().modify((client) => client.del(personDn("eve")));

    expect(await sync(true)).toMatchObject({ suspend: ["eve"] });
    expect(await sync()).toMatchObject({ suspend: ["eve"], restore: [] });

    expect((await server().send("GET", "/v2/", { headers: bearer(body.token) })).status).toBe(401);
    expect(await ping("eve", passwordOf("eve"))).toBe(401);
    expect(await ping("ann", passwordOf("ann"))).toBe(200);
    expect(await sync()).toMatchObject({ suspend: [] });
  });

  it("knows a person again by the id when the directory renames the entry", async () => {
    await slapd().modify((client) => client.modifyDN(personDn("fay"), `uid=fay.new,ou=people,dc=example,dc=org`));

    const { body } = await server().send("GET", "/v2/", {
      headers: basic("fay", passwordOf("fay")),
      from: newSource(),
    });

    expect(body.actor).toBe("fay");
    await slapd().modify((client) => client.modifyDN("uid=fay.new,ou=people,dc=example,dc=org", personDn("fay")));
  });
});
