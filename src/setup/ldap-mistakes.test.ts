import { readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { newFolder, removeFolder, startServer } from "./testing/server-process.ts";

const DIRECTORIES = `directories:
  - name: work
    url: ldap://127.0.0.1:1
    bindDn: cn=reader
    bindPasswordFile: missing-password
    users: { base: ou=people }
`;

describe("goldseal start with mistakes in the file of GOLDSEAL_LDAP", () => {
  let data: string;
  beforeEach(async () => {
    data = await newFolder();
  });
  afterEach(() => removeFolder(data));

  it("says them with all other mistakes of the settings, and makes nothing", async () => {
    const file = join(data, "ldap.yaml");
    await writeFile(file, DIRECTORIES);

    await using server = startServer({ data, env: { GOLDSEAL_LDAP: file, GOLDSEAL_WORKERS: "none" } });

    expect(await server.ended).toBe(2);
    expect(server.errors()).toMatch(/GOLDSEAL_WORKERS/);
    expect(server.errors()).toMatch(/GOLDSEAL_LDAP: .*in the clear/);
    expect(await readdir(data)).toEqual(["ldap.yaml"]);
  });

  it("says them where the rest is right, before PostgreSQL is made", async () => {
    const file = join(data, "ldap.yaml");
    await writeFile(file, DIRECTORIES.replace("ldap:", "ldaps:"));

    await using server = startServer({ data, env: { GOLDSEAL_LDAP: file } });

    expect(await server.ended).toBe(2);
    expect(server.errors()).toMatch(/directory work: bindPasswordFile: cannot read/);
    expect(await readdir(data)).toEqual(["ldap.yaml"]);
  });
});
