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
    ["{group: cn=dev, team: acme/dev}", { group: "cn=dev", team: "acme/dev" }],
    ["{filter: (title=dev), team: acme/dev}", { filter: "(title=dev)", team: "acme/dev" }],
    ["{filter: (title=boss), base: o=x, owners: acme}", { filter: "(title=boss)", base: "o=x", owners: "acme" }],
  ])("has the rule %s", (rule, expected) => {
    const [directory] = parseDirectories(`${GOOD}    groups: {base: ou=groups}\n    sync: [${rule}]\n`, "ldap.yaml");

    expect(directory?.sync).toEqual([expected]);
  });

  it("needs no groups for rules that find people by a filter", () => {
    expect(() =>
      parseDirectories(`${GOOD}    sync: [{filter: (title=dev), team: acme/dev}]\n`, "ldap.yaml"),
    ).not.toThrow();
  });

  it.each([
    ["{team: acme/dev}", "sync.0: a rule has either group or filter"],
    ["{group: cn=dev, filter: (a=b), team: acme/dev}", "sync.0: a rule has either group or filter"],
    ["{group: cn=dev}", "sync.0: a rule has either team or owners"],
    ["{group: cn=dev, team: acme/dev, owners: acme}", "sync.0: a rule has either team or owners"],
    ["{group: cn=dev, base: ou=x, team: acme/dev}", "sync.0.base: goes with filter; a group is named by its whole DN"],
    ["{filter: (a=b), owners: acme/dev}", "sync.0.owners: owners is the name of an organization"],
    ["{filter: a=b, owners: acme}", "sync.0.filter: a filter stands in parentheses"],
    ["{filter: (&(a=b), owners: acme}", "sync.0.filter: not as many ( as )"],
    ["{filter: (a), owners: acme}", "sync.0.filter: Invalid expression: a"],
    ["{filter: (a=b)(c=d), owners: acme}", "sync.0.filter: Unbalanced parens"],
  ])("refuses the rule %s and says why", (rule, mistake) => {
    const text = `${GOOD}    groups: {base: ou=groups}\n    sync: [${rule}]\n`;

    expect(() => parseDirectories(text, "ldap.yaml")).toThrow(`GOLDSEAL_LDAP: ldap.yaml: directories.0.${mistake}`);
  });

  it("refuses filters of users and groups that are none", () => {
    const bad = `${GOOD.replace('"}', '", filter: (&(uid=a)}')}    groups: {base: ou=groups, filter: (&)}\n`;

    expect(() => parseDirectories(bad, "ldap.yaml")).toThrow(/users\.filter: not as many \( as \)\n.*groups\.filter: /);
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
