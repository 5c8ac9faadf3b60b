import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach } from "vitest";
import { parseRepositoryName } from "../../oci/repository-name.ts";
import { unconfirmed } from "../../storage/test-database.ts";
import { basic, openTestServer, type TestServer } from "../test-server.ts";
import { groupDn, personDn, type Slapd, startSlapd, toYaml } from "./test-slapd.ts";

const PEOPLE = ["ann", "ben", "Cid.Long", "admin", "local", "dup.name", "dup-name", "eve"];
const SYNC = [
  { group: groupDn("dev"), team: "acme/dev" },
  { group: groupDn("all"), team: "acme/everyone" },
];
const MAY_CREATE = { repositoryId: undefined, mayCreate: true };
export const passwordOf = (uid: string) => `${uid}'s directory password`;
export const root = basic("root", "root's password");

/**
 * For every test of a block: a directory with groups in groups, and a server that signs its people in, with teams for two
 * of the groups, or with other rules.
 */
export function useDirectory(sync: readonly Readonly<Record<string, string>>[] = SYNC) {
  let slapd: Slapd;
  let server: TestServer;

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

  async function configure(name: string, more: Record<string, unknown> = {}): Promise<string> {
    const file = join(slapd.folder, name);
    await writeFile(file, toYaml(slapd, { sync, ...more }));
    return file;
  }

  /** From a source of its own: what was verified for another one is not remembered for this. */
  let sources = 0;
  const newSource = () => `127.1.${Math.floor(++sources / 250)}.${(sources % 250) + 1}`;

  const ping = async (name: string, password: string, from = newSource()) =>
    (await server.send("GET", "/v2/", { headers: basic(name, password), from })).status;

  return { configure, newSource, ping, server: () => server, slapd: () => slapd };
}
