import { mkdtemp, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { Attribute, Change } from "ldapts";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openCertificates } from "../../setup/certificates.ts";
import { basic, openTestServer } from "../test-server.ts";
import { groupDn, hasSlapd, personDn, type Slapd, startSlapd, toYaml } from "./test-slapd.ts";

const passwordOf = (uid: string) => `${uid}'s directory password`;
const root = basic("root", "root's password");

let slapd: Slapd;

describe.skipIf(!hasSlapd)("connections to directories (skipped without slapd: conformance/provision)", () => {
  beforeAll(async () => {
    const people = ["ann", "eve"].map((uid) => ({ uid, password: passwordOf(uid) }));
    slapd = await startSlapd(people, { dev: [personDn("ann")] });
  });
  afterAll(() => slapd.close());

  async function configure(name: string, more: Record<string, unknown> = {}): Promise<string> {
    const file = join(slapd.folder, name);
    await writeFile(file, toYaml(slapd, { sync: [{ group: groupDn("dev"), team: "acme/dev" }], ...more }));
    return file;
  }

  /** What was verified for another source is not remembered for this. */
  let sources = 0;
  const newSource = () => `127.1.0.${++sources}`;

  it("speaks LDAPS too, and asks several directories in their order", async () => {
    const file = join(slapd.folder, "several.yaml");
    const parse = (text: string) => JSON.parse(text).directories[0];
    const first = parse(toYaml(slapd, { name: "staff", users: { base: "ou=groups,dc=example,dc=org" } }));
    const second = parse(toYaml(slapd, { name: "guests", url: slapd.tlsUrl, startTls: false }));
    await writeFile(file, JSON.stringify({ directories: [first, second] }));
    const other = await openTestServer({ ldapFile: file });

    const { status } = await other.send("GET", "/v2/", { headers: basic("ann", passwordOf("ann")) });
    const rows = await other.database.query("", "select directory from directory_users");

    expect([status, rows]).toEqual([200, [{ directory: "guests" }]]);
    await other.close();
  });

  it("knows a person again by an id of bytes, as Active Directory has", async () => {
    const objectGUID = Buffer.from("00ff61c3283a6b4f8e9d0a1b2c3d4e5f", "hex");
    const [uid, userPassword] = ["win", passwordOf("win")];
    const entry = { objectClass: ["inetOrgPerson", "windowsPerson"], uid, cn: uid, sn: uid, userPassword };
    await slapd.modify(async (client) => {
      await client.add(personDn(uid), entry);
      const modification = new Attribute({ type: "objectGUID", values: [objectGUID] });
      await client.modify(personDn(uid), new Change({ operation: "add", modification }));
    });
    const users = { base: "ou=people,dc=example,dc=org", filter: "(objectClass=windowsPerson)", id: "objectGUID" };
    const windows = await openTestServer({ ldapFile: await configure("windows.yaml", { users }) });
    await windows.addUser("root", "root's password", { systemAdmin: true });
    const signIn = async () => {
      const { status } = await windows.send("GET", "/v2/", { headers: basic(uid, userPassword), from: newSource() });
      return status;
    };

    const statuses = [await signIn(), await signIn()];
    const { body } = await windows.send("POST", "/api/v1/directories/corp/sync", { headers: root });

    expect([statuses, body.suspend]).toEqual([[200, 200], []]);
    await slapd.modify((client) => client.del(personDn(uid)));
    const nobody = await windows.send("POST", "/api/v1/directories/corp/sync", { headers: root });
    expect([nobody.status, nobody.body.detail]).toEqual([503, expect.stringContaining("lists nobody")]);
    await windows.close();
  });

  it("sends no password to a server whose certificate another CA signed, or which is for another name", async () => {
    const elsewhere = await mkdtemp(join(slapd.folder, "ca-"));
    const { caFile } = await openCertificates(elsewhere, ["localhost"], new Date());
    const { port } = new URL(slapd.url);
    const wrongs = [{ ca: caFile }, { url: `ldap://127.0.0.2:${port}` }];
    for (const [n, more] of wrongs.entries()) {
      const wrong = await openTestServer({ ldapFile: await configure(`wrong-${n}.yaml`, more) });
      const { status } = await wrong.send("GET", "/v2/", { headers: basic("ann", passwordOf("ann")) });
      expect(status).toBe(503);
      await wrong.close();
    }
  });

  it("does not go on in the clear when somebody cuts an encrypted connection", async () => {
    // Says yes to StartTLS, then closes; whoever connects again is listened to.
    const heard: Buffer[] = [];
    let connections = 0;
    const thief = createServer((socket) => {
      connections++;
      socket.on("error", () => undefined);
      socket.on("data", (data: Buffer) => {
        heard.push(data);
        socket.destroy();
      });
    });
    await new Promise<void>((resolve) => thief.listen(0, "127.0.0.1", resolve));
    const { port } = thief.address() as { port: number };
    const cut = await openTestServer({ ldapFile: await configure("cut.yaml", { url: `ldap://127.0.0.1:${port}` }) });

    const { status } = await cut.send("GET", "/v2/", { headers: basic("ann", passwordOf("ann")) });

    expect(status).toBe(503);
    expect(connections).toBe(1);
    expect(Buffer.concat(heard).toString("latin1")).not.toContain("password");
    await cut.close();
    thief.close();
  });
});
