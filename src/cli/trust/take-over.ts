import { composeRoot } from "../../notary/tuf/compose.ts";
import type { Key } from "../../notary/tuf/key.ts";
import { ROOT, type ServerRole, TARGETS } from "../../notary/tuf/names.ts";
import { inRootCertificate } from "../../notary/tuf/root-certificate.ts";
import type { TrustedMetadata } from "../../notary/tuf/trusted-metadata.ts";
import { type SigningKey, toCertifier } from "../docker-keys/signing-key.ts";
import { CliError } from "../errors.ts";
import { repositoryPath } from "../paths.ts";
import { toSigner } from "./own-roles.ts";
import type { TrustSession } from "./session.ts";
import { apiOf } from "./session-api.ts";
import type { NewFile } from "./trust-repository.ts";

/** Whether the registry founded the trust data itself and holds its root. @throws CliError */
export async function isHeldByServer({ account, image }: TrustSession): Promise<boolean> {
  const path = repositoryPath(image.repository, "trust", "root");
  const answer = await apiOf({ account }).find("GET", path, `see whose the root of ${image.repository} is`);
  return answer?.body.heldBy === "server";
}

/** The next root: people's keys in the place of the server's, whose snapshot and timestamp keys stay. */
export function composeNextRoot(
  { gun }: TrustSession,
  { root: present }: TrustedMetadata,
  keys: { readonly root: SigningKey; readonly targets: SigningKey },
): NewFile {
  const now = new Date();
  const root = inRootCertificate(toCertifier(keys.root), gun, now);
  const all = {
    ...{ root, targets: keys.targets.key },
    ...{ snapshot: keyOf(present, "snapshot"), timestamp: keyOf(present, "timestamp") },
  };
  const signers = [toSigner(keys.root, root.id)];
  return { role: ROOT, bytes: composeRoot(gun, all, { now, signers, version: present.version + 1 }).bytes };
}

/**
 * Has the server sign the root that comes after its own, and publish it with the targets below.
 * @returns whether it was taken; false: others published meanwhile
 * @throws CliError
 */
export async function sendTakeOver({ account, image, gun }: TrustSession, files: readonly NewFile[]): Promise<boolean> {
  const [root, targets] = [ROOT, TARGETS].map((name) => files.find(({ role }) => role === name)?.bytes);
  if (root === undefined || targets === undefined) throw new Error("a take-over without root or targets");
  const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString("base64");
  const body = { root: base64(root), targets: base64(targets) };
  const path = repositoryPath(image.repository, "trust", "root");
  const doing = `take over the trust data of ${gun}`;
  return (await apiOf({ account }).unlessChanged("PUT", path, doing, body)) !== undefined;
}

function keyOf({ roles, keys }: TrustedMetadata["root"], role: ServerRole): Key {
  const [id] = roles[role].keyIds;
  const key = id && keys.get(id);
  if (!key) throw new CliError(`the root that the registry founded names no ${role} key`);
  return key;
}
