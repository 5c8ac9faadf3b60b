import { randomBytes } from "node:crypto";
import { VerificationError } from "../../notary/tuf/error.ts";
import { canonicalKeyId } from "../../notary/tuf/key.ts";
import { parseRoot, type Root } from "../../notary/tuf/metadata.ts";
import { ROOT, type RoleName } from "../../notary/tuf/names.ts";
import { meetsPin } from "../../notary/tuf/root-pin.ts";
import { readTrusted, type TrustedMetadata } from "../../notary/tuf/trusted-metadata.ts";
import { CliError } from "../errors.ts";
import { readError } from "./registry-wire.ts";
import type { TrustSession } from "./session.ts";
import type { TrustStore } from "./trust-store.ts";

/** The next file of a role. */
export interface NewFile {
  readonly role: RoleName;
  readonly bytes: Uint8Array;
}

const MAX_ATTEMPTS = 5;

/**
 * Reads and verifies the trust data of the session's repository, and remembers it; undefined where there is none.
 * @throws CliError with what does not hold
 */
export async function readTrust(
  session: TrustSession,
  actions: "pull" | "pull,push",
): Promise<TrustedMetadata | undefined> {
  const { gun, store } = session;
  const known = await store.load();
  requireReadable(store, known);
  const { "root-key": pin } = session.call.options;
  const pinned = typeof pin === "string" ? pinTo(pin, known) : { known };
  const fetch = (name: string, maxBytes: number) => fetchFile(session, actions, name, maxBytes);
  const found = await explained(session, async () => {
    const trusted = await readTrusted({ ...pinned, gun, now: new Date(), fetch });
    if (trusted !== undefined) refuseOlderRoot(trusted.root, known.get(ROOT));
    return trusted;
  });
  if (found === undefined) return undefined;
  await store.save(found);
  if (!known.has(ROOT) && pin === undefined) {
    const [key] = rootKeysOf(found.root);
    session.call.io.stderr.write(
      `goldseal: ${gun} is seen for the first time here; its root key ${key} is trusted from now on\n`,
    );
  }
  return found;
}

/** As {@link readTrust}. @throws CliError also where there is no trust data */
export async function getTrust(session: TrustSession, actions: "pull" | "pull,push"): Promise<TrustedMetadata> {
  return requireTrust(session, await readTrust(session, actions));
}

/** @throws CliError where there is no trust data */
export function requireTrust(session: TrustSession, found: TrustedMetadata | undefined): TrustedMetadata {
  if (found !== undefined) return found;
  throw new CliError(
    `${session.gun} has no trust data: nothing in it is signed\nwhoever may sign there begins with goldseal trust init ${session.gun}`,
  );
}

/**
 * Publishes what `plan` makes of the present state, all of it or nothing, and reads it back; nothing where it makes nothing.
 * When somebody else was faster, once more from what they published.
 * @param send says whether it was taken; default: {@link post}
 * @throws CliError
 */
export async function publishChange(
  session: TrustSession,
  plan: (present: TrustedMetadata | undefined) => Promise<readonly NewFile[]>,
  send: typeof post = post,
): Promise<TrustedMetadata> {
  for (let attempt = 1; ; attempt++) {
    const present = await readTrust(session, "pull,push");
    const files = await explained(session, () => plan(present));
    if (files.length === 0 && present !== undefined) return present;
    const isTaken = await send(session, files);
    const root = files.find(({ role }) => role === ROOT);
    // One that follows another is walked to like anybody's.
    if (isTaken && root !== undefined && present === undefined) await session.store.saveRoot(root.bytes);
    if (isTaken) break;
    if (attempt === MAX_ATTEMPTS) throw tooBusy(session);
  }
  return getTrust(session, "pull,push");
}

function tooBusy({ gun }: TrustSession): CliError {
  return new CliError(
    `others published to ${gun} ${MAX_ATTEMPTS} times while this tried to; nothing was changed: try again`,
  );
}

