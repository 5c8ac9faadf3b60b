import { randomBytes } from "node:crypto";
import { rename, writeFile } from "node:fs/promises";
import { canonicalKeyId } from "../../notary/tuf/key.ts";
import { addSignatures, findSigners } from "../../trust/dsse.ts";
import { POLICY_TYPE } from "../../trust/policy.ts";
import type { PolicyDocument } from "../../trust/policy-document.ts";
import type { LocalCall } from "../command.ts";
import { toEnvelopeSigner } from "../docker-keys/envelope-signer.ts";
import {
  DockerKeys,
  dockerTrustFolder,
  openWithPassphrase,
  readStoredKey,
  type StoredKey,
} from "../docker-keys/folder.ts";
import { Passphrases } from "../docker-keys/passphrases.ts";
import type { SigningKey } from "../docker-keys/signing-key.ts";
import { CliError } from "../errors.ts";
import { type PolicyFile, readPolicyFile } from "./policy-file.ts";

/** `goldseal policy sign FILE`: one person's signature; k people sign one after another. */
export async function signPolicy(call: LocalCall): Promise<void> {
  const {
    args: [path = ""],
    options,
    io,
  } = call;
  const file = await readPolicyFile(path);
  const { version, expiresAt, keys } = file.document;
  if (expiresAt.getTime() <= Date.now())
    throw new CliError(`${path} expired at ${expiresAt.toISOString()}; draft it anew`);

  const key = await openPolicyKey(call, file.document);
  const signed = withSignature(file, key);
  const output = typeof options.output === "string" ? options.output : file.envelope ? path : nameOfSigned(path);
  if (signed !== undefined) await write(output, signed, { isNew: output !== path });

  const keyId = canonicalKeyId(key.key);
  const who = keys.get(keyId)?.user;
  const state = signed === undefined ? `${path} holds your signature already` : `signed ${output}`;
  io.stderr.write(`${state}: policy version ${version}, until ${expiresAt.toISOString()}\n`);
  io.stderr.write(
    `by ${who === undefined ? `a key that the policy does not list, ${keyId}` : `${who}, key ${keyId}`}\n`,
  );
}

/** The bytes of the signed file; undefined where this key signed it already. @throws CliError */
function withSignature({ name, envelope, payload }: PolicyFile, key: SigningKey): Buffer | undefined {
  const before = envelope ?? { payloadType: POLICY_TYPE, payload, signatures: [] };
  const keyId = canonicalKeyId(key.key);
  const own = findSigners(before, [key.key]).filter((signer) => signer.keyId === keyId);
  if (own.some((signer) => signer.key === undefined))
    throw new CliError(
      `${name} holds a signature in the name of the key ${keyId} that is not good; it has been changed`,
    );
  return own.length > 0 ? undefined : addSignatures(before, [toEnvelopeSigner(key)]);
}

/** Keys of a trust collection sign nothing else. */
const OF_COLLECTIONS = new Set(["root", "targets", "snapshot", "timestamp"]);

/** @throws CliError that says which keys there are */
async function openPolicyKey({ options, env, io }: LocalCall, { keys: listed }: PolicyDocument): Promise<SigningKey> {
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
  const known = own.filter(({ keyId }) => listed.has(keyId));
  const [only, another] = known.length > 0 ? known : own;
  if (only !== undefined && another === undefined) return folder.open(only);
  throw new CliError(
    only === undefined
      ? "there is no key of yours in docker's folder; name one with --key, or make one: docker trust key generate NAME"
      : `which key? name it with --key: ${nameAll(known.length > 0 ? known : own)}`,
  );
}

const nameAll = (keys: readonly StoredKey[]): string => keys.map(({ role, keyId }) => `${role} ${keyId}`).join(", ");

const nameOfSigned = (path: string): string => `${path.replace(/\.json$/, "")}.dsse.json`;

/** All at once; a file that is there already may hold the signatures of others. @throws CliError */
async function write(path: string, bytes: Buffer, { isNew }: { readonly isNew: boolean }): Promise<void> {
  try {
    if (isNew) return await writeFile(path, bytes, { flag: "wx" });
    const temporary = `${path}.${randomBytes(4).toString("hex")}`;
    await writeFile(temporary, bytes, { flag: "wx" });
    await rename(temporary, path);
  } catch (cause) {
    const isThere = cause instanceof Error && "code" in cause && cause.code === "EEXIST";
    const why = isThere ? `${path} is there already; to add a signature, sign that file` : `cannot write ${path}`;
    throw new CliError(why, { cause });
  }
}
