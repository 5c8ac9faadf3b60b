/**
 * Files and keys that real clients made (`vectors.json`): first by nothing of the product's code, then by the server that is
 * handed them. What it says of a key and of a file must be what the clients said; the same with one bit changed is refused.
 */
import { verify } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { RegistryClient } from "../harness/registry-client.ts";
import type { Report } from "../harness/report.ts";
import { projectRoot } from "../harness/server.ts";
import { Collection, describeAnswer, type Part, type Place } from "./collection.ts";
import { canonical, type Loose, metaOf, publicKeyOf, type Signer, sha256Hex } from "./tuf-files.ts";
import { ALICE, openTrustServer, PUBLIC_ORG } from "./world.ts";

interface Vector {
  readonly keytype: string;
  readonly method: string;
  readonly file: string;
  readonly key: { readonly keytype: string; readonly keyval: { readonly public: string } };
  readonly keyId: string;
  readonly canonicalKeyId: string;
  readonly fileBytes: string;
  readonly length: number;
  readonly sha256hex: string;
  readonly sha512base64: string;
  readonly signature: string;
  /** Where it is not a part of the file as it stands there. */
  readonly canonicalSigned: string;
}

const FILE = join(projectRoot, "src", "notary", "tuf", "testing", "data", "vectors.json");

export async function checkVectors(report: Report): Promise<void> {
  const vectors = readVectors();
  for (const vector of vectors)
    await report.check(`vector ${titleOf(vector)}: as its client made it`, () => see(vector));
  const { server, stop } = await openTrustServer({ keys: "ed25519", challenge: "bearer" });
  const client = new RegistryClient(server, ALICE);
  const place = { client, prefix: `${server.host}/${PUBLIC_ORG}` };
  try {
    for (const vector of vectors) await checkOnServer(report, place, vector);
  } finally {
    client.close();
    await stop();
  }
}

async function checkOnServer(report: Report, place: Place, vector: Vector): Promise<void> {
  const title = titleOf(vector);
  await report.check(`vector ${title}: the account knows its key by both ids`, () => addKey(place, vector));
  // The server signs timestamps itself and takes nobody's.
  if (vector.file === "timestamp") return;
  await report.check(`vector ${title}: taken, described and served byte for byte`, () => publish(place, vector));
  await report.check(
    `vector ${title}: one bit changed in what is signed, or in the signature, is refused`,
    async () => {
      for (const [what, text] of changesOf(vector)) {
        const answer = describeAnswer(await handIn(place, { ...vector, fileBytes: text }).then(({ answer }) => answer));
        if (!/^400 INVALID_UPDATE ErrBad/.test(answer)) throw new Error(`${what}: ${answer}`);
      }
    },
  );
}

function readVectors(): Vector[] {
  const { vectors, escaping } = JSON.parse(readFileSync(FILE, "utf8"));
  const rest = { file: "targets", keytype: "escaping", method: "ecdsa", ...hashesOf(escaping.fileBytes) };
  const canonicalKeyId = escaping.keyId;
  return [...vectors, { ...rest, canonicalKeyId, ...escaping }];
}

/** The one vector that is about escaping tells its SHA-256 alone. */
function hashesOf(fileBytes: string) {
  const { hashes, length } = metaOf(Buffer.from(fileBytes)) as { hashes: { sha512: string }; length: number };
  return { sha512base64: hashes.sha512, length };
}

const titleOf = ({ keytype, file }: Vector): string => `${keytype} ${file}`;
const keyBytes = ({ key }: Vector): Buffer => Buffer.from(key.keyval.public, "base64");
const signerOf = (vector: Vector): Pick<Signer, "type" | "publicBytes"> => ({
  type: vector.key.keytype,
  publicBytes: keyBytes(vector),
});

