import type { OpenSigner } from "./org-signers-store.ts";
import type { ServedCollection } from "./served-collection.ts";
import type { TargetsReader } from "./targets-reader.ts";
import { VerificationError } from "./tuf/error.ts";
import { spkiOf } from "./tuf/key.ts";
import type { Delegation, Root, Targets } from "./tuf/metadata.ts";
import { type KeyId, RELEASES, ROOT, type RoleName, TARGETS } from "./tuf/names.ts";
import { findSigners } from "./tuf/server-keys.ts";
import type { StoredRole } from "./tuf/update.ts";
import { verifyDelegationCertificates, verifyNotExpired, verifyRole } from "./tuf/verify.ts";

/** Why the server cannot sign in a GUN, with what to do about it. */
export interface Obstacle {
  readonly code: "client-snapshot" | "not-delegated" | "not-sound";
  readonly message: string;
}

/** A role that the server's key signs alone. */
export interface ServerRoleFile {
  readonly name: RoleName;
  /** As the role lists it. */
  readonly keyId: KeyId;
  readonly paths: readonly string[];
  /** Of the file that is published, whether it counts or not; 0 for none. */
  readonly version: number;
  /** What is published and signed as it must be; it may have expired. */
  readonly current: Targets | undefined;
}

export type Standing =
  | { readonly kind: "nothing-there" }
  | { readonly kind: "obstacle"; readonly obstacle: Obstacle }
  /** Its own role first, then `targets/releases` where the owner let the server release. */
  | { readonly kind: "signs"; readonly root: Root; readonly roles: readonly ServerRoleFile[] };

export interface StandingInput {
  readonly served: Pick<ServedCollection, "gun" | "org" | "stored" | "now" | "keys">;
  readonly signer: OpenSigner;
  readonly readRoot: (stored: StoredRole) => Root;
  readonly readTargets: TargetsReader["read"];
}

/** What the owner of a GUN lets the server do there. @see design.md "Server roles in a client-owned GUN" */
export function findStanding(input: StandingInput): Standing {
  const { served, signer, readRoot } = input;
  const stored = served.stored.get(ROOT);
  if (stored === undefined) return { kind: "nothing-there" };
  try {
    const root = readRoot(stored);
    verifyNotExpired(root, ROOT, served.now);
    if (findSigners(root.roles.snapshot, served.keys.serverKeys.snapshot) === undefined)
      return obstacle(clientSnapshot(served));
    const targets = getTargets(input, root);
    const own = findRole(input, targets, signer.role);
    if (own === undefined) return obstacle(notDelegated(served, signer));
    const releases = findRole(input, targets, RELEASES);
    return { kind: "signs", root, roles: releases === undefined ? [own] : [own, releases] };
  } catch (error) {
    if (!(error instanceof VerificationError)) throw error;
    return obstacle(notSound(served, error.message));
  }
}

function obstacle(found: Obstacle): Standing {
  return { kind: "obstacle", obstacle: found };
}

/** @throws VerificationError */
function getTargets({ served: { stored, now }, readTargets }: StandingInput, root: Root): Targets {
  const found = stored.get(TARGETS);
  if (found === undefined) throw new VerificationError("MISMATCH", "there is a root, but no targets");
  const targets = readTargets(TARGETS, found);
  verifyRole(targets, TARGETS, root.roles.targets);
  verifyNotExpired(targets, TARGETS, now);
  return targets;
}

/** Undefined where the role is not there, or does not take our key's signature alone. */
function findRole(input: StandingInput, targets: Targets, name: RoleName): ServerRoleFile | undefined {
  const delegation = targets.delegations.find((one) => one.name === name);
  const keyId = delegation && findKeyId(delegation, input.signer);
  if (delegation === undefined || keyId === undefined || delegation.threshold > 1) return undefined;
  const stored = input.served.stored.get(name);
  return {
    ...{ name, keyId, paths: delegation.paths, version: stored?.version ?? 0 },
    current: stored && findCounting(input, stored, delegation),
  };
}

function findKeyId({ keyIds, keys }: Delegation, { key }: OpenSigner): KeyId | undefined {
  const spki = spkiOf(key);
  return keyIds.find((id) => {
    const listed = keys.get(id);
    return listed !== undefined && listed.id === id && spkiOf(listed) === spki;
  });
}

/** What somebody signed who may no longer is not signed along: no reader counts it either. */
function findCounting({ readTargets }: StandingInput, stored: StoredRole, delegation: Delegation): Targets | undefined {
  try {
    verifyDelegationCertificates(delegation.name, delegation);
    const targets = readTargets(delegation.name, stored);
    verifyRole(targets, delegation.name, delegation);
    return targets;
  } catch (error) {
    if (error instanceof VerificationError) return undefined;
    throw error;
  }
}

function clientSnapshot({ gun }: StandingInput["served"]): Obstacle {
  const message =
    `this server may not publish the trust data of ${gun}: its snapshot key is with a client; ` +
    `whoever holds the root key hands it over: notary key rotate ${gun} snapshot -r`;
  return { code: "client-snapshot", message };
}

function notDelegated({ gun, org }: StandingInput["served"], { role, key }: OpenSigner): Obstacle {
  const signer = role.replace("targets/", "");
  const message =
    `the owner of the trust data of ${gun} does not let this server sign there: ${role} does not list its key ${key.id}; ` +
    `whoever holds the repository key adds it: goldseal trust init ${gun} --releases, ` +
    `or docker trust signer add --key KEY.pub ${signer} ${gun}, with the key that goldseal org signer ${org} ${signer} prints`;
  return { code: "not-delegated", message };
}

function notSound({ gun }: StandingInput["served"], why: string): Obstacle {
  const message = `nothing can be signed in ${gun}, whose trust data does not hold: ${why}; its owner mends it: goldseal trust init ${gun}`;
  return { code: "not-sound", message };
}
