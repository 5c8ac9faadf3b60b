import { composeRoot, TargetsDraft } from "../../notary/tuf/compose.ts";
import { VerificationError } from "../../notary/tuf/error.ts";
import { type Key, readKey } from "../../notary/tuf/key.ts";
import { isDelegationName, type RoleName, TARGETS } from "../../notary/tuf/names.ts";
import { inRootCertificate } from "../../notary/tuf/root-certificate.ts";
import type { TrustedMetadata, TrustedRole } from "../../notary/tuf/trusted-metadata.ts";
import { JsonError, parseJson } from "../../oci/json.ts";
import type { LocalCall } from "../command.ts";
import { generateSigningKey, type SigningKey, toCertifier } from "../docker-keys/signing-key.ts";
import { CliError, UsageError } from "../errors.ts";
import { heldKeys, isEnding, repositoryKeyOf, toDraft, toSigner, toSigners } from "./own-roles.ts";
import { findServerSigners, type ServerSigner } from "./server-signers.ts";
import { openSigningSession, type TrustSession } from "./session.ts";
import { RELEASES } from "./tag-view.ts";
import { composeNextRoot, isHeldByServer, sendTakeOver } from "./take-over.ts";
import { type NewFile, post, publishChange, requireTrust } from "./trust-repository.ts";

/** Who shall sign, besides the repository key. */
interface Delegate {
  readonly role: RoleName;
  readonly key: Key;
}

/**
 * `goldseal trust init IMAGE`: founds the trust data of a repository, takes over what the server founded, or adds what an
 * existing one lacks: a signer of our own and the server's own signing roles.
 */
export async function initTrust(call: LocalCall): Promise<void> {
  const session = await openSigningSession(call);
  const { gun, image, account } = session;
  if (image.tag !== undefined || image.digest !== undefined) {
    throw new UsageError("trust data belongs to a repository: give the image without tag and digest");
  }
  const signer = parseSigner(call.options.signer ?? account.name);
  const server = await findServerSigners(session);
  const done: string[] = [];
  let isServers = false;
  const plan = async (present: TrustedMetadata | undefined): Promise<NewFile[]> => {
    done.length = 0;
    isServers = present !== undefined && (await isHeldByServer(session));
    // First what the server may refuse: who must not sign here need not make keys.
    const online = present === undefined ? await getOnlineKeys(session) : undefined;
    const own = await signerKey(session, signer);
    const delegates = toDelegates(signer, own, server, call.options.releases === true);
    if (online !== undefined) return found(session, { online, delegates }, done);
    const trusted = requireTrust(session, present);
    return isServers ? takeOver(session, trusted, delegates, done) : complete(session, trusted, delegates, done);
  };
  await publishChange(session, plan, (...sent) => (isServers ? sendTakeOver(...sent) : post(...sent)));
  if (done.length === 0) done.push(`${gun} has everything already`);
  for (const line of done) call.io.stdout.write(`${line}\n`);
}

function parseSigner(name: string | boolean): RoleName {
  const role = `targets/${name}`;
  if (isDelegationName(role) && role !== RELEASES && !String(name).includes("/")) return role;
  throw new UsageError(`${JSON.stringify(name)} is no name of a signer: lower-case letters, digits, - and _`);
}

/** As docker does: a signer's key speaks in a role of its name, and releases. */
function toDelegates(signer: RoleName, own: Key, server: readonly ServerSigner[], doRelease: boolean): Delegate[] {
  const released = doRelease ? server.map(({ key }) => ({ role: RELEASES, key })) : [];
  return [{ role: signer, key: own }, { role: RELEASES, key: own }, ...server, ...released];
}

/** Keys that the server signs with. */
interface OnlineKeys {
  readonly snapshot: Key;
  readonly timestamp: Key;
}

interface Founding {
  readonly online: OnlineKeys;
  readonly delegates: readonly Delegate[];
}

/** Root and targets; the server signs snapshot and timestamp. Keys are written before anything is published. */
async function found(session: TrustSession, { online, delegates }: Founding, done: string[]): Promise<NewFile[]> {
  const { gun, store } = session;
  if ((await store.load()).size > 0) {
    throw new CliError(
      `the registry has no trust data of ${gun} any more, but this machine has seen some: it was deleted\n` +
        `whoever saw it will refuse a new root. To found it anew all the same, remove ${store.folder} here and there`,
    );
  }
  const [rootKey, targetsKey] = [await ownKey(session, "root"), await ownKey(session, "targets", gun)];
  const now = new Date();
  const root = inRootCertificate(toCertifier(rootKey), gun, now);
  const keys = { root, targets: targetsKey.key, ...online };
  const rootFile = composeRoot(gun, keys, { now, signers: [toSigner(rootKey, root.id)] });
  const draft = new TargetsDraft(TARGETS, undefined, 0);
  done.push(`founded the trust data of ${gun}`, `  root key        ${rootKey.key.id}`);
  done.push(
    `  repository key  ${targetsKey.key.id}`,
    `  keys are in ${session.keysFolder}/private: back up the root key`,
  );
  addDelegates(draft, delegates, done);
  const targets = draft.finish(now, [toSigner(targetsKey, targetsKey.key.id)]);
  return [
    { role: "root" as RoleName, bytes: rootFile.bytes },
    { role: TARGETS, bytes: targets.bytes },
  ];
}

