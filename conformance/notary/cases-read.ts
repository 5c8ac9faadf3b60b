/** Routes, keys, bodies that are no update, and everything that one published GUN answers. */

import type { See } from "./cases.ts";
import { Collection, describeAnswer, type Part, type Place } from "./collection.ts";
import { type Loose, sha256Hex } from "./tuf-files.ts";

const json = (text: string): Part => ({ filename: "targets", bytes: Buffer.from(text) });

export async function seeRoutes({ client, prefix }: Place, names: readonly string[], see: See): Promise<void> {
  for (const name of names) {
    const [, method = "", path = ""] = name.split(" ");
    // The cases were run on a server that takes any name; here a GUN begins with the server's own.
    const own = path
      .replace(/^\/v2\/(?=a\/_trust|a\*b|a\/\.\.|a%2Fb|\/a\/_trust)/, `/v2/${prefix}/`)
      .replace(/^\/v2\/UPPER/, `/v2/${prefix}/UPPER`)
      .replace(/a\*(\d+)\.json/, (_, count: string) => `${"a".repeat(Number(count))}.json`);
    see(name, describeAnswer(await client.ask(own, { method })));
  }
}

export async function seeKeys(place: Place, see: See): Promise<void> {
  const collection = new Collection(place);
  const first = await collection.ask("tuf/timestamp.key");
  see("key ts", describeAnswer(first));
  const again = await collection.ask("tuf/timestamp.key");
  see("key ts again same? (no root)", `${describeAnswer(again)} same=${again.body.equals(first.body)}`);
  see("rotate ts no root", describeAnswer(await collection.ask("tuf/timestamp.key", "POST")));
}

export async function seeMalformed(place: Place, see: See): Promise<void> {
  const collection = new Collection(place);
  const push = async (name: string, parts: readonly Part[], contentType?: string) =>
    see(name, describeAnswer(await collection.push(parts, contentType)));
  const empty = json("{}");
  await push("POST no content-type", [], "");
  await push("POST json", [], "application/json");
  await push("POST multipart without boundary", [], "multipart/form-data");
  await push("POST multipart/mixed", [{ ...empty, filename: "root" }], "multipart/mixed; boundary=boundary-of-a-case");
  await push("POST empty multipart new gun", []);
  await push("part without filename", [{ ...empty, filename: undefined }]);
  await push("part empty filename", [{ ...empty, filename: "" }]);
  await push("part filename .json", [{ ...empty, filename: ".json" }]);
  const long = `targets/${"a".repeat(260)}`;
  const roles = ["foo", "targets/", "targets/A", "targets/a b", "targets/../x", "targets/a//b", "root/x", "mirrors"];
  for (const role of roles) await push(`role ${role}`, [{ ...empty, filename: role }]);
  await push("role targets/aaaaaaaaaaaa", [{ ...empty, filename: long }]);
  await push("role targets/<e-acute>", [{ ...empty, filename: "targets/é" }]);
  await push("malformed json", [json("{")]);
  await push("json not object", [json("[]")]);
  await push("json empty part", [json("")]);
  await push("version string", [json('{"signed":{"version":"1"},"signatures":[]}')]);
  await push("expires bad", [json('{"signed":{"expires":"soon","version":1},"signatures":[]}')]);
  await push("sig not base64", [
    json('{"signed":{"version":1},"signatures":[{"keyid":"a","method":"ecdsa","sig":"*"}]}'),
  ]);
  await push("root empty obj", [{ ...json("{}"), filename: "root" }]);
  await push("root signed null", [{ ...json('{"signed":null,"signatures":[]}'), filename: "root" }]);
  await push("targets only no root", [collection.targetsPart(1)]);
  await push("timestamp only no root", [
    { ...json('{"signed":{"version":1},"signatures":[]}'), filename: "timestamp" },
  ]);
}

/** One GUN from its first push on. */
export async function seeLife(place: Place, see: See): Promise<void> {
  const collection = await Collection.open(place);
  const push = async (name: string, parts: readonly Part[]) => see(name, describeAnswer(await collection.push(parts)));
  const first = [collection.rootPart(), collection.targetsPart(1)];
  await push("first push ok", first);
  await push("same push again", first);
  await push("root same only (v1 again)", first.slice(0, 1));
  await push("empty push", []);
  await seeProduced(collection, see);
  await seeFiles(collection, first, see);
  await seeServerKeys(collection, see);
  see("changefeed", describeAnswer(await collection.ask("changefeed?records=100")));
  await seeTargets(collection, push);
  await seeTolerated(collection, see, push);
}

const signedOf = async (collection: Collection, file: string): Promise<Loose & { version: number; expires: string }> =>
  JSON.parse((await collection.ask(`tuf/${file}`)).body.toString()).signed;

async function seeProduced(collection: Collection, see: See): Promise<void> {
  const [snapshot, timestamp] = [
    await signedOf(collection, "snapshot.json"),
    await signedOf(collection, "timestamp.json"),
  ];
  const days = ({ expires }: { expires: string }) => Math.round((Date.parse(expires) - Date.now()) / 86_400_000);
  const meta = Object.keys(snapshot.meta as object).join(",");
  see("snapshot after empty push", `${snapshot.version} (version), meta ${meta}`);
  see("timestamp after empty push", `${timestamp.version} (version), expires in ${days(timestamp)} days`);
  see("snapshot expiry days", `${days(snapshot)} days`);
}

