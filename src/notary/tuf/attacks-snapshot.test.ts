/** Hardening T03, T07, N07, N08: a client's snapshot that does not say what is really there. */
import { type Attack, fault, refuses } from "./testing/attack.ts";
import { type Change, drop, put } from "./testing/loose.ts";
import { certificateFor, GUN, keysOf, metaOf, Repository, roleOf } from "./testing/repository.ts";
import { ecdsaKey, inCertificate } from "./testing/test-key.ts";

const published = Repository.published({ clientSnapshot: true });
const hexOf = (bytes: Uint8Array, algorithm: "sha256" | "sha512"): string => {
  const { hashes } = metaOf(bytes) as { hashes: Record<string, string> };
  return Buffer.from(hashes[algorithm] ?? "", "base64").toString("hex");
};
const other = Buffer.from("other bytes");
const badSnapshot = (message: string): Pick<Attack, "code" | "detail"> => ({
  code: "INVALID_UPDATE",
  detail: fault("ErrBadSnapshot", message),
});

/** The next snapshot alone, changed. */
const alone = (name: string, change: Change, message: string): Attack => ({
  name: `alone: ${name}`,
  repository: published,
  parts: (copy) => [copy.part("snapshot", change)],
  ...badSnapshot(message),
});

/** Beside the next file of `role`. */
const beside = (role: string, name: string, change: Change, message: string): Attack => ({
  name: `beside ${role}: ${name}`,
  repository: published,
  parts: (copy) => copy.withSnapshot([copy.part(role)], change),
  ...badSnapshot(message),
});

const ROLES = ["root", "targets", "targets/a", "targets/a/b"];
const mismatch = (role: string, algorithm: "sha256" | "sha512" = "sha256"): string =>
  `${algorithm} checksum for ${role} did not match: expected ${hexOf(other, algorithm)}`;
const lengthOf = (role: string): number => published.stored.get(role as never)?.length ?? 0;

refuses("mix and match", [
  ...ROLES.map((role) => alone(`other bytes for ${role}`, put(["meta", role], metaOf(other)), mismatch(role))),
  ...ROLES.map((role) => beside(role, `other bytes for ${role}`, put(["meta", role], metaOf(other)), mismatch(role))),
  ...ROLES.map((role) =>
    alone(
      `only SHA-512 lies about ${role}`,
      put(["meta", role, "hashes", "sha512"], (metaOf(other) as { hashes: { sha512: string } }).hashes.sha512),
      mismatch(role, "sha512"),
    ),
  ),
  ...ROLES.flatMap((role) =>
    [-1, 1, -lengthOf(role)].map((more) =>
      alone(
        `length of ${role} wrong by ${more}`,
        put(["meta", role, "length"], lengthOf(role) + more),
        `length for ${role} did not match: expected ${lengthOf(role)}`,
      ),
    ),
  ),
  ...["targets", "targets/a", "targets/a/b"].map(
    (role): Attack => ({
      name: `the snapshot still names the ${role} before this upload's`,
      repository: published,
      parts: (copy) => [copy.part(role), copy.part("snapshot")],
      ...badSnapshot(
        `sha256 checksum for ${role} did not match: expected ${hexOf(published.stored.get(role as never) ?? other, "sha256")}`,
      ),
    }),
  ),
  ...["targets/a", "targets/a/b"].map((role) =>
    beside(role, `no entry for ${role}`, drop(["meta", role]), `tuf: sha256 checksum required for ${role}`),
  ),
]);

const later = published.copy();
later.publish(later.withSnapshot([later.part("targets/a")]));

refuses("rollback by the snapshot", [
  {
    name: "a delegation's former file, which is still stored",
    repository: later,
    parts: (copy) => [
      copy.part("snapshot", put(["meta", "targets/a"], metaOf(published.stored.get("targets/a" as never) ?? other))),
    ],
    ...badSnapshot(
      `sha256 checksum for targets/a did not match: expected ${hexOf(published.stored.get("targets/a" as never) ?? other, "sha256")}`,
    ),
  },
  {
    name: "the former targets, alone",
    repository: (() => {
      const copy = published.copy();
      copy.publish(copy.withSnapshot([copy.part("targets")]));
      return copy;
    })(),
    parts: (copy) => [
      copy.part("snapshot", put(["meta", "targets"], metaOf(published.stored.get("targets" as never) ?? other))),
    ],
    ...badSnapshot(
      `sha256 checksum for targets did not match: expected ${hexOf(published.stored.get("targets" as never) ?? other, "sha256")}`,
    ),
  },
]);

