import { constants, randomBytes, type SignKeyObjectInput, sign } from "node:crypto";
import { canonicalKeyId } from "../../notary/tuf/key.ts";
import { sha256Of } from "../../notary/tuf/signed-file.ts";
import type { SigningKey } from "../docker-keys/signing-key.ts";
import { CliError } from "../errors.ts";

/** What is ordered; the bytes are what the bridge gets. */
export interface OrderOf {
  readonly environment: string;
  /** `service.deploy`, … */
  readonly action: string;
  readonly body: Uint8Array;
}

/** The bridge takes no order that is good for more than five minutes by its own clock. */
const LIFE_SECONDS = 240;

/** By an elliptic curve: the algorithm of JWS and the hash that go with it. @see RFC 7518 section 3.4 */
const CURVES: Readonly<Record<string, readonly [alg: string, hash: string]>> = {
  prime256v1: ["ES256", "sha256"],
  secp384r1: ["ES384", "sha384"],
  secp521r1: ["ES512", "sha512"],
};

/** An order of now, as a compact JWS. @see RFC 7515 section 7.1; docs/bridge.md "Orders" */
export function signOrder({ environment, action, body }: OrderOf, key: SigningKey): string {
  const { alg, hash, how } = algorithmOf(key);
  const order = {
    ...{ environment, action, spec: sha256Of(body).toString("hex") },
    nonce: randomBytes(16).toString("base64url"),
    exp: Math.floor(Date.now() / 1000) + LIFE_SECONDS,
  };
  const header = { alg, typ: "goldseal-order+jws", kid: canonicalKeyId(key.key) };
  const message = [header, order].map((part) => Buffer.from(JSON.stringify(part)).toString("base64url")).join(".");
  const signature = sign(hash, Buffer.from(message), { key: key.privateKey, ...how });
  return `${message}.${signature.toString("base64url")}`;
}

interface Algorithm {
  readonly alg: string;
  /** Undefined: the key's own. */
  readonly hash: string | undefined;
  readonly how: Omit<SignKeyObjectInput, "key">;
}

function algorithmOf({ privateKey }: SigningKey): Algorithm {
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = privateKey;
  if (type === "ed25519") return { alg: "EdDSA", hash: undefined, how: {} };
  if (type === "rsa")
    return { alg: "PS256", hash: "sha256", how: { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 } };
  const curve = CURVES[details?.namedCurve ?? ""];
  if (curve === undefined) throw new CliError(`the bridge takes no order by a key of the kind ${type}`);
  return { alg: curve[0], hash: curve[1], how: { dsaEncoding: "ieee-p1363" } };
}