/** Root and targets of our own after those that the server founded; what it may sign stays. */
async function takeOver(
  session: TrustSession,
  present: TrustedMetadata,
  delegates: readonly Delegate[],
  done: string[],
): Promise<NewFile[]> {
  const { gun, keysFolder } = session;
  const keys = { root: await ownKey(session, "root"), targets: await ownKey(session, "targets", gun) };
  const draft = toDraft(session, targetsOf(present));
  done.push(`took over the trust data of ${gun}, which the server had founded`);
  done.push(`  root key        ${keys.root.key.id}`, `  repository key  ${keys.targets.key.id}`);
  done.push(`  keys are in ${keysFolder}/private: back up the root key`);
  addDelegates(draft, delegates, done);
  const targets = draft.finish(new Date(), [toSigner(keys.targets, keys.targets.key.id)]);
  return [composeNextRoot(session, present, keys), { role: TARGETS, bytes: targets.bytes }];
}

function targetsOf({ roles }: TrustedMetadata): TrustedRole {
  const targets = roles.get(TARGETS);
  if (targets === undefined) throw new Error("a walk without targets");
  return targets;
}

async function complete(
  session: TrustSession,
  present: TrustedMetadata,
  delegates: readonly Delegate[],
  done: string[],
): Promise<NewFile[]> {
  const { gun, keys: folder, keysFolder } = session;
  const targets = targetsOf(present);
  const draft = toDraft(session, targets);
  addDelegates(draft, delegates, done);
  if (isEnding(targets)) done.push("  targets, signed anew before it ends");
  if (done.length === 0) return [];
  const held = heldKeys(present.root.roles.targets, await folder.list());
  if (held.length === 0) {
    throw new CliError(
      `${gun} has trust data already, and its repository key ${repositoryKeyOf(present)} is not in ${keysFolder}/private\n` +
        `it lacks:\n${done.join("\n")}\nwhoever holds that key adds it with goldseal trust init ${gun}, or docker trust signer add`,
    );
  }
  return [{ role: TARGETS, bytes: draft.finish(new Date(), await toSigners(session, held)).bytes }];
}

function addDelegates(draft: TargetsDraft, delegates: readonly Delegate[], done: string[]): void {
  for (const { role, key } of delegates) {
    if (draft.addDelegate(role, key)) done.push(`  ${role}  ${key.id}`);
  }
}

/** The first of that kind in the folder, as docker chooses it, else a new one. */
async function ownKey({ keys, call: { io } }: TrustSession, role: string, gun?: string): Promise<SigningKey> {
  const [known] = (await keys.list()).filter((one) => one.role === role && one.gun === gun);
  if (known !== undefined) return keys.open(known);
  const made = generateSigningKey();
  const path = await keys.add(made, { role, gun });
  io.stderr.write(`made the key of ${role}: ${path}\n`);
  return made;
}

async function signerKey(session: TrustSession, signer: RoleName): Promise<Key> {
  return (await ownKey(session, signer.replace("targets/", ""))).key;
}

async function getOnlineKeys(session: TrustSession): Promise<OnlineKeys> {
  return { snapshot: await serverKey(session, "snapshot"), timestamp: await serverKey(session, "timestamp") };
}

/** The key that the server will sign this role with. @throws CliError */
async function serverKey({ wire, gun }: TrustSession, role: "snapshot" | "timestamp"): Promise<Key> {
  const { status, body } = await wire.ask({
    ...{ method: "GET", path: `/v2/${gun}/_trust/tuf/${role}.key`, scope: `repository:${gun}:pull,push` },
    doing: `ask for the ${role} key of ${gun}`,
  });
  try {
    if (status === 200) return readKey(parseJson(body));
  } catch (error) {
    if (!(error instanceof JsonError || error instanceof VerificationError)) throw error;
  }
  throw new CliError(`the registry gave no ${role} key for ${gun} (${status}): is this name its own?`);
}
