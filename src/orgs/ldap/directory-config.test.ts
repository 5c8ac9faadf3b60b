import { describe, expect, it } from "vitest";
import { parseDirectories } from "./directory-config.ts";
import { foldName } from "./directory-names.ts";
import { nestedMembers } from "./group-tree.ts";

const GOOD = `
directories:
  - name: corp
    url: ldaps://ldap.example.org
    bindDn: cn=reader,dc=example,dc=org
    bindPasswordFile: /etc/goldseal/ldap-password
    users: {base: "ou=people,dc=example,dc=org"}
`;

describe("the file of GOLDSEAL_LDAP", () => {
  it("needs little", () => {
    const [directory] = parseDirectories(GOOD, "ldap.yaml");

    expect(directory).toMatchObject({
      users: { filter: "(objectClass=inetOrgPerson)", name: "uid", id: "entryUUID" },
      ...{ sync: [], syncMinutes: 5, graceMinutes: 60, timeoutSeconds: 5 },
    });
  });

  it("is told all its mistakes at once", () => {
    const bad = `${GOOD.replace("ldaps://ldap.example.org", "ldap://ldap.example.org")}
    colour: red
    graceMinutes: -1
    sync: [{group: "cn=dev", team: dev}]
`;
    expect(() => parseDirectories(bad, "ldap.yaml")).toThrow(
      /sync\.0\.team: .*\n.*graceMinutes: .*\n.*"colour".*\n.*in the clear.*\n.*groups: needed by sync/,
    );
    expect(() => parseDirectories(GOOD.replace("ldaps:", "ldap:"), "ldap.yaml")).toThrow(/in the clear/);
  });

  it.each([
    ["a key twice", `${GOOD}    name: other\n`],
    ["no directory", "directories: []"],
    ["nothing", ""],
    ["two of one name", GOOD + GOOD.replace("directories:", "")],
    ["a path in the URL", GOOD.replace("ldap.example.org", "ldap.example.org/dc=example")],
  ])("is refused with %s", (_, text) => {
    expect(() => parseDirectories(text, "ldap.yaml")).toThrow(/^GOLDSEAL_LDAP: ldap\.yaml: /);
  });
});

describe("a directory's name", () => {
  it.each([
    ["ann", "ann"],
    ["Ann.Smith", "ann-smith"],
    ["ann@example.org", "ann-example-org"],
    ["a__b--c.-d", "a_b-c-d"],
    [".ann.", "ann"],
    ["admin", undefined],
    ["ADMIN", undefined],
    ["a", undefined],
    ["\u00e9\u00e8", undefined],
    ["x".repeat(33), undefined],
  ])("%s is %s here", (name, folded) => {
    expect(foldName(name)).toBe(folded);
  });
});

describe("nested groups", () => {
  it("are walked to their end, once, whatever holds what", () => {
    const direct = new Map([
      ["cn=a", ["cn=b", "uid=1"]],
      ["cn=B", ["CN=C", "uid=2"]],
      ["cn=c", ["cn=a", "uid=3"]],
    ]);

    const members = nestedMembers(direct, ["cn=A", "cn=none"]);

    expect([...(members.get("cn=A") ?? [])].sort()).toEqual(["uid=1", "uid=2", "uid=3"]);
    expect(members.get("cn=none")).toEqual(new Set());
  });
});
