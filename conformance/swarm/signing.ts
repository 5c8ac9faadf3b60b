/** What people sign for the bridge, made from the formats alone: keys, the policy document (DSSE), orders (JWS). */
import { createHash, generateKeyPairSync, type KeyObject, randomBytes, sign } from "node:crypto";

export interface SigningKey {
  readonly privateKey: KeyObject;
  /** DER SubjectPublicKeyInfo in base64. */
  readonly spki: string;
  readonly keyId: string;
}

export function makeKey(): SigningKey {
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "prime256v1" });
  const spki = publicKey.export({ format: "der", type: "spki" }).toString("base64");
  return { privateKey, spki, keyId: keyIdOf(spki) };
}

/** As TUF and the policy document name a key. */
export function keyIdOf(spki: string): string {
  const canonical = `{"keytype":"ecdsa","keyval":{"private":null,"public":"${spki}"}}`;
  return createHash("sha256").update(canonical).digest("hex");
}

/** @see DSSE protocol v1 */
export function toEnvelope(payloadType: string, document: object, keys: readonly SigningKey[]): string {
  const payload = Buffer.from(JSON.stringify(document));
  const message = Buffer.concat([
    Buffer.from(`DSSEv1 ${payloadType.length} ${payloadType} ${payload.length} `),
    payload,
  ]);
  const signatures = keys.map(({ keyId, privateKey }) => ({
    keyid: keyId,
    sig: sign("sha256", message, privateKey).toString("base64"),
  }));
  return JSON.stringify({ payload: payload.toString("base64"), payloadType, signatures });
}

export interface OrderOptions {
  readonly environment?: string;
  readonly action?: string;
  /** Signed over this instead of the specification. */
  readonly signedSpec?: string;
  readonly nonce?: string;
  readonly lifeSeconds?: number;
}

/** A compact JWS (ES256). */
export function makeOrder(spec: string, { keyId, privateKey }: SigningKey, options: OrderOptions = {}): string {
  const { environment = "prod", action = "service.deploy", signedSpec = spec, lifeSeconds = 240 } = options;
  const { nonce = randomBytes(16).toString("base64url") } = options;
  const encode = (value: object): string => Buffer.from(JSON.stringify(value)).toString("base64url");
  const order = {
    ...{ environment, action, nonce, spec: createHash("sha256").update(signedSpec).digest("hex") },
    exp: Math.floor(Date.now() / 1000) + lifeSeconds,
  };
  const message = `${encode({ alg: "ES256", typ: "goldseal-order+jws", kid: keyId })}.${encode(order)}`;
  const signature = sign("sha256", Buffer.from(message), { key: privateKey, dsaEncoding: "ieee-p1363" });
  return `${message}.${signature.toString("base64url")}`;
}