refuses("entries that point nowhere", [
  ...["targets/zz", "targets/a/zz", "mirrors", "__proto__", "constructor", "", "../root", "Targets", "targets/A"].map(
    (name) =>
      alone(
        `an entry ${JSON.stringify(name)}`,
        put(["meta", name], metaOf(other)),
        `snapshot names ${name}, which is not there`,
      ),
  ),
  ...["snapshot", "timestamp"].map((name) =>
    alone(
      `an entry ${name}`,
      put(["meta", name], metaOf(published.stored.get(name as never) ?? other)),
      `snapshot names ${name}, which is not there`,
    ),
  ),
]);

const missing = (role: string): string => `snapshot type metadata invalid: missing ${role} sha256 checksum information`;

refuses("a malformed snapshot", [
  ...["root", "targets"].flatMap((role) => [
    alone(`no entry for ${role}`, drop(["meta", role]), missing(role)),
    alone(`${role} with SHA-512 only`, drop(["meta", role, "hashes", "sha256"]), missing(role)),
    alone(`${role} without hashes`, put(["meta", role, "hashes"], {}), missing(role)),
    alone(`${role} with hashes null`, put(["meta", role, "hashes"], null), missing(role)),
    alone(
      `${role} with half a hash`,
      put(["meta", role, "hashes", "sha256"], "AAAA"),
      "invalid sha256 checksum length: 3 bytes",
    ),
    alone(`${role} with a hash in hex`, put(["meta", role, "hashes", "sha256"], "ab-"), "a hash is not base64"),
    alone(`${role} with a negative length`, put(["meta", role, "length"], -1), `${role} has a negative length`),
    alone(`${role} with a length in quotes`, put(["meta", role, "length"], "1"), "a length is not a whole number"),
    alone(`${role} null`, put(["meta", role], null), `${role} is not an object`),
    alone(
      `${role} with Hashes beside hashes`,
      put(["meta", role, "Hashes"], {}),
      `${role} has a member "Hashes" that others read as hashes`,
    ),
  ]),
  alone("no meta", drop(["meta"]), missing("root")),
  alone("meta as a list", put(["meta"], []), "meta is not an object"),
  alone("Meta beside meta", put(["Meta"], {}), 'snapshot has a member "Meta" that others read as meta'),
  alone(
    "1,025 entries",
    put(["meta"], Object.fromEntries(Array.from({ length: 1025 }, (_, n) => [`targets/${n}`, metaOf(other)]))),
    "snapshot lists more than 1024 keys or roles",
  ),
]);

const second = ecdsaKey();
const sameKey = inCertificate(published.keys.snapshot, certificateFor(GUN));
const noSnapshot: Pick<Attack, "code" | "detail"> = {
  code: "INVALID_UPDATE",
  detail: {
    Name: "ErrBadHierarchy",
    Error: {
      Missing: "snapshot",
      Msg: "no snapshot was included in update and server does not hold current snapshot key for repository",
    },
  },
};

refuses("a snapshot that its keys did not make", [
  ...["root", "targets", "targets/a", "targets/a/b"].map(
    (role): Attack => ({
      name: `${role} without the client's snapshot`,
      repository: published,
      parts: (copy) => [copy.part(role)],
      ...noSnapshot,
    }),
  ),
  { name: "no part at all", repository: published, parts: () => [], ...noSnapshot },
  {
    name: "a client's, where the server holds the key",
    repository: Repository.published(),
    parts: (copy) => [copy.part("snapshot", undefined, [ecdsaKey()])],
    ...badSnapshot("valid signatures did not meet threshold for snapshot"),
  },
  {
    name: "by the key that this upload's root replaces",
    repository: published,
    parts: (copy) => {
      const { root, targets, snapshot, timestamp } = copy.keys;
      const next = copy.part("root", (signed) => {
        put(["keys"], keysOf(root, targets, second, timestamp))(signed);
        put(["roles", "snapshot"], roleOf([second]))(signed);
      });
      return [next, copy.part("snapshot", put(["meta", "root"], metaOf(next.bytes)), [snapshot])];
    },
    ...badSnapshot("valid signatures did not meet threshold for snapshot"),
  },
  {
    name: "one key in two forms for a threshold of two",
    repository: published,
    parts: (copy) => {
      const { root, targets, snapshot, timestamp } = copy.keys;
      const next = copy.part("root", (signed) => {
        put(["keys"], keysOf(root, targets, snapshot, sameKey, timestamp))(signed);
        put(["roles", "snapshot"], roleOf([snapshot, sameKey], 2))(signed);
      });
      return [next, copy.part("snapshot", put(["meta", "root"], metaOf(next.bytes)), [snapshot, sameKey])];
    },
    code: "INVALID_UPDATE",
    detail: fault(
      "ErrBadRoot",
      `snapshot lists one key twice: ${published.keys.snapshot.key.id} and ${sameKey.key.id}`,
    ),
  },
]);
