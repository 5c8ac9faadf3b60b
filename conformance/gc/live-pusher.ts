import { randomBytes } from "node:crypto";
import { RegistryClient, sha256 } from "../harness/registry-client.ts";
import type { RunningServer } from "../harness/server.ts";

const OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json";
const KEPT_TAGS = 3;
/** Without any grace a collection may take a layer before its manifest is there. */
const MAX_ATTEMPTS = 100;

/** An image that was acknowledged and is tagged. */
export class Tagged {
  readonly repository: string;
  readonly tag: string;
  readonly #manifest: Buffer;
  readonly #digests: readonly string[];
  /** Who pulls it now; it is not deleted meanwhile. */
  pulling = 0;

  constructor(
    repository: string,
    tag: string,
    { manifest, digests }: { manifest: Buffer; digests: readonly string[] },
  ) {
    this.repository = repository;
    this.tag = tag;
    this.#manifest = manifest;
    this.#digests = digests;
  }

  /** @throws Error for anything but the bytes that were pushed */
  async pull(client: RegistryClient): Promise<void> {
    const answer = await client.manifest(this.repository, this.tag);
    if (answer.status !== 200 || !answer.body.equals(this.#manifest))
      throw new Error(`${this.repository}:${this.tag}: ${answer.status} ${answer.body}`);
    for (const digest of this.#digests) {
      const blob = await client.ask(`/v2/${this.repository}/blobs/${digest}`);
      if (blob.status !== 200 || sha256(blob.body) !== digest)
        throw new Error(`${this.repository}:${this.tag}, ${digest}: ${blob.status} ${blob.body.subarray(0, 300)}`);
    }
  }
}

/** Pushes an image, pulls it back, and deletes the oldest, over and over. */
export class LivePusher {
  readonly tagged: Tagged[] = [];
  pushes = 0;
  pulls = 0;
  /** Manifests that were refused because a layer was collected just then. */
  again = 0;
  readonly #client: RegistryClient;
  readonly #repository: string;
  readonly #layers: readonly Buffer[];

  constructor(server: RunningServer, repository: string, layers: readonly Buffer[]) {
    this.#client = new RegistryClient(server, server.admin);
    this.#repository = repository;
    this.#layers = layers;
  }

  async run({ isOver }: { isOver(): boolean }): Promise<void> {
    while (!isOver()) {
      const image = await this.#push(`v${this.pushes}`);
      this.pushes++;
      this.tagged.push(image);
      await image.pull(this.#client);
      this.pulls++;
      const oldest = this.tagged[0];
      if (this.tagged.length <= KEPT_TAGS || oldest === undefined || oldest.pulling > 0) continue;
      this.tagged.shift();
      await this.#expect(202, "DELETE", `manifests/${oldest.tag}`);
    }
  }

  close(): void {
    this.#client.close();
  }

  async #push(tag: string): Promise<Tagged> {
    // Shared layers come and go with the images of all pushers; the config is this image's own.
    const layers = this.#layers.filter(
      (_, index) => index === this.pushes % this.#layers.length || Math.random() < 0.5,
    );
    const config = Buffer.from(JSON.stringify(configOf(layers)));
    const manifest = Buffer.from(
      JSON.stringify({
        ...{ schemaVersion: 2, mediaType: OCI_MANIFEST, config: describe("config.v1+json", config) },
        layers: layers.map((layer) => describe("layer.v1.tar", layer)),
      }),
    );
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
      for (const content of [config, ...layers]) await this.#ensure(content);
      const headers = { "content-type": OCI_MANIFEST };
      const path = `/v2/${this.#repository}/manifests/${tag}`;
      const answer = await this.#client.ask(path, { method: "PUT", headers, body: manifest });
      if (answer.status === 201) {
        const digests = [config, ...layers].map(sha256);
        return new Tagged(this.#repository, tag, { manifest, digests });
      }
      if (answer.status !== 400 || !String(answer.body).includes("MANIFEST_BLOB_UNKNOWN"))
        throw new Error(`PUT ${path}: ${answer.status} ${answer.body}`);
      this.again++;
    }
    throw new Error(`no push of ${this.#repository}:${tag} came through in ${MAX_ATTEMPTS} attempts`);
  }

  async #ensure(content: Buffer): Promise<void> {
    const digest = sha256(content);
    const head = await this.#client.ask(`/v2/${this.#repository}/blobs/${digest}`, { method: "HEAD" });
    if (head.status === 200) return;
    if (head.status !== 404) throw new Error(`HEAD ${digest}: ${head.status}`);
    await this.#expect(201, "POST", `blobs/uploads/?digest=${digest}`, content);
  }

  async #expect(status: number, method: string, path: string, body?: Buffer): Promise<void> {
    const answer = await this.#client.ask(`/v2/${this.#repository}/${path}`, { method, ...(body && { body }) });
    if (answer.status !== status) throw new Error(`${method} ${path}: ${answer.status} ${answer.body}`);
  }
}

const describe = (kind: string, content: Buffer): object => ({
  mediaType: `application/vnd.oci.image.${kind}`,
  digest: sha256(content),
  size: content.length,
});

/** No two are the same. */
const configOf = (layers: readonly Buffer[]): object => ({
  ...{ architecture: "amd64", os: "linux", author: randomBytes(8).toString("hex") },
  ...{ config: { Cmd: ["/file-0"] }, rootfs: { type: "layers", diff_ids: layers.map(sha256) } },
});
