/** Hardening T01, T14a, T14c, T15, T16, N08, N09: the graph of delegations. */
import { type Attack, refuses } from "./testing/attack.ts";
import { badTargets, childOf, delegate, entry, on, published, roles, signer } from "./testing/delegating.ts";
import { all, put } from "./testing/loose.ts";
import { keyJsonOf, keysOf, Repository } from "./testing/repository.ts";

const { a } = published.delegates;

refuses("a role that nobody delegated", [
  ...["targets/zz", "targets/zz/b", "targets/a/zz", "targets/a/b/c", "targets/a-", "targets/aa"].map(
    (role): Attack => ({
      name: role,
      repository: published,
      parts: (copy) => [{ ...copy.part("targets/a"), filename: role }],
      ...badTargets(`tuf: invalid role ${role}. delegation does not exist`),
    }),
  ),
  {
    name: "targets/a after its delegation was removed",
    repository: published,
    parts: (copy) => [copy.part("targets", delegate([])), copy.part("targets/a")],
    ...badTargets("tuf: invalid role targets/a. delegation does not exist"),
  },
  {
    name: "targets/a/b whose parent is replaced in the same upload",
    repository: published,
    parts: (copy) => [copy.part("targets/a", delegate([])), copy.part("targets/a/b")],
    ...badTargets("tuf: invalid role targets/a/b. delegation does not exist"),
  },
  {
    name: "targets/a by the key that was replaced in the same upload",
    repository: published,
    parts: (copy) => [copy.part("targets", delegate([signer], entry("targets/a", [signer]))), copy.part("targets/a")],
    ...badTargets("valid signatures did not meet threshold for targets/a"),
  },
  {
    name: "the file of targets/a/b as targets/a",
    repository: published,
    parts: (copy) => [{ ...copy.part("targets/a/b"), filename: "targets/a" }],
    ...badTargets("valid signatures did not meet threshold for targets/a"),
  },
  {
    name: "the file of targets/a as targets",
    repository: published,
    parts: (copy) => [{ ...copy.part("targets/a"), filename: "targets" }],
    ...badTargets("valid signatures did not meet threshold for targets"),
  },
]);

const foreign = (role: string, name: string): Attack =>
  on(
    role,
    `names ${JSON.stringify(name).slice(0, 40)}`,
    delegate([signer], entry(name, [signer])),
    `${role} type metadata invalid: delegation role ${name.slice(0, 300)} invalid`,
  );

refuses("delegations that are not one's own children", [
  ...[
    "targets",
    "root",
    "snapshot",
    "timestamp",
    "targets/a/b",
    "targets/",
    "targets/A",
    "targets/a b",
    "targets/..",
    "targets/.",
    "targets//a",
    "targets/a/",
    "/targets/a",
    "targets/%61",
    "targets/a\u0301",
    "targets/a.json",
    "other/a",
    "",
    "__proto__",
    `targets/${"a".repeat(250)}`,
  ].map((name) => foreign("targets", name)),
  ...["targets/a", "targets/b", "targets/a/b/c", "targets", "targets/a/../b"].map((name) => foreign("targets/a", name)),
]);

