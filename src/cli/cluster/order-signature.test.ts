import { generateKeyPairSync } from "node:crypto";
import { describe, expect, it } from "vitest";
import { openOrder } from "../../cluster-bridge/order-signature.ts";
import { canonicalKeyId } from "../../notary/tuf/key.ts";
import { sha256Of } from "../../notary/tuf/signed-file.ts";
import { parseJson } from "../../oci/json.ts";
import { toSigningKey } from "../docker-keys/signing-key.ts";
import { signOrder } from "./order-signature.ts";

const body = Buffer.from('{"name":"web"}');
const KINDS = [
  ["P-256", generateKeyPairSync("ec", { namedCurve: "P-256" })],
  ["P-384", generateKeyPairSync("ec", { namedCurve: "P-384" })],
  ["Ed25519", generateKeyPairSync("ed25519")],
  ["RSA", generateKeyPairSync("rsa", { modulusLength: 2048 })],
] as const;

describe("signOrder", () => {
  it.each(KINDS)(
    "makes an order by a key of %s that the bridge opens, over what was asked for",
    async (_kind, pair) => {
      const key = toSigningKey(pair.privateKey);
      const keyId = canonicalKeyId(key.key);

      const order = signOrder({ environment: "prod", action: "service.remove", body }, key);

      const keys = new Map([[keyId, { key: key.key, spki: "", user: "olga" }]]);
      const opened = await openOrder(order, { keys });
      expect(opened.keyId).toBe(keyId);
      const said = parseJson(opened.payload) as Record<string, unknown>;
      expect(said).toMatchObject({
        ...{ environment: "prod", action: "service.remove", spec: sha256Of(body).toString("hex") },
        nonce: expect.stringMatching(/^[A-Za-z0-9_-]{22}$/),
      });
      expect(Number(said.exp) - Date.now() / 1000).toBeGreaterThan(230);
      expect(Number(said.exp) - Date.now() / 1000).toBeLessThanOrEqual(240);
    },
  );

  it("makes another one each time", () => {
    const key = toSigningKey(KINDS[0][1].privateKey);
    const orders = [1, 2].map(() => signOrder({ environment: "prod", action: "service.remove", body }, key));

    expect(orders[0]).not.toBe(orders[1]);
  });
});
