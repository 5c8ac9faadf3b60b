/** First roots, snapshots that a client makes, and the rotation of keys. */
import type { See } from "./cases.ts";
import { Collection, describeAnswer, type Part, type Place } from "./collection.ts";
import {
  canonical,
  ecdsa,
  idOf,
  inCertificate,
  keyOf,
  type Loose,
  metaOf,
  rsa,
  type Signer,
  sha256Hex,
  signatureOf,
  withSignatures,
} from "./tuf-files.ts";

type Roles = Record<string, { keyids: string[]; threshold: number }>;
const rolesOf = (signed: Loose): Roles => signed.roles as Roles;
const set = (fields: Loose) => (signed: Loose) => void Object.assign(signed, fields);

/** Each in a GUN of its own: root as `change` makes it, and targets v1. */
export async function seeRoots(place: Place, see: See): Promise<void> {
  const run = async (name: string, make: (one: Collection) => Part, targets: readonly number[] = [1]) => {
    const one = await Collection.open(place);
    const root = make(one);
    see(name, describeAnswer(await one.push([root, ...targets.map((version) => one.targetsPart(version))])));
  };
  const changed = (name: string, change: (signed: Loose, one: Collection) => void) =>
    run(name, (one) => one.rootPart((signed) => change(signed, one)));
  const keyed = (name: string, make: (one: Collection) => Signer) =>
    run(name, (one) => {
      one.root = make(one);
      return one.rootPart();
    });
  await changed("root: v2 first", set({ version: 2 }));
  await changed("root: v3 first", set({ version: 3 }));
  await changed("root: v0 first", set({ version: 0 }));
  await run("root only first, no targets", (one) => one.rootPart(), []);
  await keyed("root: wrong CN", () => inCertificate(ecdsa(), { cn: "other.example.com/app" }));
  await keyed("root: wildcard CN t.io/*", ({ gun }) => inCertificate(ecdsa(), { cn: `${gun.slice(0, -2)}*` }));
  await keyed("root: CA cert", ({ gun }) => inCertificate(ecdsa(), { cn: gun, ca: true }));
  await changed("root: expired meta", set({ expires: "2020-01-01T00:00:00Z" }));
  await keyed("root: RSA root", ({ gun }) => inCertificate(rsa(), { cn: gun }));
  await keyed("root: RSA root pkcs1v15 method", ({ gun }) => ({
    ...inCertificate(rsa(), { cn: gun }),
    method: "rsapkcs1v15",
  }));
  await keyed("root: sha1 cert", ({ gun }) => inCertificate(ecdsa(), { cn: gun, sha1: true }));
  await keyed("root: bare ecdsa root key (no cert)", () => ecdsa());
  await run("root: unsigned by own key", (one) => one.rootPart(undefined, [one.targets]));
  await run("root: method upper case", (one) => resigned(one, { method: "ECDSA" }));
  await run("root: DER ecdsa sig", (one) => resigned(one, { der: true }));
  await changed("root: threshold 2 one sig", (signed, { gun }) => {
    const second = inCertificate(ecdsa(), { cn: gun });
    (signed.keys as Loose)[idOf(second)] = keyOf(second);
    Object.assign(rolesOf(signed).root ?? {}, {
      threshold: 2,
      keyids: [...(rolesOf(signed).root?.keyids ?? []), idOf(second)],
    });
  });
  await changed("root: threshold 0", (signed) => void Object.assign(rolesOf(signed).root ?? {}, { threshold: 0 }));
  await changed("root: missing role", (signed) => void delete rolesOf(signed).timestamp);
  await changed("root: keyid w/o key", (signed) => void rolesOf(signed).targets?.keyids.splice(0, 1, "ab".repeat(32)));
  await run("root: wrong keyid for key", (one) => wrongKeyId(one));
  await changed(
    "root: extra unknown role",
    (signed) => void Object.assign(rolesOf(signed), { mirrors: rolesOf(signed).targets }),
  );
  await seeUnknownField(place, see);
  await changed("root: timestamp key not held by server", (signed) => foreignKey(signed, "timestamp"));
  await changed("root: snapshot key not held by server, no snapshot", (signed) => foreignKey(signed, "snapshot"));
}

function resigned(one: Collection, options: { method?: string; der?: boolean }): Part {
  const message = canonical(one.rootSigned());
  return { filename: "root", bytes: withSignatures(message, [signatureOf(one.root, message, options)]) };
}

/** The targets key under an id that is not its own; targets are signed in its name. */
function wrongKeyId(one: Collection): Part {
  const wrong = "cd".repeat(32);
  const part = one.targetsPart(1);
  one.targetsPart = () => ({ ...part, bytes: Buffer.from(part.bytes.toString().replaceAll(idOf(one.targets), wrong)) });
  return one.rootPart((signed) => {
    const keys = signed.keys as Loose;
    keys[wrong] = keys[idOf(one.targets)];
    delete keys[idOf(one.targets)];
    rolesOf(signed).targets?.keyids.splice(0, 1, wrong);
  });
}

