/**
 * What a collector without any grace must leave alone, by what was acknowledged: a manifest that a tag names, with all that
 * it names, and what refers to it; and that without a break since it was last seen or acknowledged. Everything else is
 * loose: it may be gone at any time.
 */
import { type History, PRESENT, type Register } from "./history.ts";

/** Digests. */
export interface Content {
  readonly blobs: readonly string[];
  readonly children: readonly string[];
  readonly subject: string | undefined;
}

export class Keeping {
  readonly #history: History;
  readonly #contents = new Map<string, Map<string, Content>>();
  /** By repository: registers of what tags lead to, for certain. */
  #held = new Map<string, ReadonlySet<Register>>();

  constructor(history: History) {
    this.#history = history;
  }

  /** For another history, which was made of this one. */
  fork(history: History): Keeping {
    const copy = new Keeping(history);
    for (const [repository, contents] of this.#contents) copy.#contents.set(repository, new Map(contents));
    return copy;
  }

  learn(repository: string, digest: string, content: Content): void {
    const contents = this.#contents.get(repository) ?? new Map<string, Content>();
    this.#contents.set(repository, contents.set(digest, content));
  }

  /** Whether the collector may have taken something that the manifest names, as far as anyone can know. */
  mayLack(repository: string, { blobs, children }: Content): boolean {
    const registers = [
      ...blobs.map((digest) => this.#history.register("blob", repository, digest)),
      ...children.map((digest) => this.#history.register("manifest", repository, digest)),
    ];
    return registers.some((register) => register.isLoose || register.current() === "unknown");
  }

  /** After tags or manifests changed, or may have: what nothing leads to any more for certain is loose from here on. */
  update(repository: string): ReadonlySet<Register> {
    const held = this.#find(repository);
    for (const register of this.#held.get(repository) ?? []) if (!held.has(register)) register.isLoose = true;
    this.#held.set(repository, held);
    return held;
  }

  /** A push of the manifest was acknowledged: it and all that it names was there then, and stays if a tag leads to it. */
  confirm(repository: string, digest: string): void {
    const held = this.update(repository);
    for (const register of this.#below(repository, digest)) if (held.has(register)) register.isLoose = false;
  }

  /** Seen to be there. */
  confirmSeen(seen: ReadonlySet<Register>): void {
    for (const repository of this.#contents.keys()) {
      for (const register of this.update(repository)) if (seen.has(register)) register.isLoose = false;
    }
  }

  #find(repository: string): Set<Register> {
    const contents = this.#contents.get(repository) ?? new Map<string, Content>();
    const tags = this.#history.tagsOf(repository);
    const found = new Set<Register>();
    const seen = new Set<string>();
    for (let next = tags.flatMap((tag) => tag.current() ?? []); next.length > 0; ) {
      const fresh = next.filter((digest) => !seen.has(digest) && contents.has(digest));
      for (const digest of fresh) {
        seen.add(digest);
        for (const register of this.#below(repository, digest)) found.add(register);
      }
      const referrers = [...contents].flatMap(([digest, { subject }]) =>
        fresh.includes(subject ?? "") && this.#isThere(repository, digest) ? [digest] : [],
      );
      next = [...fresh.flatMap((digest) => contents.get(digest)?.children ?? []), ...referrers];
    }
    return found;
  }

  /** For certain. Somebody may delete what refers to a tagged manifest, and nobody what such a one names. */
  #isThere(repository: string, digest: string): boolean {
    return this.#history.register("manifest", repository, digest).current() === PRESENT;
  }

  /** The manifest and everything that it names, and what that names. */
  #below(repository: string, digest: string): Register[] {
    const { blobs = [], children = [] } = this.#contents.get(repository)?.get(digest) ?? {};
    return [
      this.#history.register("manifest", repository, digest),
      ...blobs.map((blob) => this.#history.register("blob", repository, blob)),
      ...children.flatMap((child) => this.#below(repository, child)),
    ];
  }
}
