import { compactVerify, decodeProtectedHeader, errors } from "jose";
import type { Key } from "../notary/tuf/key.ts";
import type { PolicyDocument, PolicyKey } from "../trust/policy-document.ts";
import { BridgeError } from "./errors.ts";

/** The `typ` of an order: no other token of anybody's is one. */
export const ORDER_TYPE = "goldseal-order+jws";

const MAX_ORDER_CHARACTERS = 8192;
const CURVES: Readonly<Record<string, string>> = { prime256v1: "ES256", secp384r1: "ES384", secp521r1: "ES512" };

export interface SignedOrder {
  readonly payload: Uint8Array;
  /** Canonical. */
  readonly keyId: string;
  readonly signer: PolicyKey;
}

/**
 * What a key of the policy document signed, as a compact JWS. Its algorithm is the key's, never what the header asks for.
 * @throws BridgeError ORDER
 * @see RFC 7515 section 7.1; RFC 8725 section 3.1, 3.11
 */
export async function openOrder(jws: string, { keys }: Pick<PolicyDocument, "keys">): Promise<SignedOrder> {
  if (jws.length > MAX_ORDER_CHARACTERS) throw new BridgeError("ORDER", "an order is at most 8 KiB long");
  try {
    const { kid = "", typ } = decodeProtectedHeader(jws);
    if (typ !== ORDER_TYPE) throw new BridgeError("ORDER", `an order has the typ ${ORDER_TYPE}`);
    const signer = keys.get(kid);
    if (signer === undefined) throw new BridgeError("ORDER", "the order is by a key that the policy does not know");
    const { publicKey } = signer.key.getMaterial();
    const { payload } = await compactVerify(jws, publicKey, { algorithms: algorithmsOf(signer.key) });
    return { payload, keyId: kid, signer };
  } catch (cause) {
    if (!(cause instanceof errors.JOSEError || cause instanceof TypeError)) throw cause;
    throw new BridgeError("ORDER", `the order does not hold: ${cause.message}`, { cause });
  }
}

function algorithmsOf(key: Key): string[] {
  const { family, publicKey } = key.getMaterial();
  if (family === "rsa") return ["PS256"];
  if (family === "ed25519") return ["EdDSA"];
  return [CURVES[publicKey.asymmetricKeyDetails?.namedCurve ?? ""] ?? "none of ours"];
}
