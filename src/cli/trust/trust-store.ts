import { randomBytes } from "node:crypto";
import { mkdir, readdir, readFile, rename, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { type Gun, isRoleName, type RoleName } from "../../notary/tuf/names.ts";
import { filesOf, type TrustedMetadata } from "../../notary/tuf/trusted-metadata.ts";
import { CliError } from "../errors.ts";

const EXTENSION = ".json";

/**
 * What this machine trusted of one trust collection when it looked last: the files of docker and notary, in their folder
 * (`trust/tuf/<gun>/metadata`), so that a rollback is noticed whoever looked before.
 */
export class TrustStore {
  readonly folder: string;

  constructor(trustFolder: string, gun: Gun) {
    this.folder = join(trustFolder, "tuf", gun, "metadata");
  }

  /** @throws CliError for a folder that is there and cannot be read */
  async load(): Promise<Map<RoleName, Uint8Array>> {
    const files = new Map<RoleName, Uint8Array>();
    for (const name of await listFiles(this.folder)) {
      const role = name.slice(0, -EXTENSION.length);
      if (name.endsWith(EXTENSION) && isRoleName(role)) files.set(role, await readFile(join(this.folder, name)));
    }
    return files;
  }

  /** A root of our own making: the server has to show this one from now on. */
  saveRoot(bytes: Uint8Array): Promise<void> {
    return this.#write("root", bytes);
  }

  /** The timestamp last: with it the others count. */
  async save(trusted: TrustedMetadata): Promise<void> {
    for (const [role, bytes] of filesOf(trusted)) await this.#write(role, bytes);
  }

  async #write(role: string, bytes: Uint8Array): Promise<void> {
    const path = join(this.folder, `${role}${EXTENSION}`);
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    const temporary = `${path}.${randomBytes(4).toString("hex")}`;
    await writeFile(temporary, bytes, { mode: 0o600, flag: "wx" });
    await rename(temporary, path);
  }
}

async function listFiles(folder: string): Promise<string[]> {
  try {
    return await readdir(folder, { recursive: true });
  } catch (cause) {
    if (cause instanceof Error && "code" in cause && cause.code === "ENOENT") return [];
    throw new CliError(`cannot read what is trusted already in ${folder}`, { cause });
  }
}
