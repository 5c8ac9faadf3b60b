import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createLog } from "../../http/log.ts";
import { type Audit, openAudit } from "../open-audit.ts";
import { Passwords } from "../passwords.ts";
import { basic, openTestServer, type TestServer } from "../test-server.ts";
import { type Directories, openDirectories } from "./open-directories.ts";
import { changeMembers, groupDn, hasSlapd, personDn, type Slapd, startSlapd, toYaml } from "./test-slapd.ts";

const root = basic("root", "root's password");
const MINUTE = 60_000;
const PEOPLE = ["ann", "ben", "cid"];
/** Each replica's file gives the group another team: what was done shows who did it. */
const TEAMS = ["one", "two"];

describe.skipIf(!hasSlapd)("scheduled syncs of two replicas (skipped without slapd: conformance/provision)", () => {
  const clock = { now: new Date("2026-11-22T12:00:00Z") };
  const logged: { level: string; event: string }[] = [];
  const log = createLog({ write: (line) => logged.push(JSON.parse(line)) });
  let slapd: Slapd;
  let server: TestServer;
  let audit: Audit;
  let replicas: Directories[];

  const openReplica = async (team: string, lookEveryMs = 3_600_000): Promise<Directories> => {
    const file = join(slapd.folder, `${team}.yaml`);
    await writeFile(file, toYaml(slapd, { sync: [{ group: groupDn("dev"), team: `acme/${team}` }], syncMinutes: 5 }));
    const parts = { database: server.database, passwords: new Passwords(), audit: audit.audit, log };
    return openDirectories({ file, ...parts, now: () => clock.now, lookEveryMs });
  };

  beforeAll(async () => {
    slapd = await startSlapd(
      PEOPLE.map((uid) => ({ uid, password: `${uid}'s password` })),
      { dev: [personDn("ann")] },
    );
    server = await openTestServer();
    await server.addUser("root", "root's password", { systemAdmin: true });
    for (const path of ["orgs/acme", ...TEAMS.map((team) => `orgs/acme/teams/${team}`)])
      await server.send("PUT", `/api/v1/${path}`, { headers: root, body: "{}" });
    audit = await openAudit({ database: server.database, log, now: () => clock.now, sweep: async () => undefined });
    replicas = await Promise.all(TEAMS.map((team) => openReplica(team)));
  });
  afterAll(async () => {
    await Promise.all(replicas.map((replica) => replica.close()));
    await audit.close();
    await server.close();
    await slapd.close();
  });

  /** Both look, as each does twice a minute. */
  const look = async (laterMs = 0): Promise<void> => {
    clock.now = new Date(clock.now.getTime() + laterMs);
    await Promise.all(replicas.map((replica) => replica.syncDue()));
  };
  const isIn = async (team: string, user: string): Promise<boolean> => {
    const { body } = await server.send("GET", `/api/v1/orgs/acme/teams/${team}/members`, { headers: root });
    return body.members.some((member) => member.user === user);
  };
  const teamsOf = async (user: string): Promise<string[]> => {
    const found = await Promise.all(TEAMS.map((team) => isIn(team, user)));
    return TEAMS.filter((_, index) => found[index]);
  };
  const lastSync = async () => (await replicas[0]?.list())?.[0]?.lastSync;
  const enter = (uid: string) => slapd.modify((client) => changeMembers(client, "add", "dev", personDn(uid)));

  it("are done at once at the first look, by one of them", async () => {
    expect(await lastSync()).toBeUndefined();

    await look();

    expect(await teamsOf("ann")).toHaveLength(1);
    expect(await lastSync()).toEqual({ startedAt: clock.now, endedAt: clock.now, outcome: "done" });
  });

  it("are done again when they are due, and not a moment before", async () => {
    const first = clock.now;
    await enter("ben");

    await look(5 * MINUTE - 1);
    const early = [await teamsOf("ben"), (await lastSync())?.startedAt];
    await look(1);
    const due = await teamsOf("ben");
    await enter("cid");
    await look(MINUTE);

    expect(early).toEqual([[], first]);
    expect(due).toHaveLength(1);
    expect(await teamsOf("cid")).toEqual([]);
  });

  it("say why one could not be done, change nothing then, and try again when it is due", async () => {
    await slapd.stop();
    await look(4 * MINUTE);
    const [failed, stayed] = [await lastSync(), await teamsOf("ben")];
    await slapd.start();
    await look(5 * MINUTE);

    expect(failed).toMatchObject({ startedAt: failed?.endedAt, outcome: expect.stringMatching(/directory corp/) });
    expect(stayed).toHaveLength(1);
    expect(logged.filter(({ level }) => level === "error")).toMatchObject([{ event: "directory.sync-failed" }]);
    expect(await lastSync()).toMatchObject({ startedAt: clock.now, outcome: "done" });
    expect(await teamsOf("cid")).toHaveLength(1);
  });

  it("are looked for by themselves", async () => {
    clock.now = new Date(clock.now.getTime() + 5 * MINUTE);
    const other = await openReplica("one", 5);
    try {
      await expect.poll(lastSync, { timeout: 30_000 }).toMatchObject({ startedAt: clock.now, outcome: "done" });
    } finally {
      await other.close();
    }
  });
});
