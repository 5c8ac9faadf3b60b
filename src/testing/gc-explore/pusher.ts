import { type Digest, digestOf } from "../../oci/digest.ts";
import type { Random } from "./random.ts";
import { type Outcome, REQUESTS } from "./requests.ts";
import type { Deed } from "./stage.ts";
import { type Parts, PUSHERS, type World } from "./world.ts";

const OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json";
const OCI_INDEX = "application/vnd.oci.image.index.v1+json";
const LAYER = "application/vnd.oci.image.layer.v1.tar";
const TAGS = ["a", "b"];

interface Stored {
  readonly digest: Digest;
  readonly size: number;
  readonly mediaType: string;
}

/** One client with a repository of its own, which shares blobs with the other by mounting and by pushing the same. */
export class Pusher {
  readonly name: (typeof PUSHERS)[number];
  /** What was acknowledged last; undefined: deleted. A tag whose last request was not answered is in `unsure`. */
  readonly tags = new Map<string, Digest | undefined>();
  readonly unsure = new Set<string>();
  readonly #world: World;
  readonly #random: Random;
  readonly #blobs: readonly Digest[];
  readonly #manifests: Stored[] = [];

  constructor(name: (typeof PUSHERS)[number], world: World, random: Random, blobs: readonly Digest[]) {
    this.name = name;
    this.#world = world;
    this.#random = random;
    this.#blobs = blobs;
  }

  get repository(): string {
    return `${this.name}/app`;
  }

  /** What it will do next, decided now. @throws Error for an answer that no client should get */
  next(): Deed {
    const blob = this.#random.pick(this.#blobs);
    const tag = this.#random.pick(TAGS);
    const known = this.#manifests.length === 0 ? undefined : this.#random.pick(this.#manifests);
    const layers = this.#blobs.filter((_, index) => index === 0 || this.#random.chance(0.5));
    const todo = [
      { what: "push", weight: 5, act: (parts: Parts) => this.#push(parts, layers, tag) },
      { what: "push by digest", weight: 2, act: (parts: Parts) => this.#push(parts, layers, undefined) },
      { what: "HEAD", weight: 1, act: (parts: Parts) => this.#head(parts, blob) },
      { what: "upload", weight: 2, act: (parts: Parts) => this.#upload(parts, blob) },
      { what: "mount", weight: 2, act: (parts: Parts) => this.#mount(parts, blob) },
      { what: "manifest", weight: 2, act: (parts: Parts) => this.#put(parts, this.#image(layers), tag) },
      { what: "untag", weight: 3, act: (parts: Parts) => this.#untag(parts, tag) },
      { what: "delete blob", weight: 1, act: (parts: Parts) => this.#deleteBlob(parts, blob) },
      ...(known === undefined
        ? []
        : [
            { what: "index", weight: 3, act: (parts: Parts) => this.#put(parts, this.#index([known]), tag) },
            { what: "delete", weight: 2, act: (parts: Parts) => this.#deleteManifest(parts, known.digest) },
          ]),
    ];
    return this.#random.weighted(todo);
  }

  /** As clients push: ask for each blob, send what is missing, then the manifest; once more if it is refused. */
  async #push(parts: Parts, layers: readonly Digest[], tag: string | undefined): Promise<void> {
    for (let attempt = 0; attempt < 2; attempt++) {
      for (const layer of layers) if ((await this.#head(parts, layer)) !== 200) await this.#upload(parts, layer);
      if ((await this.#put(parts, this.#image(layers), tag)) === 201) return;
    }
  }

  async #head({ deps }: Parts, digest: Digest): Promise<Outcome> {
    return expect([200, "BLOB_UNKNOWN"], await REQUESTS.head(deps, { repository: this.repository, digest }));
  }

  async #upload({ deps }: Parts, digest: Digest): Promise<void> {
    const body = this.#world.universe.get(digest) ?? Buffer.alloc(0);
    expect([201], await REQUESTS.upload(deps, { repository: this.repository, query: { digest }, body }));
  }

  async #mount({ deps }: Parts, digest: Digest): Promise<void> {
    const from = `${PUSHERS.find((name) => name !== this.name)}/app`;
    expect([201, 202], await REQUESTS.upload(deps, { repository: this.repository, query: { mount: digest, from } }));
  }

  async #put({ deps }: Parts, manifest: object, tag: string | undefined): Promise<Outcome> {
    const body = Buffer.from(JSON.stringify(manifest));
    const digest = digestOf(body);
    const mediaType = "manifests" in manifest ? OCI_INDEX : OCI_MANIFEST;
    if (tag !== undefined) this.unsure.add(tag);
    const asked = { repository: this.repository, reference: tag ?? digest, body, contentType: mediaType };
    const outcome = expect([201, "MANIFEST_BLOB_UNKNOWN"], await REQUESTS.put(deps, asked));
    if (tag !== undefined) this.unsure.delete(tag);
    if (outcome !== 201) return outcome;
    if (tag !== undefined) this.tags.set(tag, digest);
    this.#manifests.push({ digest, size: body.length, mediaType });
    return outcome;
  }

  async #untag({ deps }: Parts, tag: string): Promise<void> {
    this.unsure.add(tag);
    const asked = { repository: this.repository, reference: tag };
    expect([202, "MANIFEST_UNKNOWN"], await REQUESTS.deleteManifest(deps, asked));
    this.tags.set(tag, undefined);
    this.unsure.delete(tag);
  }

  /** With every tag that names it. One that a push without an answer may have moved stays unsure. */
  async #deleteManifest({ deps }: Parts, digest: Digest): Promise<void> {
    const named = [...this.tags]
      .filter(([tag, named]) => named === digest && !this.unsure.has(tag))
      .map(([tag]) => tag);
    for (const tag of named) this.unsure.add(tag);
    const asked = { repository: this.repository, reference: digest };
    const outcome = expect([202, "MANIFEST_UNKNOWN", "IN_USE"], await REQUESTS.deleteManifest(deps, asked));
    for (const tag of named) {
      this.unsure.delete(tag);
      if (outcome === "MANIFEST_UNKNOWN") throw new Error(`${tag} names ${digest}, which is not there`);
      if (outcome === 202) this.tags.set(tag, undefined);
    }
  }

  async #deleteBlob({ deps }: Parts, digest: Digest): Promise<void> {
    const asked = { repository: this.repository, digest };
    expect([202, "BLOB_UNKNOWN", "IN_USE"], await REQUESTS.deleteBlob(deps, asked));
  }

  #image(digests: readonly Digest[]): object {
    const layers = digests.map((digest) => ({
      mediaType: LAYER,
      digest,
      size: this.#world.universe.get(digest)?.length,
    }));
    return { schemaVersion: 2, mediaType: OCI_MANIFEST, config: layers[0], layers };
  }

  #index(manifests: readonly Stored[]): object {
    return { schemaVersion: 2, mediaType: OCI_INDEX, manifests };
  }
}

function expect(allowed: readonly Outcome[], outcome: Outcome): Outcome {
  if (allowed.includes(outcome)) return outcome;
  throw new Error(`answered ${outcome} where only ${allowed.join(", ")} may be answered`);
}
