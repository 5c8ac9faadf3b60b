/** Hardening T15, T19, N06 to N08: what a root says of its roles and their keys. */
import { refuses } from "./testing/attack.ts";
import { drop, put } from "./testing/loose.ts";
import { BASE, published, roleKeys, root } from "./testing/next-root.ts";
import { certificateFor, GUN } from "./testing/repository.ts";
import { ecdsaKey, inCertificate, rsaKey, type TestKey } from "./testing/test-key.ts";

const current = published.keys.root;
const structure = (why: string): string => `root type metadata invalid: ${why}`;
const STRANGE_THRESHOLDS: readonly (readonly [unknown, string])[] = [
  [0, "0"],
  [-1, "-1"],
  [-(2 ** 31), "-2147483648"],
  [null, "0"],
  ["1", "no whole number"],
  [true, "no whole number"],
  [[1], "no whole number"],
];

refuses("threshold and role arithmetic", [
  ...BASE.map((role) =>
    root(`no ${role} role`, drop(["roles", role]), structure(`missing ${role} role specification`)),
  ),
  ...BASE.map((role) =>
    root(`${role} role null`, put(["roles", role], null), structure(`missing ${role} role specification`)),
  ),
  ...BASE.flatMap((role) =>
    STRANGE_THRESHOLDS.map(([threshold, written]) =>
      root(
        `${role}: threshold ${JSON.stringify(threshold)}`,
        put(["roles", role, "threshold"], threshold),
        structure(`invalid threshold specified for ${role}: ${written} `),
      ),
    ),
  ),
  ...BASE.map((role) =>
    root(
      `${role}: a key id without its key`,
      put(["roles", role, "keyids", 0], "ab".repeat(32)),
      structure(`key ID ${"ab".repeat(32)} specified in ${role} without corresponding key`),
    ),
  ),
  ...BASE.map((role) =>
    root(
      `${role}: the key id __proto__`,
      put(["roles", role, "keyids", 0], "__proto__"),
      structure(`key ID __proto__ specified in ${role} without corresponding key`),
    ),
  ),
  root(
    "targets: threshold 2 of one key",
    put(["roles", "targets", "threshold"], 2),
    "invalid threshold specified for targets: 2 of 1 keys",
  ),
  root(
    "targets: no keys",
    put(["roles", "targets", "keyids"], []),
    "invalid threshold specified for targets: 1 of 0 keys",
  ),
  root(
    "THRESHOLD beside threshold, which Go reads",
    put(["roles", "targets", "THRESHOLD"], 0),
    'a role has a member "THRESHOLD" that others read as threshold',
  ),
  root("Keys beside keys, which Go reads", put(["Keys"], {}), 'root has a member "Keys" that others read as keys'),
  root("Roles beside roles, which Go reads", put(["Roles"], {}), 'root has a member "Roles" that others read as roles'),
  root("roles as a list", put(["roles"], [1]), "roles is not an object"),
  root("keys as a list", put(["keys"], []), "keys is not an object"),
  root("keyids as text", put(["roles", "targets", "keyids"], "x"), "keyids is not a list"),
]);

const bare = ecdsaKey();
const bareRsa = rsaKey();
const withBlank = inCertificate(bare, certificateFor(GUN), (pem) => `${pem}\n`);
const twice = (role: string, one: TestKey, other: TestKey): string =>
  `${role} lists one key twice: ${one.key.id} and ${other.key.id}`;
const sameRoot = inCertificate(current, certificateFor(GUN));
const form = inCertificate(bare, certificateFor(GUN));
const rsaForm = inCertificate(bareRsa, certificateFor(GUN));

refuses("one key counted twice", [
  ...(["targets", "snapshot", "timestamp"] as const).flatMap((role) => [
    root(`${role}: bare and in a certificate`, roleKeys(role, [bare, form], 2), twice(role, bare, form)),
    root(`${role}: one id twice`, roleKeys(role, [bare, bare], 2), twice(role, bare, bare)),
  ]),
  root("targets: threshold 1 all the same", roleKeys("targets", [bare, form]), twice("targets", bare, form)),
  root(
    "targets: two certificates of one key",
    roleKeys("targets", [form, withBlank], 2),
    twice("targets", form, withBlank),
  ),
  root(
    "targets: RSA bare and in a certificate",
    roleKeys("targets", [bareRsa, rsaForm], 2),
    twice("targets", bareRsa, rsaForm),
  ),
  root(
    "root: the present key in two certificates, both of which sign",
    roleKeys("root", [current, sameRoot], 2),
    twice("root", current, sameRoot),
    [sameRoot],
  ),
]);
