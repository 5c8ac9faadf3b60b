import { createHash, generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import type { Person } from "../access/people.ts";
import { Client } from "../client.ts";
import { sha256 } from "../content.ts";
import type { Server } from "../servers.ts";

const OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json";
const CONFIG = "application/vnd.oci.image.config.v1+json";
const SIMPLE_SIGNING = "application/vnd.dev.cosign.simplesigning.v1+json";

/** Has the person prove a key, sign the image with it as cosign does, and enforce that whatever is pulled is signed. */
export async function enforce(server: Server, person: Person): Promise<void> {
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const client = new Client(server);
  try {
    await proveKey(client, person, { privateKey, publicKey });
    await signImage(client, person, privateKey);
    const policy = { repositories: ["**"], mode: "enforce", require: [{ k: 1 }] };
    await send(client, person, {
      path: `/api/v1/orgs/${person.name}/policies/signed`,
      method: "PUT",
      body: policy,
      expect: 201,
    });
  } finally {
    client.close();
  }
}

interface KeyPair {
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
}

async function proveKey(client: Client, person: Person, { privateKey, publicKey }: KeyPair): Promise<void> {
  const path = `/api/v1/users/${person.name}/keys`;
  const id = createHash("sha256")
    .update(publicKey.export({ format: "der", type: "spki" }))
    .digest("hex");
  const text = publicKey.export({ format: "pem", type: "spki" });
  await send(client, person, { path, method: "POST", body: { name: "bench", publicKey: text }, expect: 201 });
  const challenge = await send(client, person, { path: `${path}/${id}/challenge`, method: "POST", expect: 201 });
  const { message }: { message: string } = JSON.parse(challenge.toString());
  const signature = sign("sha256", Buffer.from(message), { key: privateKey, dsaEncoding: "ieee-p1363" });
  const proof = { method: "ecdsa", signature: signature.toString("base64") };
  await send(client, person, { path: `${path}/${id}/proof`, method: "PUT", body: proof, expect: 200 });
}

/** @see sigstore/cosign specs/SIGNATURE_SPEC.md */
async function signImage(client: Client, person: Person, key: KeyObject): Promise<void> {
  const { repository, digest } = person;
  const critical = {
    identity: { "docker-reference": repository },
    image: { "docker-manifest-digest": digest },
    type: "cosign container image signature",
  };
  const [payload, config] = [Buffer.from(JSON.stringify({ critical, optional: null })), Buffer.from("{}")];
  for (const blob of [payload, config]) {
    const path = `/v2/${repository}/blobs/uploads/?digest=${sha256(blob)}`;
    await send(client, person, { path, method: "POST", body: blob, expect: 201 });
  }
  const signature = sign("sha256", payload, key).toString("base64");
  const annotations = { "dev.cosignproject.cosign/signature": signature };
  const manifest = {
    schemaVersion: 2,
    mediaType: OCI_MANIFEST,
    config: { mediaType: CONFIG, digest: sha256(config), size: config.length },
    layers: [{ mediaType: SIMPLE_SIGNING, digest: sha256(payload), size: payload.length, annotations }],
  };
  const path = `/v2/${repository}/manifests/${digest.replace(":", "-")}.sig`;
  await send(client, person, { path, method: "PUT", body: manifest, contentType: OCI_MANIFEST, expect: 201 });
}

interface Sent {
  readonly path: string;
  readonly method: string;
  readonly body?: object;
  readonly contentType?: string;
  readonly expect: number;
}

/** By password: keys are proved by nothing less. */
async function send(
  client: Client,
  { byPassword }: Person,
  { path, method, body, contentType, expect }: Sent,
): Promise<Buffer> {
  const headers = { authorization: byPassword, "content-type": contentType ?? "application/json" };
  const content = body === undefined ? undefined : Buffer.isBuffer(body) ? body : Buffer.from(JSON.stringify(body));
  return (await client.ask(path, { method, headers, expect, ...(content === undefined ? {} : { body: content }) }))
    .body;
}
