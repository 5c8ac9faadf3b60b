/** Delegations, kinds of keys, deletion, and how files may be written. */
import type { See } from "./cases.ts";
import { Collection, describeAnswer, type Part, type Place } from "./collection.ts";
import { ecdsa, ed25519, idOf, keyOf, type Loose, rsa, type Signer, toFile } from "./tuf-files.ts";

const nothing = (): void => undefined;
const set = (fields: Loose) => (signed: Loose) => void Object.assign(signed, fields);

interface Role {
  readonly name: string;
  readonly keys: readonly Signer[];
  readonly threshold?: number;
  readonly paths?: readonly string[];
}

const delegating = (...roles: readonly Role[]) =>
  set({
    delegations: {
      keys: Object.fromEntries(roles.flatMap(({ keys }) => keys.map((key) => [idOf(key), keyOf(key)]))),
      roles: roles.map(({ name, keys, threshold = 1, paths = [""] }) => ({
        keyids: keys.map(idOf),
        name,
        paths,
        threshold,
      })),
    },
  });

const [a, b] = [ecdsa(), ecdsa()];
const two = [ecdsa(), ecdsa()] as const;
const file = { length: 1, hashes: { sha256: Buffer.alloc(32).toString("base64") } };

export async function seeDelegations(place: Place, see: See): Promise<void> {
  const one = await Collection.open(place);
  const push = async (name: string, parts: readonly Part[]) =>
    see(`del: ${name}`, describeAnswer(await one.push(parts)));
  const t2: Role = { name: "targets/t2", keys: two, threshold: 2, paths: ["x"] };
  const roleA: Role = { name: "targets/a", keys: [a] };
  await push("init with deleg", [one.rootPart(), one.targetsPart(1, delegating(roleA, t2))]);
  await push("push targets/a", [one.rolePart("targets/a", 1, nothing, [a])]);
  await push("push targets/a wrong key", [one.rolePart("targets/a", 2, nothing, [b])]);
  await push("push unknown targets/zz", [one.rolePart("targets/zz", 1, nothing, [a])]);
  await push("push unknown parent targets/q/z", [one.rolePart("targets/q/z", 1, nothing, [a])]);
  await push("threshold 2 with 1", [one.rolePart("targets/t2", 1, nothing, [two[0]])]);
  await push("threshold 2 dup sig", [one.rolePart("targets/t2", 1, nothing, [two[0], two[0]])]);
  await push("threshold 2 with 2", [one.rolePart("targets/t2", 1, nothing, two)]);
  await push("target outside path (t2 path x, name f)", [
    one.rolePart("targets/t2", 2, set({ targets: { f: file } }), two),
  ]);
  const nested = (name: string) => delegating({ name, keys: [b] });
  await push("nested", [
    one.rolePart("targets/a", 2, nested("targets/a/b"), [a]),
    one.rolePart("targets/a/b", 1, nothing, [b]),
  ]);
  await push("nested wrong parent name in roles", [one.rolePart("targets/a", 3, nested("targets/c"), [a])]);
  const keyless = (signed: Loose) => {
    nested("targets/a/b")(signed);
    Object.assign(signed.delegations as Loose, { keys: {} });
  };
  await push("role keyid without key", [one.rolePart("targets/a", 3, keyless, [a])]);
  see("del: get nested", describeAnswer(await one.ask("tuf/targets/a/b.json")));
  see("del: snapshot meta", await snapshotRoles(one));
  const removed = await one.push([one.targetsPart(2, delegating(t2))]);
  const after = await one.push([one.rolePart("targets/a", 3, nothing, [a])]);
  see("del: remove a, then push a", removed.status === 200 ? describeAnswer(after) : describeAnswer(removed));
  see("del: snapshot meta after removal", await snapshotRoles(one));
  see("del: get removed targets/a", describeAnswer(await one.ask("tuf/targets/a.json")));
}

