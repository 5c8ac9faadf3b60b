import { readdir, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { z } from "zod";
import { sha256Of } from "../notary/tuf/signed-file.ts";
import { TrustError } from "../trust/error.ts";
import { readStrict } from "../trust/strict-json.ts";
import { findFile, syncFolder, writeDurably } from "./durable-file.ts";
import { BridgeError } from "./errors.ts";
import type { ServiceOfEnvironment } from "./managed-service.ts";

const time = z.iso.datetime().transform((text) => new Date(text));

/** What is known of the secret that nodes pull with for one service; the secret itself is nowhere but with the engine. */
const stateSchema = z.strictObject({
  environment: z.string().min(1),
  service: z.string().min(1),
  /** The robot's name at the registry. */
  username: z.string(),
  /** When the next one is due, at half of its life. */
  renewAt: time,
  expiresAt: time,
  /** False: the engine may or may not have been told. */
  isApplied: z.boolean(),
});

export type PullState = z.output<typeof stateSchema>;

/** One file for each service, written as a whole. */
export class PullStates {
  readonly #folder: string;
  readonly #states: Map<string, PullState>;

  private constructor(folder: string, states: Map<string, PullState>) {
    this.#folder = folder;
    this.#states = states;
  }

  /** @throws BridgeError STORE */
  static async open(store: string): Promise<PullStates> {
    const folder = join(store, "credentials");
    const names = (await readdir(folder).catch(absent)).filter((name) => name.endsWith(".json"));
    const states = await Promise.all(names.map((name) => read(join(folder, name))));
    return new PullStates(folder, new Map(states.map((state) => [keyOf(state), state])));
  }

  all(): readonly PullState[] {
    return [...this.#states.values()];
  }

  find(key: ServiceOfEnvironment): PullState | undefined {
    return this.#states.get(keyOf(key));
  }

  async put(state: PullState): Promise<void> {
    await writeDurably(this.#pathOf(state), Buffer.from(JSON.stringify(state)));
    this.#states.set(keyOf(state), state);
  }

  async delete(key: ServiceOfEnvironment): Promise<void> {
    const path = this.#pathOf(key);
    if (!this.#states.delete(keyOf(key))) return;
    await rm(path, { force: true });
    await syncFolder(dirname(path));
  }

  #pathOf(key: ServiceOfEnvironment): string {
    return join(this.#folder, `${sha256Of(Buffer.from(keyOf(key))).toString("hex")}.json`);
  }
}

/** Neither of them has a slash. */
export const keyOf = ({ environment, service }: ServiceOfEnvironment): string => `${environment}/${service}`;

async function read(path: string): Promise<PullState> {
  try {
    return readStrict((await findFile(path)) ?? Buffer.alloc(0), stateSchema, path);
  } catch (cause) {
    if (!(cause instanceof TrustError)) throw cause;
    throw new BridgeError("STORE", `what nodes pull with cannot be read: ${cause.message}`, { cause });
  }
}

function absent(error: unknown): string[] {
  if (error instanceof Error && "code" in error && error.code === "ENOENT") return [];
  throw error;
}