refuses("a malformed graph", [
  ...roles.map((role) =>
    on(
      role,
      "one name twice",
      delegate([signer, a], entry(childOf(role), [signer]), entry(childOf(role), [a])),
      `delegation ${childOf(role)} stands there twice`,
    ),
  ),
  ...roles.flatMap((role) =>
    ([0, -1, null, "1", true] as const).map((threshold) =>
      on(
        role,
        `threshold ${JSON.stringify(threshold)}`,
        delegate([signer], { ...entry(childOf(role), [signer]), threshold }),
        `${role} type metadata invalid: invalid threshold specified for ${childOf(role)}: ${typeof threshold === "number" ? threshold : threshold === null ? 0 : "no whole number"} `,
      ),
    ),
  ),
  ...roles.map((role) =>
    on(
      role,
      "threshold 3 of two keys",
      delegate([signer, a], entry(childOf(role), [signer, a], 3)),
      `invalid threshold specified for ${childOf(role)}: 3 of 2 keys`,
    ),
  ),
  ...roles.map((role) =>
    on(
      role,
      "a key id without its key",
      put(["delegations"], { keys: {}, roles: [entry(childOf(role), [signer])] }),
      `${role} type metadata invalid: key ID ${signer.key.id} specified in ${childOf(role)} without corresponding key`,
    ),
  ),
  ...roles.map((role) =>
    on(
      role,
      "a key under another key's id",
      put(["delegations"], {
        keys: { [signer.key.id]: keyJsonOf(a.key) },
        roles: [entry(childOf(role), [signer])],
      }),
      `${role}: key ID ${signer.key.id} is not valid for key content`,
    ),
  ),
  ...roles.map((role) =>
    on(
      role,
      "a published private key",
      put(["delegations", "keys", signer.key.id], { keytype: "ecdsa", keyval: { private: "AAAA", public: "" } }),
      "a key carries its private half",
    ),
  ),
  ...roles.map((role) =>
    on(
      role,
      "Roles beside roles",
      put(["delegations", "Roles"], []),
      'delegations has a member "Roles" that others read as roles',
    ),
  ),
  ...roles.map((role) =>
    on(
      role,
      "Delegations beside delegations",
      put(["Delegations"], {}),
      `${role} has a member "Delegations" that others read as delegations`,
    ),
  ),
  ...roles.map((role) =>
    on(
      role,
      "1,025 delegations",
      delegate([signer], ...Array.from({ length: 1025 }, (_, n) => entry(`${role}/${n}`, [signer]))),
      `${role} lists more than 1024 keys or roles`,
    ),
  ),
  ...roles.map((role) =>
    on(
      role,
      "10,000 keys",
      put(
        ["delegations", "keys"],
        Object.fromEntries(
          Array.from({ length: 10_000 }, (_, n) => [n.toString(16).padStart(64, "0"), keyJsonOf(a.key)]),
        ),
      ),
      `${role} lists more than 1024 keys or roles`,
    ),
  ),
  on("targets", "delegations as a list", put(["delegations"], []), "delegations is not an object"),
  on("targets", "roles as an object", put(["delegations", "roles"], {}), "delegation roles is not a list"),
  on("targets", "paths as text", put(["delegations", "roles", 0, "paths"], "x"), "paths is not a list"),
  on("targets", "a path that is a number", put(["delegations", "roles", 0, "paths"], [1]), "a path is not a string"),
  on(
    "targets",
    "a key without keyval",
    put(["delegations", "keys", signer.key.id], { keytype: "ecdsa" }),
    "keyval is not an object",
  ),
  on(
    "targets",
    "a key id in capitals",
    put(["delegations", "keys", "AB".repeat(32)], keyJsonOf(a.key)),
    "a key ID is 64 lower-case hex digits",
  ),
  on(
    "targets",
    "a key id with a path in it",
    put(["delegations", "keys", "../../root"], keyJsonOf(a.key)),
    "a key ID is 64 lower-case hex digits",
  ),
]);

/** `targets/a` may sign `team/` only. */
const narrowed = published.copy();
narrowed.publish([narrowed.part("targets", put(["delegations", "roles", 0, "paths"], ["team/", "v1"]))]);

refuses("handing on more than one was given", [
  ...["", "t", "team", "other/", "Team/", "v", "v2", "\u0076\u200b1"].map(
    (path): Attack => ({
      name: `path ${JSON.stringify(path)} under team/ and v1`,
      repository: narrowed,
      parts: (copy) => [copy.part("targets/a", put(["delegations", "roles", 0, "paths"], ["team/x", path]))],
      ...badTargets(`targets/a/b: path ${JSON.stringify(path)} is not in targets/a`),
      honest: (copy) => [copy.part("targets/a", put(["delegations", "roles", 0, "paths"], ["team/x", "v10"]))],
    }),
  ),
]);

/** targets/1/1/1/…: eight levels deep, the deepest of which delegates once more. */
const deep = (() => {
  const repository = Repository.published();
  const names = Array.from({ length: 8 }, (_, level) => `targets${"/1".repeat(level + 1)}`);
  const parts = ["targets", ...names].map((role, level) => {
    const signed = {
      _type: "Targets",
      expires: "2028-01-01T00:00:00Z",
      version: role === "targets" ? 3 : 1,
      targets: {},
    };
    const delegations =
      level < 8 ? { keys: keysOf(signer), roles: [entry(`${role}/1`, [signer])] } : { keys: {}, roles: [] };
    const keys = role === "targets" ? [repository.keys.targets] : [signer];
    return {
      filename: role,
      bytes: repository.part("targets", (draft) => Object.assign(draft, signed, { delegations }), keys).bytes,
    };
  });
  repository.publish(parts);
  return { repository, bottom: names.at(-1) ?? "" };
})();

refuses("a chain without end", [
  {
    name: "the eighth level delegates",
    repository: deep.repository,
    parts: (copy) => [
      {
        filename: deep.bottom,
        bytes: copy.part("targets", all(put(["version"], 2), delegate([signer], entry(`${deep.bottom}/1`, [signer]))), [
          signer,
        ]).bytes,
      },
    ],
    ...badTargets(`${deep.bottom} may not delegate: more than 8 levels`),
  },
  {
    name: "a file for the ninth level",
    repository: deep.repository,
    parts: (copy) => [{ ...copy.part("targets"), filename: `${deep.bottom}/1` }],
    code: "INVALID_ROLE",
    detail: `${deep.bottom}/1`,
  },
]);
