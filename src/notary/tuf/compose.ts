import type { Json, JsonObject } from "../../oci/json.ts";
import { toCanonical } from "./canonical-json.ts";
import { VerificationError } from "./error.ts";
import { type Key, spkiOf } from "./key.ts";
import { type Delegation, parseRoot, type Root, type Targets, toTargets } from "./metadata.ts";
import { BASE_ROLES, type BaseRole, type Gun, type KeyId, type RoleName } from "./names.ts";
import { DEFAULT_POLICY } from "./policy.ts";
import { toGoTime } from "./produce.ts";
import { verifyRootSuccession } from "./root-succession.ts";
import { parseSignedFile, type SignedFile, toFileBytes } from "./signed-file.ts";

/** A key that signs, under the id that the role's keys have it by: for the root that of its certificate. */
export interface RoleSigner {
  readonly keyId: KeyId;
  sign(message: Uint8Array): { readonly method: string; readonly sig: Uint8Array };
}

interface RootDraft {
  readonly now: Date;
  readonly signers: readonly RoleSigner[];
  /** Default: 1. A later one must be signed by the root before it too, as whoever judges it will see. */
  readonly version?: number;
}

/** A root of a GUN: one key for each role. The root's must be in a certificate that names the GUN. */
export function composeRoot(
  gun: Gun,
  keys: Readonly<Record<BaseRole, Key>>,
  { now, signers, version = 1 }: RootDraft,
): Root {
  const roles = BASE_ROLES.map((role) => [role, { keyids: [keys[role].id], threshold: 1 }]);
  const signed: Dated = {
    _type: "Root",
    consistent_snapshot: false,
    expires: inSeconds(now, DEFAULT_POLICY.maxLifeSeconds.root),
    keys: keysJson(Object.values(keys)),
    roles: Object.fromEntries(roles),
    version,
  };
  const { bytes } = signFile(signed, signers);
  // What we would refuse as a reader is not published.
  verifyRootSuccession(parseSignedFile(bytes), { gun, current: undefined, now });
  return parseRoot(bytes);
}

/** `targets` or a delegation, on the way from one version to the next. What it does not name stays as it is. */
export class TargetsDraft {
  readonly role: RoleName;
  readonly #version: number;
  #signed: JsonObject;

  /**
   * @param current what is published and counts; undefined begins empty
   * @param version of the file that is published, whether it counts or not; 0 for none
   */
  constructor(role: RoleName, current: Targets | undefined, version: number) {
    this.role = role;
    this.#version = version + 1;
    const empty: JsonObject = { _type: "Targets", delegations: { keys: {}, roles: [] }, targets: {} };
    this.#signed = current?.signed ?? empty;
  }

  putTarget(name: string, { sha256, length }: { readonly sha256: Uint8Array; readonly length: number }): void {
    const entry = { hashes: { sha256: Buffer.from(sha256).toString("base64") }, length };
    this.#signed = { ...this.#signed, targets: { ...asObject(this.#signed.targets), [name]: entry } };
  }

  removeTarget(name: string): void {
    const others = Object.entries(asObject(this.#signed.targets)).filter(([other]) => other !== name);
    this.#signed = { ...this.#signed, targets: Object.fromEntries(others) };
  }

  /**
   * Lets `key` speak for every name as `name`, beside the keys that do already. A key that is there in another form (its
   * certificate) is not added a second time: readers count it once (hardening N07).
   * @returns whether that changed anything
   */
  addDelegate(name: RoleName, key: Key): boolean {
    const { keys, roles } = asObject(this.#signed.delegations);
    const list = (Array.isArray(roles) ? roles : []) as readonly JsonObject[];
    const known = readDelegations(this.role, this.#signed).find((delegation) => delegation.name === name);
    if (known !== undefined && hasKey(known, key)) return false;
    const keyids = [...(known?.keyIds ?? []), key.id];
    const changed =
      known === undefined
        ? [...list, { keyids, name, paths: [""], threshold: 1 }]
        : list.map((entry) => (entry.name === name ? { ...entry, keyids } : entry));
    const delegations = { keys: { ...asObject(keys), ...keysJson([key]) }, roles: changed };
    this.#signed = { ...this.#signed, delegations };
    return true;
  }

  /** Signed, good for as long as docker signs it: three years. */
  finish(now: Date, signers: readonly RoleSigner[]): Targets {
    const expires = inSeconds(now, DEFAULT_POLICY.maxLifeSeconds.targets);
    return toTargets(signFile({ ...this.#signed, expires, version: this.#version }, signers), this.role);
  }
}

function readDelegations(role: RoleName, signed: JsonObject): readonly Delegation[] {
  const now = new Date(0).toISOString();
  return toTargets(signFile({ ...signed, expires: now, version: 1 }, []), role).delegations;
}

function hasKey({ keyIds, keys }: Delegation, key: Key): boolean {
  const spki = spkiOf(key);
  return keyIds.some((id) => {
    const other = keys.get(id);
    return id === key.id || (other !== undefined && spkiOf(other) === spki);
  });
}

/** As it would be read from its bytes, which is slow for thousands of tags: the canonical form reads back as itself. */
function signFile(signed: Dated, signers: readonly RoleSigner[]): SignedFile {
  const message = toCanonical(signed);
  const signatures = signers.map(({ keyId, sign }) => ({ keyId, ...sign(message) }));
  const { _type: type, expires, version } = signed;
  const bytes = toFileBytes(message, signatures);
  return { bytes, signed, message, signatures, type: String(type), version, expires, expiresAt: new Date(expires) };
}

type Dated = JsonObject & { readonly expires: string; readonly version: number };

function keysJson(keys: readonly Key[]): JsonObject {
  const entry = ({ type, publicBytes }: Key): JsonObject => ({
    keytype: type,
    keyval: { private: null, public: publicBytes.toString("base64") },
  });
  return Object.fromEntries(keys.map((key) => [key.id, entry(key)]));
}

function inSeconds(now: Date, seconds: number): string {
  return toGoTime(new Date(now.getTime() + seconds * 1000));
}

/** `null` and absent are empty, as Go reads them. */
function asObject(value: Json | undefined): JsonObject {
  if (value === undefined || value === null) return {};
  if (typeof value === "object" && !Array.isArray(value)) return value as JsonObject;
  throw new VerificationError("MALFORMED", "not an object");
}