async function seeFiles(collection: Collection, [root, targets]: readonly Part[], see: See): Promise<void> {
  const get = async (name: string, file: string) => see(name, describeAnswer(await collection.ask(`tuf/${file}.json`)));
  for (const role of ["root", "targets", "snapshot", "timestamp"]) await get(`get ${role}`, role);
  for (const file of ["1.root", "01.root", "1.targets", "2.snapshot", "2.timestamp", "0.root", "3.root"])
    await get(`get ${file}`, file);
  const [rootHash, targetsHash] = [root, targets].map((part) => sha256Hex(part?.bytes ?? ""));
  await get("get root.<sha256 of the root file>", `root.${rootHash}`);
  await get("get targets.<sha256 of the targets file>", `targets.${targetsHash}`);
  const other =
    "get root.<sha256 of the TARGETS file> (upstream looks the hash up without checking the role; do not imitate)";
  await get(other, `root.${targetsHash}`);
  await get("get root.<same sha256 in upper-case hex>", `root.${rootHash?.toUpperCase()}`);
  await get("get root.<sha512 hex of the root file>", `root.${"ab".repeat(64)}`);
  const served = (await collection.ask("tuf/root.json")).body;
  see("root bytes identical", String(root?.bytes.equals(served)));
}

async function seeServerKeys(collection: Collection, see: See): Promise<void> {
  const same = (one: { publicBytes: Buffer }, two: { publicBytes: Buffer }) => one.publicBytes.equals(two.publicBytes);
  const used = await collection.serverKey("timestamp");
  see("GET timestamp.key with root = key in root", String(same(used, collection.timestamp)));
  const pending = await collection.serverKey("timestamp", "POST");
  see("POST timestamp.key differs", String(!same(pending, used)));
  see("GET after POST still the one in root", String(same(await collection.serverKey("timestamp"), used)));
  see("2nd POST same pending key?", String(same(await collection.serverKey("timestamp", "POST"), pending)));
}

type Push = (name: string, parts: readonly Part[]) => Promise<void>;

async function seeTargets(collection: Collection, push: Push): Promise<void> {
  const part = (version: number, change?: (signed: Loose) => void) => collection.targetsPart(version, change);
  const other = new Collection({ client: undefined as never, prefix: "" });
  await push("targets v1 different content (old version)", [part(1, (signed) => Object.assign(signed, { x: 1 }))]);
  await push("targets v5 (jump)", [part(5)]);
  await push("targets v4 after v5", [part(4)]);
  await push("targets v0", [part(0)]);
  await push("targets negative", [part(-1)]);
  await push("targets wrong key", [collection.targetsPart(6, undefined, [other.targets])]);
  await push("targets no sig", [collection.targetsPart(6, undefined, [])]);
  await push("targets expired", [part(6, (signed) => Object.assign(signed, { expires: "2020-01-01T00:00:00Z" }))]);
  await push("targets wrong type", [part(6, (signed) => Object.assign(signed, { _type: "Root" }))]);
  await push("targets lower-case type", [part(6, (signed) => Object.assign(signed, { _type: "targets" }))]);
  await push("targets delegations null", [part(6, (signed) => Object.assign(signed, { delegations: null }))]);
  await push("targets no delegations field", [part(7, (signed) => Object.assign(signed, { delegations: undefined }))]);
}

async function seeTolerated(collection: Collection, see: See, push: Push): Promise<void> {
  await push("dup part targets v8+v9", [collection.targetsPart(8), collection.targetsPart(9)]);
  see("targets version after dup part", String((await signedOf(collection, "targets.json")).version));
  const foreign = new Collection({ client: undefined as never, prefix: "" });
  const snapshot = { ...foreign.snapshotPart([], 9) };
  await push("snapshot by client w/o key", [snapshot]);
  await push("client timestamp part ignored", [{ ...collection.targetsPart(1), filename: "timestamp" }]);
  see("timestamp version after client ts part", String((await signedOf(collection, "timestamp.json")).version));
  const { version } = await signedOf(collection, "targets.json");
  const plain = collection.targetsPart(version + 1);
  const pretty = Buffer.from(JSON.stringify(JSON.parse(plain.bytes.toString()), null, 2));
  await push("pretty-printed JSON upload", [{ ...plain, bytes: pretty }]);
  see("get after pretty upload", describeAnswer(await collection.ask(`tuf/targets.json`)));
  const weird = {
    "a/../b <&>\u2028": { hashes: { sha256: Buffer.alloc(32).toString("base64") }, length: 1 },
    "__proto__ é": { hashes: { sha256: Buffer.alloc(32).toString("base64") }, length: 1 },
  };
  const weirdPart = collection.targetsPart(version + 2, (signed) => Object.assign(signed, { targets: weird }));
  await push("weird target names", [weirdPart]);
  see("get weird", describeAnswer(await collection.ask("tuf/targets.json")));
}
