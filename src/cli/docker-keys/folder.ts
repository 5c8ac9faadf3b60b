import { randomBytes } from "node:crypto";
import { mkdir, readdir, readFile, rename, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import type { Env } from "../connection.ts";
import { CliError } from "../errors.ts";
import { findPrivateKey, isEncrypted, type KeyFile } from "./key-file.ts";
import type { Passphrases } from "./passphrases.ts";
import { openKeyFile, type SigningKey, sealKey, WrongPassphraseError } from "./signing-key.ts";

/** A key in docker's folder, still closed. */
export interface StoredKey extends KeyFile {
  /** Canonical: of the bare key, also where trust data holds it in a certificate. The file's name. */
  readonly keyId: string;
  readonly path: string;
}

export interface NewKey {
  readonly role: string;
  /** Only keys of `targets` and `snapshot` belong to one trust collection. */
  readonly gun: string | undefined;
}

const EXTENSION = ".key";

/** `$DOCKER_CONFIG/trust`, else `~/.docker/trust`: what docker trust and goldseal share. @throws CliError */
export function dockerTrustFolder(env: Env): string {
  const config = env.DOCKER_CONFIG || (env.HOME && join(env.HOME, ".docker"));
  if (!config) throw new CliError("neither DOCKER_CONFIG nor HOME is set: nowhere to look for keys");
  return join(config, "trust");
}

/** The private keys of one person at one machine: files of `docker trust` and `notary`, in the folder `private`. */
export class DockerKeys {
  readonly #folder: string;
  readonly #passphrases: Passphrases;
  /** By id: each key is opened once. */
  readonly #open = new Map<string, SigningKey>();

  constructor(trustFolder: string, passphrases: Passphrases) {
    this.#folder = join(trustFolder, "private");
    this.#passphrases = passphrases;
  }

  /** All of them by id; files that are no keys are passed over, as docker does. @throws CliError */
  async list(): Promise<StoredKey[]> {
    const names = (await findFiles(this.#folder)).filter((name) => name.endsWith(EXTENSION)).sort();
    const keys = await Promise.all(names.map((name) => findStoredKey(join(this.#folder, name))));
    return keys.filter((key) => key !== undefined);
  }

  async find(keyId: string): Promise<StoredKey | undefined> {
    return (await this.list()).find((key) => key.keyId === keyId);
  }

  /** Asks for the passphrase where there is one. @throws CliError */
  async open(stored: StoredKey): Promise<SigningKey> {
    const known = this.#open.get(stored.keyId);
    if (known !== undefined) return known;
    const opened = await openWithPassphrase(stored, this.#passphrases);
    // A key under another's name would sign as somebody whom the reader does not expect.
    if (opened.key.id !== stored.keyId) {
      throw new CliError(`${stored.path} holds the key ${opened.key.id}, not the one it is named after`);
    }
    this.#open.set(stored.keyId, opened);
    return opened;
  }

  /** Encrypts `key` and writes it where docker looks for it. @throws CliError */
  async add(key: SigningKey, { role, gun }: NewKey): Promise<string> {
    const passphrase = await this.#passphrases.choose(role, key.key.id);
    const path = join(this.#folder, `${key.key.id}${EXTENSION}`);
    await writePrivate(path, this.#folder, sealKey(key, passphrase, role, gun));
    this.#open.set(key.key.id, key);
    return path;
  }
}

/** Any file with a private key in docker's format, wherever it lies. @throws CliError */
export async function readStoredKey(path: string): Promise<StoredKey> {
  const key = await findStoredKey(path);
  if (key === undefined) throw new CliError(`${path} is no private key as docker and notary keep them`);
  return key;
}

/** Asks until it opens, where there is a person to ask. @throws CliError */
export async function openWithPassphrase(stored: StoredKey, passphrases: Passphrases): Promise<SigningKey> {
  for (let attempt = 0; ; attempt++) {
    const passphrase = isEncrypted(stored) ? await passphrases.find(stored.role, stored.keyId, attempt) : "";
    try {
      return openKeyFile(stored, passphrase);
    } catch (error) {
      if (!(error instanceof WrongPassphraseError)) throw error;
      if (!isEncrypted(stored)) throw new CliError(`${stored.path} holds no key that can be read`, { cause: error });
    }
  }
}

async function findStoredKey(path: string): Promise<StoredKey | undefined> {
  try {
    const key = findPrivateKey(await readFile(path, "latin1"));
    return key && { ...key, path, keyId: basename(path, EXTENSION) };
  } catch (cause) {
    throw new CliError(`cannot read the key file ${path}`, { cause });
  }
}

/** Readable by its owner only, from its first byte on; there all at once. */
async function writePrivate(path: string, folder: string, text: string): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const temporary = `${path}.${randomBytes(4).toString("hex")}`;
  await writeFile(temporary, text, { mode: 0o600, flag: "wx" });
  await rename(temporary, path);
}

async function findFiles(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (cause) {
    if (cause instanceof Error && "code" in cause && cause.code === "ENOENT") return [];
    throw new CliError(`cannot read the folder of keys ${folder}`, { cause });
  }
}