function see(vector: Vector): void {
  const bytes = Buffer.from(vector.fileBytes);
  const { signed, signatures } = JSON.parse(vector.fileBytes);
  const publicKey = publicKeyOf(vector.key.keytype, keyBytes(vector));
  same("key id", sha256Hex(canonical(vector.key)), vector.keyId);
  same("key id in the signature", signatures[0].keyid, vector.keyId);
  same("canonical key id", sha256Hex(canonical(bareKey(vector))), vector.canonicalKeyId);
  same("sha256", sha256Hex(bytes), vector.sha256hex);
  same("hashes and length", metaOf(bytes), metaFrom(vector));
  same("signature", signatures[0].sig, vector.signature);
  same("what is signed", canonical(signed), canonicalOf(vector));
  const message = Buffer.from(canonical(signed));
  const sig = Buffer.from(vector.signature, "base64");
  const how = { rsapss: { padding: 6, saltLength: 32 }, ecdsa: { dsaEncoding: "ieee-p1363" } as const }[vector.method];
  const hash = vector.method === "eddsa" ? null : "sha256";
  same("it holds", verify(hash, message, { key: publicKey, ...how }, sig), true);
}

/** The key without its certificate. */
function bareKey(vector: Vector): Loose {
  const keytype = vector.key.keytype.replace("-x509", "");
  if (keytype === vector.key.keytype) return { ...vector.key };
  const spki = publicKeyOf(vector.key.keytype, keyBytes(vector)).export({ format: "der", type: "spki" });
  return { keytype, keyval: { private: null, public: spki.toString("base64") } };
}

function canonicalOf({ canonicalSigned, fileBytes }: Vector): string {
  return canonicalSigned.startsWith("{")
    ? canonicalSigned
    : (/^\{"signed":(.*),"signatures":/.exec(fileBytes)?.[1] ?? "");
}

const metaFrom = ({ length, sha256hex, sha512base64 }: Vector): Loose => ({
  hashes: { sha256: Buffer.from(sha256hex, "hex").toString("base64"), sha512: sha512base64 },
  length,
});

async function addKey({ client }: Place, vector: Vector): Promise<void> {
  const content = { name: titleOf(vector).replaceAll(/[^a-z0-9]/g, "-"), publicKey: JSON.stringify(vector.key) };
  const { status, body } = await client.ask(`/api/v1/users/${ALICE.name}/keys`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: Buffer.from(JSON.stringify(content)),
  });
  same("status", status, 201);
  const { keyId, keyIds } = JSON.parse(body.toString());
  same("canonical key id", keyId, vector.canonicalKeyId);
  same("key ids", [...keyIds].toSorted(), [...new Set([vector.canonicalKeyId, vector.keyId])].toSorted());
}

/** A new collection in which this key signs this file, and the file. */
async function handIn(place: Place, vector: Vector) {
  const collection = await Collection.open(place);
  const part: Part = { filename: vector.file, bytes: Buffer.from(vector.fileBytes) };
  if (vector.file === "targets") {
    collection.targets = signerOf(vector) as Signer;
    return { collection, answer: await collection.push([collection.rootPart(), part]) };
  }
  const role = { name: vector.file, keyids: [vector.keyId], paths: [""], threshold: 1 };
  const delegate = (signed: Loose): void => {
    signed.delegations = { keys: { [vector.keyId]: vector.key }, roles: [role] };
  };
  const parts = [collection.rootPart(), collection.targetsPart(1, delegate), part];
  return { collection, answer: await collection.push(parts) };
}

async function publish(place: Place, vector: Vector): Promise<void> {
  const { collection, answer } = await handIn(place, vector);
  same("answer", describeAnswer(answer), "200");
  for (const name of [vector.file, `${vector.file}.${vector.sha256hex}`]) {
    const { status, body } = await collection.ask(`tuf/${name}.json`);
    same(name, [status, body.toString()], [200, vector.fileBytes]);
  }
  const { signed } = JSON.parse((await collection.ask("tuf/snapshot.json")).body.toString());
  same("the server's snapshot of it", canonical(signed.meta[vector.file]), canonical(metaFrom(vector)));
}

function changesOf({ fileBytes, signature }: Vector): [what: string, text: string][] {
  const sig = Buffer.from(signature, "base64");
  sig.writeUInt8(sig.readUInt8(sig.length - 1) ^ 1, sig.length - 1);
  return [
    ["signed", fileBytes.replace('"expires":"2029-11-2', '"expires":"2029-11-0')],
    ["signature", fileBytes.replace(signature, sig.toString("base64"))],
  ];
}

function same(what: string, seen: unknown, expected: unknown): void {
  if (canonical(seen) !== canonical(expected))
    throw new Error(`${what}: ${JSON.stringify(seen)} instead of ${JSON.stringify(expected)}`);
}
