import { readFile } from "node:fs/promises";
import { basename } from "node:path";
import { VerificationError } from "../notary/tuf/error.ts";
import { canonicalKeyId, type Key, spkiOf } from "../notary/tuf/key.ts";
import { parsePublicKeyFile } from "../notary/tuf/public-key-file.ts";
import type { CommandCall } from "./command.ts";
import { DockerKeys, dockerTrustFolder, openWithPassphrase, readStoredKey } from "./docker-keys/folder.ts";
import { findPrivateKey } from "./docker-keys/key-file.ts";
import { Passphrases } from "./docker-keys/passphrases.ts";
import { type SigningKey, toPublicPem } from "./docker-keys/signing-key.ts";
import { CliError } from "./errors.ts";

/** A key that somebody has here, or at least its public half. */
export interface OwnKey {
  readonly name: string;
  /** As text that the server takes. */
  readonly publicKey: string;
  /** Of the bare key: docker names the private half by it. */
  readonly keyId: string;
  readonly spkiSha256: string;
  /** Where it had to be opened to be known. */
  readonly signingKey: SigningKey | undefined;
}

type Call = Pick<CommandCall, "args" | "options" | "env" | "io">;

/**
 * The argument is a file, or the NAME of `docker trust key generate NAME`, which leaves NAME.pub in the folder it runs in
 * and the private half in docker's folder.
 * @throws CliError
 */
export async function findOwnKey(call: Call): Promise<OwnKey> {
  const [wanted = ""] = call.args;
  for (const path of [wanted, `${wanted}.pub`]) {
    const text = await findText(path);
    if (text !== undefined) return fromFile(call, path, text);
  }
  const keys = openFolder(call);
  const [stored, another] = (await keys.list()).filter(({ role }) => role === wanted);
  if (stored === undefined)
    throw new CliError(
      `there is neither a file ${wanted} or ${wanted}.pub here nor a key ${wanted} in docker's folder`,
    );
  if (another !== undefined)
    throw new CliError(`docker's folder has several keys ${wanted}; name the file of one, such as ${stored.path}`);
  return fromPrivate(await keys.open(stored), wanted);
}

/** The private half: of the option `--key`, else from docker's folder, where there is one. @throws CliError */
export async function openPrivateKey(call: Call, keyId: string): Promise<SigningKey | undefined> {
  const { options, env, io } = call;
  if (typeof options.key === "string")
    return openWithPassphrase(await readStoredKey(options.key), new Passphrases(env, io));
  const keys = openFolder(call);
  const stored = await keys.find(keyId);
  return stored && keys.open(stored);
}

function openFolder({ env, io }: Call): DockerKeys {
  return new DockerKeys(dockerTrustFolder(env), new Passphrases(env, io));
}

async function fromFile({ env, io }: Call, path: string, text: string): Promise<OwnKey> {
  const fallback = basename(path).replace(/\.[a-z]+$/, "");
  if (findPrivateKey(text) !== undefined) {
    const stored = await readStoredKey(path);
    return fromPrivate(await openWithPassphrase(stored, new Passphrases(env, io)), stored.role || fallback);
  }
  try {
    const { key, role } = parsePublicKeyFile(text);
    return { ...idsOf(key), name: role || fallback, publicKey: text, signingKey: undefined };
  } catch (cause) {
    if (cause instanceof VerificationError) throw new CliError(`${path}: ${cause.message}`, { cause });
    throw cause;
  }
}

function fromPrivate(signingKey: SigningKey, name: string): OwnKey {
  return { ...idsOf(signingKey.key), name, publicKey: toPublicPem(signingKey.key, name), signingKey };
}

/** Of a key that can verify. */
function idsOf(key: Key): Pick<OwnKey, "keyId" | "spkiSha256"> {
  return { keyId: canonicalKeyId(key), spkiSha256: spkiOf(key) ?? "" };
}

/** A folder is no file either: people have folders named as they are. */
const NO_FILE = new Set(["ENOENT", "EISDIR"]);

async function findText(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch (cause) {
    if (cause instanceof Error && "code" in cause && NO_FILE.has(String(cause.code))) return undefined;
    throw new CliError(`cannot read ${path}`, { cause });
  }
}
