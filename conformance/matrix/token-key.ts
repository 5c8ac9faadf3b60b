/**
 * A key whose tokens the server takes, so that what is wrong with a forged one is its claims alone. The published keys do not
 * sign, and the sealed one is not for a suite to open: one row in the database, of a key as if just retired, lets ours verify.
 */
import { createHash, generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Client } from "pg";
import { findSocketFolder } from "../crash/processes.ts";

export interface Forger {
  readonly publicKey: KeyObject;
  /** Header and claims as given; `key` other than ours for a stranger's signature. */
  forge(header: object, claims: object | string, key?: KeyObject): string;
}

export const encode = (value: object | string): string =>
  Buffer.from(typeof value === "string" ? value : JSON.stringify(value)).toString("base64url");

export async function plantKey(data: string): Promise<Forger> {
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const { crv, kty, x, y } = publicKey.export({ format: "jwk" });
  const kid = createHash("sha256").update(JSON.stringify({ crv, kty, x, y })).digest("base64url");
  const client = new Client({
    host: findSocketFolder(data),
    user: "goldseal",
    database: "goldseal",
    password: readFileSync(join(data, "postgres.password"), "utf8").trim(),
  });
  await client.connect();
  try {
    const text = `insert into token_keys (kid, public_jwk, sealed_by, sealed, created_at, retired_at)
      values ($1, $2, 'matrix', '', now() - interval '1 day', now())`;
    await client.query(text, [kid, JSON.stringify({ crv, kty, x, y })]);
  } finally {
    await client.end();
  }
  return {
    publicKey,
    forge: (header, claims, key = privateKey) => {
      const signed = `${encode({ alg: "ES256", kid, typ: "at+jwt", ...header })}.${encode(claims)}`;
      return `${signed}.${sign("sha256", Buffer.from(signed), { key, dsaEncoding: "ieee-p1363" }).toString("base64url")}`;
    },
  };
}
