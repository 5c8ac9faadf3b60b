import { type RoleSigner, TargetsDraft } from "../../notary/tuf/compose.ts";
import { canonicalKeyId } from "../../notary/tuf/key.ts";
import { type KeyId, levelOf, TARGETS } from "../../notary/tuf/names.ts";
import type { TrustedMetadata, TrustedRole } from "../../notary/tuf/trusted-metadata.ts";
import type { RoleKeys } from "../../notary/tuf/verify.ts";
import type { StoredKey } from "../docker-keys/folder.ts";
import { type SigningKey, signWith } from "../docker-keys/signing-key.ts";
import { CliError } from "../errors.ts";
import type { TrustSession } from "./session.ts";
import type { NewFile } from "./trust-repository.ts";

/** A role that keys in the folder may sign. */
export interface OwnRole {
  readonly role: TrustedRole;
  readonly keys: readonly HeldKey[];
}

export interface HeldKey {
  /** As the role lists it. */
  readonly keyId: KeyId;
  readonly stored: StoredKey;
}

/**
 * The roles to sign a tag into, as docker chooses them: every delegation directly below `targets` that lists a key of ours
 * and may speak for the tag; where there is none, `targets` itself if we hold its key.
 * @param tag undefined: any
 * @throws CliError that says who could let us
 */
export async function findOwnRoles(session: TrustSession, trusted: TrustedMetadata, tag: string): Promise<OwnRole[]> {
  const held = await session.keys.list();
  const own = [...trusted.roles.values()].map((role) => ({ role, keys: heldKeys(role.keys, held) }));
  const ours = own.filter(({ keys }) => keys.length > 0);
  const delegated = ours.filter(
    ({ role: { name, paths } }) => levelOf(name) === 1 && paths.some((prefix) => tag.startsWith(prefix)),
  );
  const roles = delegated.length > 0 ? delegated : ours.filter(({ role }) => role.name === TARGETS);
  if (roles.length > 0) return roles;
  throw new CliError(
    `none of the ${held.length} keys in ${session.keysFolder}/private may sign ${session.gun}:${tag}\n` +
      `whoever holds its repository key ${repositoryKeyOf(trusted)} lets you: docker trust signer add --key YOU.pub YOU ${session.gun}`,
  );
}

/** The canonical id of the key of `targets`. */
export function repositoryKeyOf({ root }: TrustedMetadata): string {
  const [id] = root.roles.targets.keyIds;
  const key = id && root.keys.get(id);
  return key ? canonicalKeyId(key) : "(there is none)";
}

export function heldKeys({ keyIds, keys }: RoleKeys, held: readonly StoredKey[]): HeldKey[] {
  return keyIds.flatMap((keyId) => {
    const key = keys.get(keyId);
    const stored = key && held.find((one) => one.keyId === canonicalKeyId(key));
    return stored === undefined ? [] : [{ keyId, stored }];
  });
}

/** @param keyId as the role lists it */
export function toSigner(key: SigningKey, keyId: KeyId): RoleSigner {
  return { keyId, sign: (message) => signWith(key, message) };
}

/** Opens the keys, asking for passphrases. @throws CliError */
export async function toSigners({ keys }: TrustSession, held: readonly HeldKey[]): Promise<RoleSigner[]> {
  const signers: RoleSigner[] = [];
  for (const { keyId, stored } of held) {
    signers.push(toSigner(await keys.open(stored), keyId));
  }
  return signers;
}

/** A file with less left is signed anew although nothing in it changes: docker warns of it half a year before its end. */
const RENEW_BEFORE_MS = 180 * 86_400_000;

/** Whether what the role says counts no longer, or soon will not. */
export function isEnding({ targets, problem }: Pick<TrustedRole, "targets" | "problem">): boolean {
  return targets === undefined || problem !== undefined || targets.expiresAt.getTime() - Date.now() < RENEW_BEFORE_MS;
}

/**
 * The next version of a role, from what its keys of today vouch for. What was signed by somebody who may no longer is not
 * signed along: no reader counts it either.
 */
export function toDraft({ call: { io } }: TrustSession, { name, targets, file }: Draftable): TargetsDraft {
  if (file !== undefined && targets === undefined) {
    io.stderr.write(
      `goldseal: ${name} was signed last by a key that may no longer; it begins anew, so its other tags must be signed again\n`,
    );
  }
  return new TargetsDraft(name, targets, file?.version ?? 0);
}

type Draftable = Pick<TrustedRole, "name" | "targets" | "file">;

export async function finish(
  session: TrustSession,
  draft: TargetsDraft,
  { keys }: Pick<OwnRole, "keys">,
): Promise<NewFile> {
  const { bytes } = draft.finish(new Date(), await toSigners(session, keys));
  return { role: draft.role, bytes };
}