function foreignKey(signed: Loose, role: string): void {
  const key = ecdsa();
  (signed.keys as Loose)[idOf(key)] = keyOf(key);
  rolesOf(signed)[role]?.keyids.splice(0, 1, idOf(key));
}

async function seeUnknownField(place: Place, see: See): Promise<void> {
  const one = await Collection.open(place);
  const root = one.rootPart(set({ unknown: "field" }));
  see("root: unknown field", describeAnswer(await one.push([root, one.targetsPart(1)])));
  see("unknown field: stored bytes same", String((await one.ask("tuf/root.json")).body.equals(root.bytes)));
  const snapshot = JSON.parse((await one.ask("tuf/snapshot.json")).body.toString());
  const hash = Buffer.from(snapshot.signed.meta.root.hashes.sha256, "base64").toString("hex");
  see("unknown field: snapshot hash matches uploaded bytes", String(hash === sha256Hex(root.bytes)));
}

export async function seeClientSnapshots(place: Place, see: See): Promise<void> {
  const one = new Collection(place);
  one.timestamp = await one.serverKey("timestamp");
  const root = one.rootPart();
  const push = async (name: string, parts: readonly Part[]) =>
    see(`local snap${name}`, describeAnswer(await one.push(parts)));
  const first = one.targetsPart(1);
  await push(" ok", [root, first, one.snapshotPart([root, first], 1)]);
  const second = one.targetsPart(2);
  const metaIn = (signed: Loose) => signed.meta as Record<string, { hashes: Loose; length: number }>;
  const next = (change?: (signed: Loose) => void, version = 2) => one.snapshotPart([root, second], version, change);
  await push(": targets w/o snapshot", [second]);
  await push(": snapshot not matching targets", [second, one.snapshotPart([root, first], 2)]);
  await push(": snapshot missing root meta", [second, next((signed) => void delete metaIn(signed).root)]);
  await push(": snapshot only sha512", [second, next((signed) => void delete metaIn(signed).targets?.hashes.sha256)]);
  await push(": snapshot bad length only", [
    second,
    next((signed) => void Object.assign(metaIn(signed).targets ?? {}, { length: 7 })),
  ]);
  const published = (await one.ask("tuf/targets.json")).body;
  const stored = published.equals(second.bytes) ? second : first;
  const alone = (version: number, change?: (signed: Loose) => void) =>
    one.snapshotPart([root, stored], version, change);
  await push(": expired snapshot", [alone(3, set({ expires: "2020-01-01T00:00:00Z" }))]);
  const bogus = Buffer.alloc(32, 7).toString("base64");
  await push(": snapshot alone v3 bogus targets hash", [
    alone(
      3,
      (signed) => void Object.assign(metaIn(signed).targets?.hashes ?? {}, { sha256: bogus, sha512: undefined }),
    ),
  ]);
  const current = JSON.parse((await one.ask("tuf/snapshot.json")).body.toString()).signed.version;
  await push(": snapshot same version", [alone(current)]);
  await push(": bad root hash", [
    alone(current + 1, (signed) => void Object.assign(metaIn(signed).root ?? {}, metaOf(Buffer.from("other")))),
  ]);
}

export async function seeRotations(place: Place, see: See): Promise<void> {
  const one = await Collection.open(place);
  const push = async (name: string, parts: readonly Part[]) => see(name, describeAnswer(await one.push(parts)));
  await push("rot: init", [one.rootPart(), one.targetsPart(1)]);
  const old = one.root;
  const fresh = inCertificate(ecdsa(), { cn: one.gun });
  one.root = fresh;
  const rotated = (version: number, signers: readonly Signer[]) => one.rootPart(set({ version }), signers);
  await push("rot: new key only sig", [rotated(2, [fresh])]);
  await push("rot: old key only sig", [rotated(2, [old])]);
  await push("rot: v3 skip", [rotated(3, [old, fresh])]);
  await push("rot: both sigs, old cert absent from keys", [rotated(2, [old, fresh])]);
  await push("rot: v2 again", [rotated(2, [old, fresh])]);
  await push("rot: v3 new key", [rotated(3, [fresh])]);
  for (const file of ["1.root", "2.root", "3.root", "4.root", "root"])
    see(`rot: get ${file}`, describeAnswer(await one.ask(`tuf/${file}.json`)));
  one.targets = ecdsa();
  await push("targets key rotated, root only", [rotated(4, [fresh])]);
  const signer = ecdsa();
  await push("then delegation push", [one.rolePart("targets/a", 1, () => undefined, [signer])]);
  await push("then targets by new key", [one.targetsPart(2)]);
}