async function snapshotRoles(one: Collection): Promise<string> {
  const { signed } = JSON.parse((await one.ask("tuf/snapshot.json")).body.toString());
  return JSON.stringify(Object.keys(signed.meta).toSorted());
}

export async function seeKeyKinds(place: Place, see: See): Promise<void> {
  const run = async (name: string, targets: Signer, change: (signed: Loose) => void = nothing) => {
    const one = await Collection.open(place);
    one.targets = targets;
    see(name, describeAnswer(await one.push([one.rootPart(change), one.targetsPart(1)])));
  };
  await run("ed25519 targets key", ed25519());
  await run("rsa targets key pss", rsa());
  await run("rsa targets key pkcs1v15", { ...rsa(), method: "rsapkcs1v15" });
  const strange = { type: "dilithium", publicBytes: Buffer.from("whatever") };
  await run("unknown key type listed too", ecdsa(), (signed) => {
    (signed.keys as Loose)[idOf(strange)] = keyOf(strange);
    (signed.roles as Record<string, { keyids: string[] }>).targets?.keyids.push(idOf(strange));
  });
  const [other, one, same] = [await Collection.open(place), await Collection.open(place), await Collection.open(place)];
  one.timestamp = other.timestamp;
  see("timestamp key of another gun", describeAnswer(await one.push([one.rootPart(), one.targetsPart(1)])));
  same.snapshot = same.timestamp;
  see("ts & snapshot same key", describeAnswer(await same.push([same.rootPart(), same.targetsPart(1)])));
}

export async function seeDeletion(place: Place, see: See): Promise<void> {
  const one = await Collection.published(place);
  see("delete", describeAnswer(await one.ask("tuf/", "DELETE")));
  see("get after delete", describeAnswer(await one.ask("tuf/root.json")));
  see("get ts after delete", describeAnswer(await one.ask("tuf/timestamp.json")));
  see("re-push v1 after delete", describeAnswer(await one.push([one.rootPart(), one.targetsPart(1)])));
  const { signed } = JSON.parse((await one.ask("tuf/timestamp.json")).body.toString());
  see("ts version after delete+repush", String(signed.version));
  see("changefeed d", describeAnswer(await one.ask("changefeed?records=-2&change_id=99999999")));
  see("changefeed d from -1", describeAnswer(await one.ask("changefeed?records=2&change_id=-1")));
}

export async function seeForms(place: Place, see: See): Promise<void> {
  const one = await Collection.open(place);
  const push = async (name: string, parts: readonly Part[]) => see(name, describeAnswer(await one.push(parts)));
  const named = [one.rootPart(), one.targetsPart(1)].map((part) => ({ ...part, filename: `${part.filename}.json` }));
  await push("filenames with .json", named);
  const next = one.targetsPart(2);
  const followed = (text: string): Part => ({ ...next, bytes: Buffer.concat([next.bytes, Buffer.from(text)]) });
  await push("trailing data after JSON", [followed("garbage")]);
  await push("trailing newline after JSON", [followed("\n")]);
  const served = (await one.ask("tuf/targets.json")).body.toString();
  see("trailing newline kept?", JSON.stringify(JSON.stringify(served.slice(-3))));
  const dated = (expires: string, version: number) => [one.targetsPart(version, set({ expires }))];
  const soon = new Date(Date.now() + 100 * 86_400_000).toISOString().slice(0, 19);
  await push("expires with offset & nanos", dated(`${soon}.123456789+02:00`, 3));
  await push("expires without zone", dated(soon, 4));
  await push("expires lower z / space", dated(`${soon.replace("T", " ")}Z`, 4));
  const other = await Collection.open(place);
  const root = other.rootSigned();
  const consistent = { filename: "root", bytes: toFile({ ...root, consistent_snapshot: true }, [other.root]) };
  see("consistent_snapshot true", describeAnswer(await other.push([consistent, other.targetsPart(1)])));
}
