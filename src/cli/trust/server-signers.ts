import { createPublicKey } from "node:crypto";
import { type Key, makeKey } from "../../notary/tuf/key.ts";
import { isDelegationName, type RoleName } from "../../notary/tuf/names.ts";
import { isJsonObject, type Json } from "../../oci/json.ts";
import { namespaceOf } from "../../oci/repository-name.ts";
import { CliError } from "../errors.ts";
import { apiPath } from "../paths.ts";
import type { TrustSession } from "./session.ts";
import { apiOf } from "./session-api.ts";

/** A key of the registry itself, and the only role that it may have: what it signs is attested by a server, by no person. */
export interface ServerSigner {
  readonly role: RoleName;
  readonly key: Key;
}

/** `goldseal-auto` signs as part of a push, `goldseal-promote` of a promotion. */
const SERVER_ROLE = /^targets\/goldseal-[a-z]+$/;

/** The registry's signing keys for the image's organization; none where it has none. @throws CliError */
export async function findServerSigners({ account, image }: TrustSession): Promise<ServerSigner[]> {
  const api = apiOf({ account });
  const org = namespaceOf(image.repository);
  const answer = await api.find("GET", apiPath("orgs", org, "signers"), `read the signing keys of ${org}`);
  const list = answer?.body.signers;
  return Array.isArray(list) ? list.map(toSigner) : [];
}

function toSigner(entry: Json): ServerSigner {
  const { role, keyId, publicKey } = isJsonObject(entry) ? entry : {};
  const name = String(role);
  if (!isDelegationName(name) || !SERVER_ROLE.test(name)) {
    throw new CliError(`the registry asks to sign as ${JSON.stringify(role)}, which is not a role of its own`);
  }
  const key = readPem(String(publicKey));
  if (key === undefined || key.id !== keyId)
    throw new CliError(`the registry's key for ${name} is not the one it names: ${keyId}`);
  return { role: name, key };
}

function readPem(pem: string): Key | undefined {
  try {
    return makeKey("ecdsa", createPublicKey(pem).export({ format: "der", type: "spki" }));
  } catch {
    return undefined;
  }
}
