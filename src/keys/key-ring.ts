import { randomBytes, timingSafeEqual } from "node:crypto";
import nacl from "tweetnacl";

export interface Sealed {
  /** Which key of the ring opens it. */
  readonly keyId: string;
  /** Nonce, then the box. */
  readonly sealed: Uint8Array;
}

/** The sealed bytes cannot be opened with this ring: a key is missing, or the bytes are not what was sealed. */
export class SealError extends Error {}

/** What is wrong with the master key file. */
export class KeyFileError extends Error {}

interface RingKey {
  readonly id: string;
  readonly secret: Uint8Array;
}

const { nonceLength, keyLength } = nacl.secretbox;

/** The master keys of the process. The first seals, all of them open, so keys can be changed one after the other. */
export class KeyRing {
  readonly #sealing: RingKey;
  readonly #byId: ReadonlyMap<string, RingKey>;

  constructor(keys: readonly RingKey[]) {
    const [first] = keys;
    if (first === undefined) throw new Error("a ring has one key at least");
    this.#sealing = first;
    this.#byId = new Map(keys.map((key) => [key.id, key]));
  }

  get ids(): readonly string[] {
    return [...this.#byId.keys()];
  }

  /** `purpose` is sealed in: what was sealed as one thing cannot be put in the place of another. */
  seal(purpose: string, content: Uint8Array): Sealed {
    const nonce = randomBytes(nonceLength);
    const box = nacl.secretbox(Buffer.concat([label(purpose), content]), nonce, this.#sealing.secret);
    return { keyId: this.#sealing.id, sealed: Buffer.concat([nonce, box]) };
  }

  /** The same, sealed by the key that seals now; undefined where it is. @throws SealError */
  reseal(purpose: string, old: Sealed): Sealed | undefined {
    return old.keyId === this.#sealing.id ? undefined : this.seal(purpose, this.open(purpose, old));
  }

  /** The key that seals. */
  get sealingId(): string {
    return this.#sealing.id;
  }

  /** @throws SealError */
  open(purpose: string, { keyId, sealed }: Sealed): Uint8Array {
    const key = this.#byId.get(keyId);
    if (key === undefined) throw new SealError(`the master key file has no key ${keyId}`);
    const bytes = new Uint8Array(sealed);
    const content = nacl.secretbox.open(bytes.subarray(nonceLength), bytes.subarray(0, nonceLength), key.secret);
    const expected = label(purpose);
    if (content === null || content.length < expected.length)
      throw new SealError(`key ${keyId} does not open ${purpose}`);
    if (!timingSafeEqual(content.subarray(0, expected.length), expected)) {
      throw new SealError(`what was opened with key ${keyId} is not ${purpose}`);
    }
    return content.subarray(expected.length);
  }
}

/**
 * The content of the master key file: `<id> <base64 of 32 bytes>` a line, empty lines and `#` comments left out.
 * @throws KeyFileError that names the line, never what stands in it
 */
export function parseKeyRing(text: string, file = "master key file"): KeyRing {
  const keys: RingKey[] = [];
  text.split("\n").forEach((line, index) => {
    const trimmed = line.trim();
    if (trimmed === "" || trimmed.startsWith("#")) return;
    const key = parseKey(trimmed, file, index + 1);
    if (keys.some(({ id }) => id === key.id)) throw new KeyFileError(`${file}, line ${index + 1}: id ${key.id} again`);
    keys.push(key);
  });
  if (keys.length === 0)
    throw new KeyFileError(`${file} holds no key: it must have one <id> <base64 of 32 bytes> per line`);
  return new KeyRing(keys);
}

/** A line for the master key file, with a new random key. */
export function newKeyLine(id: string): string {
  return `${id} ${randomBytes(keyLength).toString("base64")}\n`;
}

function parseKey(line: string, file: string, number: number): RingKey {
  const [id = "", encoded = "", ...rest] = line.split(/\s+/);
  const secret = Buffer.from(encoded, "base64");
  if (!/^[A-Za-z0-9._-]{1,64}$/.test(id) || rest.length > 0) {
    throw new KeyFileError(`${file}, line ${number}: a line is <id> <base64 of 32 bytes>`);
  }
  if (secret.length !== keyLength || secret.toString("base64") !== encoded) {
    throw new KeyFileError(`${file}, line ${number}: the key is not base64 of exactly 32 bytes`);
  }
  if (new Set(secret).size < 8) throw new KeyFileError(`${file}, line ${number}: the key is a placeholder, not random`);
  return { id, secret };
}

function label(purpose: string): Buffer {
  return Buffer.from(`${purpose}\0`);
}
