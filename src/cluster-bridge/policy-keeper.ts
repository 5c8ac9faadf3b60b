import { join } from "node:path";
import type { Key } from "../notary/tuf/key.ts";
import { sha256Of } from "../notary/tuf/signed-file.ts";
import { parseEnvelope } from "../trust/dsse.ts";
import { TrustError } from "../trust/error.ts";
import { openPolicy, type SignedPolicy } from "../trust/policy.ts";
import { parsePolicyDocument } from "../trust/policy-document.ts";
import { findFile, writeDurably } from "./durable-file.ts";
import { BridgeError } from "./errors.ts";
import { OneAtATime } from "./one-at-a-time.ts";
import type { RegistryClient } from "./registry-client.ts";

export interface PolicyKeeperDeps {
  readonly store: string;
  readonly registry: Pick<RegistryClient, "find">;
  readonly keys: readonly Key[];
  readonly threshold: number;
}

const PATH = "/api/v1/policies/bridge";
const MAX_POLICY_BYTES = 1024 * 1024;

/** The policy document in force. It never goes back a version, over restarts too. */
export class PolicyKeeper {
  readonly #deps: PolicyKeeperDeps;
  readonly #file: string;
  readonly #fetches = new OneAtATime();
  #stored: SignedPolicy | undefined;
  /** Of `#stored`, as they came and were verified here. */
  #bytes: Buffer | undefined;
  /** When the registry was asked for it: of performance.now(). */
  #askedMs = Number.NEGATIVE_INFINITY;
  /** One that has not begun: whoever comes now gets what the registry has later. */
  #next: Promise<SignedPolicy> | undefined;

  private constructor(deps: PolicyKeeperDeps, file: string, stored: SignedPolicy | undefined) {
    this.#deps = deps;
    this.#file = file;
    this.#stored = stored;
  }

  /** @throws BridgeError STORE */
  static async open(deps: PolicyKeeperDeps): Promise<PolicyKeeper> {
    const file = join(deps.store, "policy.json");
    const bytes = await findFile(file);
    return new PolicyKeeper(deps, file, bytes && recall(bytes, file));
  }

  /** What was in force when the registry last answered; it may have expired. */
  get last(): SignedPolicy | undefined {
    return this.#stored;
  }

  /**
   * What the registry has now, signed by the pinned keys; or had at some time since `sinceMs`, of performance.now(). It may have
   * expired. All who wait share one call: however many they are, a registry that hangs keeps nobody longer than two take.
   * @throws BridgeError REGISTRY, POLICY; TrustError
   */
  async fetch(sinceMs = Number.POSITIVE_INFINITY): Promise<SignedPolicy> {
    if (this.#stored !== undefined && this.#askedMs >= sinceMs) return this.#stored;
    this.#next ??= this.#fetches.run(PATH, () => {
      this.#next = undefined;
      return this.#fetch();
    });
    return this.#next;
  }

  async #fetch(): Promise<SignedPolicy> {
    const { registry } = this.#deps;
    const askedMs = performance.now();
    const answer = await registry.find({ path: PATH, maxBytes: MAX_POLICY_BYTES, scope: undefined });
    if (answer === undefined)
      throw new BridgeError(
        "POLICY",
        "the registry shows this bridge no policy document: is one handed in, and its account an auditor or named in it?",
      );
    const isSame = this.#bytes?.equals(answer.body) === true;
    const signed = isSame && this.#stored ? this.#stored : await this.#take(answer.body);
    [this.#stored, this.#bytes, this.#askedMs] = [signed, answer.body, askedMs];
    return signed;
  }

  /** Others than those before, which need not be verified twice. */
  async #take(bytes: Buffer): Promise<SignedPolicy> {
    const { keys, threshold } = this.#deps;
    const signed = openPolicy(bytes, { keys, threshold, stored: this.#stored });
    if (signed.sha256 !== this.#stored?.sha256) await writeDurably(this.#file, bytes);
    return signed;
  }
}

/** Its signatures were verified before it was written; what the pinned keys are now is for the next one to meet. */
function recall(bytes: Uint8Array, file: string): SignedPolicy {
  try {
    const { payload } = parseEnvelope(bytes);
    return { document: parsePolicyDocument(payload), sha256: sha256Of(payload).toString("hex") };
  } catch (cause) {
    if (!(cause instanceof TrustError)) throw cause;
    throw new BridgeError("STORE", `${file} is damaged: ${cause.message}`, { cause });
  }
}
