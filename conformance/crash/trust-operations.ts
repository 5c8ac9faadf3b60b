/** Publishes of trust data: each writer signs one GUN of its own; the server makes snapshot and timestamp. */
import { ecdsa, idOf, inCertificate, keyOf, type Loose, type Signer, sha256Hex, toFile } from "../notary/tuf-files.ts";
import type { Client } from "./client.ts";
import { type Hand, nextSeed } from "./hand.ts";
import type { Value } from "./history.ts";
import { Violation } from "./violation.ts";

/** Part of every GUN, so it must outlive a restart on another port. */
export const PUBLIC_URL = "http://registry.test";
const gunOf = (repository: string): string => `registry.test/${repository}`;
export const trustPathOf = (repository: string): string => `/v2/${gunOf(repository)}/_trust/tuf/`;

/** What one writer signs with, and which version each of its targets files was. */
export interface TrustHand {
  readonly root: Signer;
  readonly targets: Signer;
  readonly versions: Map<string, number>;
}

export function createTrustHand(repository: string): TrustHand {
  return { root: inCertificate(ecdsa(), { cn: gunOf(repository) }), targets: ecdsa(), versions: new Map() };
}

const inYears = (years: number): string => new Date(Date.now() + (years * 365 - 1) * 86_400_000).toISOString();

/** The next version of targets; a first publish brings the root and makes what there is none of. */
export async function publishTrust(hand: Hand): Promise<void> {
  const { client, history, repository, trust } = hand;
  const register = history.register("trust", repository, "targets");
  const current = register.current();
  if (current === "unknown") return;
  const version = current === undefined ? 1 : (trust.versions.get(current) ?? 0) + 1;
  const targets = makeTargets(trust, version, nextSeed(hand));
  const parts = [...(current === undefined ? [["root", await makeRoot(client, repository, trust)] as const] : [])];
  const body = multipart([...parts, ["targets", targets]]);
  const value = sha256Hex(targets);
  trust.versions.set(value, version);
  const headers = { "content-type": "multipart/form-data; boundary=crash" };
  await history.attempt("trust.publish", [{ register, value }], () =>
    client.expect([200], "POST", trustPathOf(repository), { headers, body }),
  );
}

/** Everything but the server's keys; the next publish begins anew. */
export async function deleteTrust({ client, history, repository }: Hand): Promise<void> {
  const register = history.register("trust", repository, "targets");
  const current = register.current();
  if (current === "unknown" || current === undefined) return;
  await history.attempt("trust.delete", [{ register, value: undefined }], () =>
    client.expect([200], "DELETE", trustPathOf(repository)),
  );
}

function makeTargets({ targets }: TrustHand, version: number, tag: string): Buffer {
  const file = { hashes: { sha256: Buffer.alloc(32, tag).toString("base64") }, length: 1 };
  const delegations = { keys: {}, roles: [] };
  return toFile({ _type: "Targets", delegations, expires: inYears(3), targets: { [tag]: file }, version }, [targets]);
}

async function makeRoot(client: Client, repository: string, { root, targets }: TrustHand): Promise<Buffer> {
  const [snapshot, timestamp] = [
    await serverKey(client, repository, "snapshot"),
    await serverKey(client, repository, "timestamp"),
  ];
  const all = { root, targets, snapshot, timestamp };
  const roles = Object.entries(all).map(([role, key]) => [role, { keyids: [idOf(key)], threshold: 1 }]);
  const keys = Object.fromEntries(Object.values(all).map((key) => [idOf(key), keyOf(key)]));
  const signed: Loose = { _type: "Root", consistent_snapshot: false, expires: inYears(10), keys, version: 1 };
  return toFile({ ...signed, roles: Object.fromEntries(roles) }, [root]);
}

async function serverKey(
  client: Client,
  repository: string,
  role: string,
): Promise<Pick<Signer, "type" | "publicBytes">> {
  const { body } = await client.expect([200], "GET", `${trustPathOf(repository)}${role}.key`);
  const { keytype, keyval } = JSON.parse(body.toString());
  return { type: keytype, publicBytes: Buffer.from(keyval.public, "base64") };
}

function multipart(parts: readonly (readonly [role: string, bytes: Buffer])[]): Buffer {
  const pieces = parts.flatMap(([role, bytes]) => [
    Buffer.from(`--crash\r\nContent-Disposition: form-data; name="files"; filename="${role}"\r\n\r\n`),
    bytes,
    Buffer.from("\r\n"),
  ]);
  return Buffer.concat([...pieces, Buffer.from("--crash--\r\n")]);
}

/** As a client reads: timestamp, and from there by hash. What is served must be one whole set. @throws Violation TORN */
export async function readTrust(client: Client, repository: string): Promise<Value> {
  const path = trustPathOf(repository);
  const first = await client.expect([200, 404], "GET", `${path}timestamp.json`);
  if (first.status === 404) return undefined;
  let body = first.body;
  for (const role of ["snapshot", "targets"]) {
    const meta = JSON.parse(body.toString()).signed.meta[role];
    const hex = Buffer.from(meta?.hashes.sha256 ?? "", "base64").toString("hex");
    const next = await client.ask("GET", `${path}${role}.${hex}.json`);
    if (next.status !== 200 || sha256Hex(next.body) !== hex)
      throw new Violation("TORN", `trust ${repository}: ${role}.${hex} answers ${next.status}`);
    body = next.body;
  }
  const current = await client.expect([200], "GET", `${path}targets.json`);
  if (!current.body.equals(body))
    throw new Violation("TORN", `trust ${repository}: targets.json is not in the snapshot`);
  return sha256Hex(body);
}
