import { randomBytes } from "node:crypto";
import { rename, writeFile } from "node:fs/promises";
import { canonicalKeyId } from "../notary/tuf/key.ts";
import { addSignatures, type Envelope, findSigners } from "../trust/dsse.ts";
import type { OptionValues } from "./connection.ts";
import { toEnvelopeSigner } from "./docker-keys/envelope-signer.ts";
import type { SigningKey } from "./docker-keys/signing-key.ts";
import { CliError } from "./errors.ts";

/** A draft that several people sign one after another, each on their own machine. */
export interface SignableFile {
  /** How messages call it. */
  readonly name: string;
  /** Undefined: a draft, which nobody signed. */
  readonly envelope: Envelope | undefined;
  readonly payloadType: string;
  /** What is signed. */
  readonly payload: Buffer;
}

/**
 * Writes the file with one more signature: a draft to `FILE.dsse.json`, else where it was, or to `--output`.
 * @returns where it is, and whether this key had not signed it before
 * @throws CliError
 */
export async function signFile(
  path: string,
  file: SignableFile,
  key: SigningKey,
  options: OptionValues,
): Promise<{ readonly output: string; readonly isNew: boolean }> {
  const signed = withSignature(file, key);
  const output = typeof options.output === "string" ? options.output : file.envelope ? path : nameOfSigned(path);
  if (signed !== undefined) await write(output, signed, { isNew: output !== path });
  return { output, isNew: signed !== undefined };
}

/** The bytes of the signed file; undefined where this key signed it already. @throws CliError */
function withSignature({ name, envelope, payloadType, payload }: SignableFile, key: SigningKey): Buffer | undefined {
  const before = envelope ?? { payloadType, payload, signatures: [] };
  const keyId = canonicalKeyId(key.key);
  const own = findSigners(before, [key.key]).filter((signer) => signer.keyId === keyId);
  if (own.some((signer) => signer.key === undefined))
    throw new CliError(
      `${name} holds a signature in the name of the key ${keyId} that is not good; it has been changed`,
    );
  return own.length > 0 ? undefined : addSignatures(before, [toEnvelopeSigner(key)]);
}

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
