import { createHmac, randomBytes } from "node:crypto";
import { join } from "node:path";
import { findFile, writeDurably } from "../durable-file.ts";
import { BridgeError } from "../errors.ts";

const KEY_BYTES = 32;

/**
 * Names of secrets and configs by what they hold: other content is another secret, and the same one is found again. The hash has
 * a key of the bridge's own, because names are shown to people who may not see what a secret holds, and might guess it.
 */
export class ContentNames {
  readonly #key: Uint8Array;

  private constructor(key: Uint8Array) {
    this.#key = key;
  }

  /** @throws BridgeError STORE */
  static async open(store: string): Promise<ContentNames> {
    const path = join(store, "content-names-key");
    const kept = await findFile(path);
    if (kept !== undefined && kept.length !== KEY_BYTES) throw new BridgeError("STORE", `${path} is not a key of ours`);
    const key = kept ?? randomBytes(KEY_BYTES);
    if (kept === undefined) await writeDurably(path, key);
    return new ContentNames(key);
  }

  /** 16 hex digits. @param kind a secret and a config of the same content differ */
  hashOf(kind: string, data: Uint8Array): string {
    return createHmac("sha256", this.#key).update(`${kind}\0`).update(data).digest("hex").slice(0, 16);
  }
}
