/** Tags under an auto-sign rule: each writer pushes them into a repository of its own, whose trust data the server founds. */
import { verify } from "node:crypto";
import { canonical, type Loose, publicKeyOf, sha256Hex } from "../notary/tuf-files.ts";
import type { Client } from "./client.ts";
import { type Hand, nextSeed } from "./hand.ts";
import type { Register, Value } from "./history.ts";
import { INDEX, put, TAGS, toPushed } from "./manifest-operations.ts";
import { trustPathOf } from "./trust-operations.ts";
import { Violation } from "./violation.ts";

const SUFFIX = "/signed";
export const isUnderRule = ({ kind, repository }: Register): boolean => kind === "tag" && repository.endsWith(SUFFIX);

/** May be said twice. */
async function setUp(hand: Hand): Promise<string> {
  const repository = `${hand.repository}${SUFFIX}`;
  if (hand.hasRule) return repository;
  const [org, ...rest] = repository.split("/");
  const path = `/api/v1/orgs/${org}/repositories/${encodeURIComponent(rest.join("/"))}`;
  const send = (to: string, body: object) =>
    hand.client.expect([200, 201], "PUT", to, {
      headers: { "content-type": "application/json" },
      body: Buffer.from(JSON.stringify(body)),
    });
  await hand.history.attempt("rule.set-up", [], async () => {
    await send(path, { visibility: "private" });
    await send(`${path}/auto-sign/all`, { tags: ["*"] });
  });
  hand.hasRule = true;
  return repository;
}

/** By tag, or by digest for several. */
export async function pushSigned(hand: Hand): Promise<void> {
  const repository = await setUp(hand);
  const { random, history } = hand;
  const free = TAGS.filter((tag) => history.register("tag", repository, tag).current() !== "unknown");
  const tags = [...new Set([random.pick(free), random.pick(free)])].filter((tag) => tag !== undefined);
  if (tags.length === 0) return;
  const manifest = toPushed(INDEX, { manifests: [], annotations: { seed: nextSeed(hand) } });
  await put(hand, "signed.push", { repository, manifest, tags, byDigest: tags.length > 1 });
}

/** By itself, or with its manifest and whatever else names that. */
export async function deleteSigned(hand: Hand): Promise<void> {
  const repository = await setUp(hand);
  const { random, history, client } = hand;
  const all = TAGS.map((tag) => history.register("tag", repository, tag));
  if (all.some((register) => register.current() === "unknown")) return;
  const register = random.pick(all.filter((one) => one.current() !== undefined));
  if (register === undefined) return;
  const digest = String(register.current());
  const byDigest = random.chance(0.5);
  const gone = byDigest ? all.filter((one) => one.current() === digest) : [register];
  const manifest = byDigest ? [history.register("manifest", repository, digest)] : [];
  const changes = [...gone, ...manifest].map((each) => ({ register: each, value: undefined }));
  const path = `/v2/${repository}/manifests/${byDigest ? digest : register.name}`;
  await history.attempt("signed.delete", changes, () => client.expect([202], "DELETE", path));
}

interface Signed {
  readonly signed: Loose;
  readonly signatures: readonly { readonly keyid: string; readonly sig: string }[];
}

interface RoleOf {
  readonly keyids: readonly string[];
  readonly threshold: number;
}

/**
 * What the server says of the tag, read as a client reads: from the root down, each file by its hash and with signatures
 * that hold. Undefined where it says nothing. @throws Violation TORN
 */
async function readEntry(client: Client, repository: string, tag: string): Promise<Value> {
  const path = trustPathOf(repository);
  const first = await client.expect([200, 404], "GET", `${path}timestamp.json`);
  if (first.status === 404) return undefined;
  const root = parse((await client.expect([200], "GET", `${path}root.json`)).body);
  const { keys, roles } = root.signed as { keys: Loose; roles: Record<string, RoleOf> };
  const check = (role: string, body: Buffer, of: RoleOf | undefined, from: Loose): Loose => {
    const { signed, signatures } = parse(body);
    const good = signatures.filter(({ keyid, sig }) => of?.keyids.includes(keyid) && holds(from[keyid], signed, sig));
    if (of === undefined || good.length < of.threshold)
      throw new Violation("TORN", `trust ${repository}: ${role} is not signed as it must be`);
    return signed;
  };
  const byHash = async (role: string, meta: Loose): Promise<Buffer> => {
    const hex = hexOf(meta[role]);
    const { status, body } = await client.ask("GET", `${path}${role}.${hex}.json`);
    if (status === 200 && sha256Hex(body) === hex) return body;
    throw new Violation("TORN", `trust ${repository}: ${role}.${hex} answers ${status}`);
  };
  const timestamp = check("timestamp", first.body, roles.timestamp, keys);
  const snapshot = check("snapshot", await byHash("snapshot", timestamp.meta as Loose), roles.snapshot, keys);
  const meta = snapshot.meta as Loose;
  const targets = check("targets", await byHash("targets", meta), roles.targets, keys);
  const { keys: own, roles: list } = targets.delegations as { keys: Loose; roles: (RoleOf & { name: string })[] };
  const said: Value[] = [];
  for (const name of ["targets/goldseal-auto", "targets/releases"]) {
    const file = check(
      name,
      await byHash(name, meta),
      list.find((role) => role.name === name),
      own,
    );
    const entry = (file.targets as Loose)[tag];
    said.push(entry === undefined ? undefined : `sha256:${hexOf(entry)}`);
  }
  if (said[0] !== said[1]) throw new Violation("TORN", `trust ${repository} ${tag}: ${said.join(" is released as ")}`);
  return said[0];
}

/** A tag under a rule is what the trust data says of it, or neither is there. @throws Violation */
export async function checkSigned(client: Client, { repository, name }: Register, value: Value): Promise<void> {
  const said = await readEntry(client, repository, name);
  if (said === value) return;
  const words = [value, said].map((one) => one ?? "nothing");
  throw new Violation("TORN", `tag ${repository} ${name} is ${words[0]}, but is signed as ${words[1]}`);
}

const parse = (body: Buffer): Signed => JSON.parse(body.toString());

function hexOf(meta: unknown): string {
  const { hashes } = (meta ?? {}) as { hashes?: { sha256?: string } };
  return Buffer.from(hashes?.sha256 ?? "", "base64").toString("hex");
}

function holds(key: unknown, signed: Loose, sig: string): boolean {
  const { keytype, keyval } = key as { keytype: string; keyval: { public: string } };
  const message = Buffer.from(canonical(signed));
  const publicKey = publicKeyOf(keytype, Buffer.from(keyval.public, "base64"));
  const bytes = Buffer.from(sig, "base64");
  if (keytype === "ed25519") return verify(null, message, publicKey, bytes);
  return verify("sha256", message, { key: publicKey, dsaEncoding: "ieee-p1363" }, bytes);
}
