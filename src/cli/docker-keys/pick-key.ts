import type { LocalCall } from "../command.ts";
import { CliError } from "../errors.ts";
import { DockerKeys, dockerTrustFolder, openWithPassphrase, readStoredKey, type StoredKey } from "./folder.ts";
import { Passphrases } from "./passphrases.ts";
import type { SigningKey } from "./signing-key.ts";

/** Keys of a trust collection sign nothing else. */
const OF_COLLECTIONS = new Set(["root", "targets", "snapshot", "timestamp"]);

/**
 * The key that `--key` names, by its name in docker's folder, its id or its file; else the one there that is `known`, or the only
 * one there is.
 * @throws CliError that says which keys there are
 */
export async function pickKey(
  { options, env, io }: LocalCall,
  isKnown: (keyId: string) => boolean = () => false,
): Promise<SigningKey> {
  const passphrases = new Passphrases(env, io);
  const folder = new DockerKeys(dockerTrustFolder(env), passphrases);
  const own = (await folder.list()).filter(({ role, gun }) => gun === undefined && !OF_COLLECTIONS.has(role));
  if (typeof options.key === "string") {
    const named = own.filter(({ role, keyId }) => role === options.key || keyId === options.key);
    const [only, another] = named;
    if (only !== undefined && another === undefined) return folder.open(only);
    if (another !== undefined) throw new CliError(`docker's folder has several keys ${options.key}: ${nameAll(named)}`);
    return openWithPassphrase(await readStoredKey(options.key), passphrases);
  }
  const known = own.filter(({ keyId }) => isKnown(keyId));
  const [only, another] = known.length > 0 ? known : own;
  if (only !== undefined && another === undefined) return folder.open(only);
  throw new CliError(
    only === undefined
      ? "there is no key of yours in docker's folder; name one with --key, or make one: docker trust key generate NAME"
      : `which key? name it with --key: ${nameAll(known.length > 0 ? known : own)}`,
  );
}

const nameAll = (keys: readonly StoredKey[]): string => keys.map(({ role, keyId }) => `${role} ${keyId}`).join(", ");