/** Whether it was taken; false: others published versions of these files meanwhile. @throws CliError */
export async function post({ gun, wire }: TrustSession, files: readonly NewFile[]): Promise<boolean> {
  const boundary = `goldseal-${randomBytes(12).toString("hex")}`;
  const { status, body } = await wire.ask({
    ...{ method: "POST", path: `/v2/${gun}/_trust/tuf/`, scope: `repository:${gun}:pull,push` },
    headers: { "content-type": `multipart/form-data; boundary=${boundary}` },
    body: toMultipart(files, boundary),
    doing: `publish trust data of ${gun}`,
  });
  if (status === 200) return true;
  const { code, message } = readError(body);
  if (code === "VERSION") return false;
  const next = /no snapshot was included/.test(message)
    ? `\nthe snapshot key is with a client: whoever holds it hands it over with notary key rotate ${gun} snapshot -r`
    : "";
  throw new CliError(`the trust data of ${gun} was not taken: ${message} (${status} ${code})${next}`);
}

function toMultipart(files: readonly NewFile[], boundary: string): Buffer {
  const parts = files.flatMap(({ role, bytes }) => [
    Buffer.from(
      `--${boundary}\r\nContent-Disposition: form-data; name="files"; filename="${role}"\r\nContent-Type: application/octet-stream\r\n\r\n`,
    ),
    bytes,
    Buffer.from("\r\n"),
  ]);
  return Buffer.concat([...parts, Buffer.from(`--${boundary}--\r\n`)]);
}

async function fetchFile(
  { gun, wire }: TrustSession,
  actions: string,
  name: string,
  maxBytes: number,
): Promise<Uint8Array | undefined> {
  const { status, body } = await wire.ask({
    ...{ method: "GET", path: `/v2/${gun}/_trust/tuf/${name}.json`, scope: `repository:${gun}:${actions}` },
    ...{ maxBytes: Math.max(maxBytes, 4096), doing: `read the trust data of ${gun}` },
  });
  if (status === 404) return undefined;
  if (status !== 200) throw new CliError(`reading ${name}.json of ${gun}: ${readError(body).message} (${status})`);
  return body;
}

/** Whoever names the root's key trusts nothing less, also not what this machine took on trust before. */
function pinTo(keyId: string, known: ReadonlyMap<RoleName, Uint8Array>) {
  const others = new Map(known);
  others.delete(ROOT);
  const trustFirst = (root: Root): void => {
    if (meetsPin(root, { keyIds: [keyId], threshold: 1 })) return;
    const [other = "none"] = rootKeysOf(root).filter((id) => id !== keyId);
    throw new VerificationError("KEY", `root ${root.version} is not of the key ${keyId}, but of ${other}`);
  };
  return { known: others, trustFirst };
}

/** By the key itself, as people are told it, and by its certificate. */
function rootKeysOf({ roles: { root } }: Root): string[] {
  return root.keyIds.flatMap((id) => {
    const key = root.keys.get(id);
    return key === undefined ? [] : [canonicalKeyId(key), id as string];
  });
}

/** What was trusted here is no word of the registry's: it is told apart. @throws CliError */
function requireReadable({ folder }: TrustStore, known: ReadonlyMap<RoleName, Uint8Array>): void {
  const bytes = known.get(ROOT);
  try {
    if (bytes !== undefined) parseRoot(bytes);
  } catch (cause) {
    if (!(cause instanceof VerificationError)) throw cause;
    const next =
      "remove it only if you will trust the root that the registry shows then, or name its key with --root-key";
    throw new CliError(`${folder}/root.json is damaged: ${cause.message}\n${next}`, { cause });
  }
}

/** A pin says which root to begin with; that this machine saw a later one still counts. */
function refuseOlderRoot({ version }: Root, known: Uint8Array | undefined): void {
  const seen = known === undefined ? 0 : parseRoot(known).version;
  if (version < seen)
    throw new VerificationError("VERSION", `root ${seen} was in force here, the server has ${version}`);
}

async function explained<T>({ gun, store }: TrustSession, act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (error) {
    if (!(error instanceof VerificationError)) throw error;
    const next = NEXT[error.code] ?? "pull nothing from it by tag, and tell whoever runs the registry";
    throw new CliError(
      `the trust data of ${gun} does not hold: ${error.message}\n${next.replace("FOLDER", store.folder)}`,
      { cause: error },
    );
  }
}

const NEXT: Readonly<Partial<Record<VerificationError["code"], string>>> = {
  EXPIRED: "check this machine's clock; if it is right, the registry has stopped signing anew: goldseal doctor there",
  VERSION:
    "somebody shows older or other data than this machine has seen. Only if it was deleted and founded anew on purpose: remove FOLDER",
  KEY: "the root is not the one that was asked for, or has run out: ask its owner over another way which key is right",
};
