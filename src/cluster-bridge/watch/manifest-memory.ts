import type { Answer } from "../https-exchange.ts";
import type { Ask, RegistryClient } from "../registry-client.ts";

const MAX_BYTES = 32 * 1024 * 1024;
const BY_DIGEST = /\/manifests\/sha256:[0-9a-f]{64}$/;

/** What is named by its hash never changes: asked for once, as long as it has room. Whoever uses it verifies the hash. */
export class ManifestMemory implements Pick<RegistryClient, "find"> {
  readonly #registry: Pick<RegistryClient, "find">;
  /** By path; the oldest first. */
  readonly #known = new Map<string, Answer>();
  #size = 0;

  constructor(registry: Pick<RegistryClient, "find">) {
    this.#registry = registry;
  }

  async find(ask: Ask): Promise<Answer | undefined> {
    if (!BY_DIGEST.test(ask.path)) return this.#registry.find(ask);
    const known = this.#known.get(ask.path);
    if (known !== undefined) return known;
    const answer = await this.#registry.find(ask);
    if (answer !== undefined) this.#keep(ask.path, answer);
    return answer;
  }

  #keep(path: string, answer: Answer): void {
    // Two may have asked at once: what is counted twice would be room that nobody gets back.
    if (this.#known.has(path)) return;
    this.#known.set(path, answer);
    this.#size += answer.body.length;
    for (const [oldest, { body }] of this.#known) {
      if (this.#size <= MAX_BYTES) return;
      this.#known.delete(oldest);
      this.#size -= body.length;
    }
  }
}
