import { describe, expect, it } from "vitest";
import { basic } from "../test-server.ts";
import { passwordOf, root, useDirectory } from "./test-directory.ts";
import { addPerson, changeMembers, groupDn, hasSlapd, personDn, setJob } from "./test-slapd.ts";

const RULES = [
  { filter: "(employeeType=dev)", team: "acme/dev" },
  { filter: "(employeeType=qa)", base: personDn("ben"), team: "acme/everyone" },
  { group: groupDn("dev"), team: "acme/everyone" },
  { filter: "(employeeType=boss)", owners: "acme" },
  { group: groupDn("nested"), owners: "acme" },
  { filter: "(employeeType=boss)", owners: "nowhere" },
];
const NOWHERE = "there is no organization nowhere";

describe.skipIf(!hasSlapd)("rules of a directory (skipped without slapd: conformance/provision)", () => {
  const { ping, server, slapd } = useDirectory(RULES);

  const send = (method: string, path: string, body?: string) =>
    server().send(method, `/api/v1/${path}`, { headers: root, ...(body !== undefined && { body }) });
  const sync = async (dryRun = false) => (await send("POST", `directories/corp/sync?dryRun=${dryRun}`)).body;
  const membersOf = async (team: string) =>
    (await send("GET", `orgs/acme/teams/${team}/members`)).body.members.map(({ user }) => user);
  const roles = async () =>
    (await send("GET", "orgs/acme/members")).body.members.map(({ user, role }) => `${user} ${role}`);
  const jobs = (of: Readonly<Record<string, string[]>>) =>
    slapd().modify(async (client) => {
      for (const [uid, values] of Object.entries(of)) await setJob(client, uid, ...values);
    });

  it("put those whom a filter finds into the team, below its base only, and take them out again", async () => {
    await jobs({ ann: ["dev"], ben: ["dev", "qa"], eve: ["qa"] });
    const planned = await sync(true);
    const done = await sync();
    expect(planned.teams).toEqual([
      { team: "acme/dev", add: ["ann", "ben"], remove: [] },
      { team: "acme/everyone", add: ["ann", "ben"], remove: [] },
    ]);
    expect(planned.owners).toEqual([{ org: "acme", add: ["ben"], remove: [] }]);
    expect(done).toEqual(planned);

    await jobs({ ben: ["dev"] });
    await sync();

    expect([await membersOf("dev"), await membersOf("everyone")]).toEqual([["ann", "ben"], ["ann"]]);
  });

  it("hold for who signs in, at once", async () => {
    await jobs({ eve: ["dev"] });
    expect(await ping("eve", passwordOf("eve"))).toBe(200);
    expect(await membersOf("dev")).toEqual(["ann", "ben", "eve"]);

    await jobs({ eve: [] });
    expect(await ping("eve", passwordOf("eve"))).toBe(200);
    expect(await ping("eve", passwordOf("eve"))).toBe(200);
    expect(await membersOf("dev")).toEqual(["ann", "ben"]);
    const { body } = await send("GET", "audit?action=directory-change&limit=3");
    expect(body.entries.map(({ detail }) => detail.teams)).toEqual([
      [{ team: "acme/dev", add: [], remove: ["eve"] }],
      [{ team: "acme/dev", add: ["eve"], remove: [] }],
      [{ team: "acme/everyone", add: [], remove: ["ben"] }],
    ]);
  });

  it("make owners by a filter, as by a group, as the dry run said, and leave those whom a person made", async () => {
    await send("PUT", "orgs/acme/members/local", '{"role":"owner"}');
    await jobs({ ann: ["boss", "dev"] });

    const planned = await sync(true);
    const done = await sync();

    expect(planned).toMatchObject({ owners: [{ org: "acme", add: ["ann"], remove: [] }], refused: [NOWHERE] });
    expect(done).toEqual(planned);
    expect(await roles()).toEqual(["ann owner", "ben owner", "local owner"]);
    expect((await sync()).owners).toEqual([]);
    const manage = await server().send("PUT", "/api/v1/orgs/acme/teams/by-ann", {
      headers: basic("ann", passwordOf("ann")),
      body: "{}",
    });
    expect(manage.status).toBe(201);
    const { body } = await send("GET", "audit?action=directory-change&limit=1");
    expect(body.entries[0].detail.owners).toEqual([{ org: "acme", add: ["ann"], remove: [] }]);
  });

  it("end what they began: an owner stays a member while a team or a person says so, else goes", async () => {
    await send("PUT", "orgs/acme/members/eve", '{"role":"member"}');
    await slapd().modify(async (client) => {
      await addPerson(client, { uid: "fay", password: passwordOf("fay") });
      for (const uid of ["eve", "fay"]) await setJob(client, uid, "boss");
    });
    await sync();
    expect(await roles()).toEqual(["ann owner", "ben owner", "eve owner", "fay owner", "local owner"]);

    await jobs({ ann: ["dev"], eve: [], fay: [] });
    expect((await sync(true)).owners).toEqual([{ org: "acme", add: [], remove: ["ann", "eve", "fay"] }]);
    await sync();

    expect(await roles()).toEqual(["ann member", "ben owner", "eve member", "local owner"]);
  });

  it("leave an owner, whom a rule made, in the organization when the last team ends", async () => {
    await jobs({ ben: [] });
    await sync();

    expect(await membersOf("dev")).toEqual(["ann"]);
    expect(await roles()).toContain("ben owner");
  });

  it("never take the last owner who can sign in, by a sync or at a sign-in", async () => {
    await jobs({ ann: ["boss"], ben: ["boss"] });
    await sync();
    expect((await send("DELETE", "orgs/acme/members/local")).status).toBe(204);
    await jobs({ ann: [], ben: [] });
    await slapd().modify((client) => changeMembers(client, "delete", "loop", personDn("ben")));

    const planned = await sync(true);
    const done = await sync();

    expect(planned).toMatchObject({
      owners: [{ org: "acme", add: [], remove: ["ben"] }],
      refused: ["no other owner would be left to acme: ann stays one", NOWHERE],
    });
    expect(done).toEqual(planned);
    const changes = async () => (await send("GET", "audit?action=directory-change")).body.entries.length;
    const before = await changes();
    expect(await ping("ann", passwordOf("ann"))).toBe(200);
    expect(await roles()).toContain("ann owner");
    expect(await changes()).toBe(before);
    expect((await sync()).owners).toEqual([]);
  });

  it("do not count an owner who is suspended, or gone from the directory, as one that is left", async () => {
    await send("PUT", "orgs/acme/members/local", '{"role":"owner"}');
    await send("PUT", "users/local", '{"suspended":true}');
    await jobs({ ann: ["boss"], ben: ["boss"] });
    await sync();
    await slapd().modify(async (client) => {
      await setJob(client, "ben");
      await client.del(personDn("ann"));
    });

    const done = await sync();

    expect(done).toMatchObject({ suspend: ["ann"], owners: [{ org: "acme", remove: ["ann"] }] });
    expect(done.refused).toContain("no other owner would be left to acme: ben stays one");
    expect(await roles()).toContain("ben owner");
  });

  it("leave whom a person makes an owner afterwards to that person", async () => {
    await send("PUT", "orgs/acme/members/ben", '{"role":"owner"}');
    await send("PUT", "users/local", '{"suspended":false}');

    const { owners, refused } = await sync();

    expect([owners, refused]).toEqual([[], [NOWHERE]]);
    expect(await roles()).toContain("ben owner");
  });
});
