import { join } from "node:path";
import { z } from "zod";
import { type Gun, isRoleName, type RoleName } from "../notary/tuf/names.ts";
import { sha256Of } from "../notary/tuf/signed-file.ts";
import { TrustError } from "../trust/error.ts";
import { findBase64, readStrict } from "../trust/strict-json.ts";
import { findFile, writeDurably } from "./durable-file.ts";
import { BridgeError } from "./errors.ts";

/** What was trusted of one collection when it was last read, and under which pin. */
export interface Remembered {
  /** `pinIdOf` the pin under which it was first seen. */
  readonly pin: string;
  readonly files: ReadonlyMap<RoleName, Uint8Array>;
}

const base64 = z.string().transform((text, context): Buffer => {
  const bytes = findBase64(text);
  if (bytes !== undefined) return bytes;
  context.addIssue("not base64");
  return z.NEVER;
});

const fileSchema = z.strictObject({
  gun: z.string(),
  pin: z.string().min(1),
  files: z.record(z.string().refine(isRoleName, "no role"), base64),
});

/** One file for each collection, written as a whole: a crash leaves what was trusted before, or what is trusted now. */
export class TrustStore {
  readonly #folder: string;

  constructor(store: string) {
    this.#folder = join(store, "trust");
  }

  /**
   * Undefined where it was never seen. A file that cannot be read is no such case: to begin anew is an operator's to say.
   * @throws BridgeError STORE
   */
  async find(gun: Gun): Promise<Remembered | undefined> {
    const path = this.pathOf(gun);
    const bytes = await findFile(path);
    if (bytes === undefined) return undefined;
    try {
      const { pin, files, gun: own } = readStrict(bytes, fileSchema, path);
      if (own !== gun) throw new BridgeError("STORE", `${path} is of ${own}, not of ${gun}`);
      return { pin, files: new Map(Object.entries(files) as [RoleName, Buffer][]) };
    } catch (cause) {
      if (!(cause instanceof TrustError)) throw cause;
      throw new BridgeError("STORE", `what was trusted of ${gun} cannot be read: ${cause.message}`, { cause });
    }
  }

  async put(gun: Gun, { pin, files }: Remembered): Promise<void> {
    const encoded = [...files].map(([role, bytes]) => [role, Buffer.from(bytes).toString("base64")]);
    const text = JSON.stringify({ gun, pin, files: Object.fromEntries(encoded) });
    await writeDurably(this.pathOf(gun), Buffer.from(text));
  }

  /** A GUN has slashes and may be as long as a file's name can be. */
  pathOf(gun: Gun): string {
    return join(this.#folder, `${sha256Of(Buffer.from(gun)).toString("hex")}.json`);
  }
}
