/** Orders as an operator's command line makes them, in which a test changes one thing. */
import { randomBytes } from "node:crypto";
import { CompactSign } from "jose";
import { canonicalKeyId } from "../../notary/tuf/key.ts";
import { sha256Of } from "../../notary/tuf/signed-file.ts";
import type { Loose } from "../../notary/tuf/testing/loose.ts";
import type { TestKey } from "../../notary/tuf/testing/test-key.ts";
import { ORDER_TYPE } from "../order-signature.ts";
import type { Wanted } from "../orders.ts";

export interface Signing {
  readonly by: TestKey;
  readonly now: Date;
  readonly header?: Loose;
  readonly claims?: Loose;
  readonly alg?: string;
}

export async function signOrder(wanted: Wanted, { by, now, header, claims, alg = "ES256" }: Signing): Promise<string> {
  const { environment, action, spec } = wanted;
  const exp = Math.floor(now.getTime() / 1000) + 240;
  const nonce = randomBytes(16).toString("base64url");
  const order = { environment, action, spec: sha256Of(spec).toString("hex"), nonce, exp, ...claims };
  const protectedHeader = { alg, typ: ORDER_TYPE, kid: canonicalKeyId(by.key), ...header };
  return new CompactSign(Buffer.from(JSON.stringify(order))).setProtectedHeader(protectedHeader).sign(by.privateKey);
}
