import { readFile } from "node:fs/promises";
import { isJsonObject, JsonError, type JsonObject, parseJson } from "../../oci/json.ts";
import { type Envelope, findSigners, parseEnvelope } from "../../trust/dsse.ts";
import { TrustError } from "../../trust/error.ts";
import { POLICY_TYPE } from "../../trust/policy.ts";
import { type PolicyDocument, parsePolicyDocument } from "../../trust/policy-document.ts";
import type { ApiClient } from "../api-client.ts";
import { CliError } from "../errors.ts";
import { apiPath } from "../paths.ts";

/** A policy document, from a draft, a signed file or the registry. */
export interface PolicyFile {
  /** How messages call it. */
  readonly name: string;
  /** As they are there. */
  readonly bytes: Buffer;
  /** Undefined: a draft. */
  readonly envelope: Envelope | undefined;
  /** The document's own bytes: what is signed. */
  readonly payload: Buffer;
  readonly document: PolicyDocument;
  /** The document as it is written. */
  readonly json: JsonObject;
}

export const BRIDGE_POLICY = apiPath("policies", "bridge");

/** @throws CliError for what cannot be read or does not hold together */
export async function readPolicyFile(path: string): Promise<PolicyFile> {
  try {
    return parsePolicy(path, await readFile(path));
  } catch (cause) {
    if (cause instanceof CliError) throw cause;
    throw new CliError(`cannot read ${path}`, { cause });
  }
}

/** Undefined where the registry has none, or none that names who asks. @throws CliError */
export async function findServerPolicy(client: ApiClient): Promise<PolicyFile | undefined> {
  const bytes = await client.findBytes(BRIDGE_POLICY, "read the policy of the bridges");
  return bytes && parsePolicy(`the policy of ${client.origin}`, bytes);
}

/** @throws CliError */
export async function getServerPolicy(client: ApiClient): Promise<PolicyFile> {
  const policy = await findServerPolicy(client);
  if (policy !== undefined) return policy;
  throw new CliError(`${client.origin} has no policy for bridges, or none that names ${client.user}`);
}

/** @throws CliError */
export function parsePolicy(name: string, bytes: Buffer): PolicyFile {
  try {
    const envelope = "payloadType" in toObject(bytes) ? parseEnvelope(bytes) : undefined;
    if (envelope !== undefined && envelope.payloadType !== POLICY_TYPE)
      throw new CliError(`${name} is no policy: it holds ${envelope.payloadType}, not ${POLICY_TYPE}`);
    const payload = envelope?.payload ?? bytes;
    return { name, bytes, envelope, payload, document: parsePolicyDocument(payload), json: toObject(payload) };
  } catch (cause) {
    if (cause instanceof TrustError || cause instanceof JsonError)
      throw new CliError(`${name} is no policy: ${cause.message}`, { cause });
    throw cause;
  }
}

function toObject(bytes: Buffer): JsonObject {
  const value = parseJson(bytes);
  return isJsonObject(value) ? value : {};
}

export interface FileSigner {
  readonly keyId: string;
  /** Undefined: the document does not list the key, so nothing is known of it here. */
  readonly user: string | undefined;
  /** Undefined: without the key nobody can tell. */
  readonly good: boolean | undefined;
}

export function signersOf({ envelope, document: { keys } }: PolicyFile): FileSigner[] {
  if (envelope === undefined) return [];
  const found = findSigners(
    envelope,
    [...keys.values()].map(({ key }) => key),
  );
  return found.map(({ keyId, key }) => {
    const user = keys.get(keyId)?.user;
    return { keyId, user, good: user === undefined ? undefined : key !== undefined };
  });
}
