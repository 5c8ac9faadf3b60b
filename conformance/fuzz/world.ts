/** What there is to be hit: users, images, tokens, and the upload sessions that the fuzzer itself begins. */
import { createHash } from "node:crypto";
import { Connection, toBytes, type WireAnswer } from "./wire.ts";

export const PASSWORD = "correct horse battery";
export const MANIFEST = "application/vnd.oci.image.manifest.v1+json";
export const INDEX = "application/vnd.oci.image.index.v1+json";
export const DOCKER = "application/vnd.docker.distribution.manifest.v2+json";
export const LIST = "application/vnd.docker.distribution.manifest.list.v2+json";

export const basic = (name: string, password: string): string =>
  `Basic ${Buffer.from(`${name}:${password}`).toString("base64")}`;

export const digestOf = (content: Buffer | string, algorithm = "sha256"): string =>
  `${algorithm}:${createHash(algorithm).update(content).digest("hex")}`;

/** A few only, so that a digest asked for is sometimes that of the bytes sent. */
export const CONTENTS = ["{}", "", "a small layer", "01234", "56789", "0123456789", "x".repeat(70_000)];
const SESSIONS_AT_ONCE = 4;

/** Nobody but the last check asks for this repository. */
const KEPT = "keeper/image";

export class World {
  readonly repositories = ["alice/app", "alice/deep/er/name", "bob/app", "alice/manifests/tags", "public/base"];
  readonly blobs: string[] = [];
  readonly manifests: string[] = [];
  readonly tags = ["latest", "v1", "v1.0", "list", "_x"];
  readonly tokens: string[] = [];
  /** Paths of sessions, the youngest at the end. */
  readonly sessions: string[] = [];
  /** Texts of manifests whose parts are in every repository. */
  readonly texts: string[] = [];
  readonly #connection: Connection;
  readonly #origin: string;

  /** Authorization of the administrator. */
  readonly admin: string;

  constructor(origin: string, adminPassword: string) {
    this.#origin = origin;
    this.admin = basic("admin", adminPassword);
    this.#connection = new Connection(Number(new URL(origin).port));
  }

  get origin(): string {
    return this.#origin;
  }

  async prepare(): Promise<void> {
    const { admin } = this;
    for (const name of ["alice", "bob", "keeper"]) {
      await this.#must(201, "PUT", `/api/v1/users/${name}`, admin, JSON.stringify({ password: PASSWORD }));
    }
    await this.#must(201, "PUT", "/api/v1/orgs/public", admin, "{}");
    for (const repository of [...this.repositories, KEPT]) await this.#pushImage(repository, admin);
    await this.#must(200, "PUT", "/api/v1/orgs/public/repositories/base", admin, '{"visibility":"public"}');
    for (const [user, scope] of [
      ["alice", "repository:alice/app:pull,push,delete"],
      ["alice", "repository:alice/app:pull&scope=registry:catalog:*"],
      ["bob", "repository:bob/app:*"],
    ] as const) {
      const { body } = await this.#must(200, "GET", `/token?scope=${scope}`, basic(user, PASSWORD));
      this.tokens.push(JSON.parse(body.toString()).token);
    }
    const anonymous = await this.#must(200, "GET", "/token?scope=repository:public/base:pull", "");
    this.tokens.push(JSON.parse(anonymous.body.toString()).token);
  }

  /** What requests have taken away is there again: images, blobs that no manifest needs, uploads that are open. */
  async restock(): Promise<void> {
    const { admin } = this;
    for (const repository of this.repositories) {
      await this.#pushImage(repository, admin);
      for (const content of CONTENTS) await this.#pushBlob(repository, content);
      const uploads = `/v2/${repository}/blobs/uploads/`;
      for (let left = SESSIONS_AT_ONCE; left > 0; left--)
        this.noteSession(await this.#must(202, "POST", uploads, admin, ""));
    }
  }

  /** Remembers the upload that an answer began. */
  noteSession(answer: WireAnswer): void {
    const location = answer.headers.find(([name]) => name === "location")?.[1];
    if (answer.status !== 202 || location === undefined || !location.includes("/blobs/uploads/")) return;
    const { pathname } = new URL(location);
    if (this.sessions.at(-1) !== pathname) this.sessions.push(pathname);
    if (this.sessions.length > 64) this.sessions.shift();
  }

  /** @throws Error when the image that nobody touched is not as it was pushed, or the server is not ready */
  async checkKept(): Promise<void> {
    const { admin } = this;
    const manifest = await this.#must(200, "GET", `/v2/${KEPT}/manifests/latest`, admin);
    if (manifest.body.toString() !== this.texts[0]) throw new Error("the manifest changed");
    const { layers } = JSON.parse(manifest.body.toString());
    const layer = await this.#must(200, "GET", `/v2/${KEPT}/blobs/${layers[0].digest}`, admin);
    if (digestOf(layer.body) !== layers[0].digest) throw new Error("the layer changed");
    await this.#must(200, "GET", "/readyz", "");
  }

  close(): void {
    this.#connection.close();
  }

  async #pushImage(repository: string, admin: string): Promise<void> {
    const contents = ["{}", "", "a small layer", "x".repeat(100_000)];
    for (const content of contents) await this.#pushBlob(repository, content);
    const parts = contents.map((content, index) => ({
      mediaType: `application/vnd.oci.image.${index === 0 ? "config.v1+json" : "layer.v1.tar"}`,
      ...{ digest: digestOf(content), size: content.length },
    }));
    const [config, empty, small, large] = parts;
    const image = JSON.stringify({ schemaVersion: 2, mediaType: MANIFEST, config, layers: [small, large, empty] });
    const child = { mediaType: MANIFEST, digest: digestOf(image), size: image.length };
    const index = JSON.stringify({ schemaVersion: 2, mediaType: INDEX, manifests: [child] });
    const referrer = JSON.stringify({ schemaVersion: 2, mediaType: MANIFEST, config, layers: [], subject: child });
    for (const [reference, text, type] of [
      ["latest", image, MANIFEST],
      ["list", index, INDEX],
      ["v1", referrer, MANIFEST],
    ] as const) {
      await this.#must(201, "PUT", `/v2/${repository}/manifests/${reference}`, admin, text, type);
    }
    if (this.texts.length > 0) return;
    this.texts.push(image, index, referrer);
    this.manifests.push(...this.texts.map((text) => digestOf(text)), digestOf("no such manifest"));
    this.blobs.push(
      ...contents.map((content) => digestOf(content)),
      digestOf("no such blob"),
      digestOf("{}", "sha512"),
    );
  }

  async #pushBlob(repository: string, content: string): Promise<void> {
    const path = `/v2/${repository}/blobs/uploads/?digest=${digestOf(content)}`;
    await this.#must(201, "POST", path, this.admin, content);
  }

  async #must(
    status: number,
    method: string,
    target: string,
    authorization: string,
    body?: string,
    type = "application/json",
  ) {
    const headers = [["Host", new URL(this.#origin).host] as const, ["Content-Type", type] as const];
    const credentials = authorization === "" ? [] : [["Authorization", authorization] as const];
    const request = {
      method,
      target,
      headers: [...headers, ...credentials],
      ...(body === undefined ? {} : { body: Buffer.from(body) }),
    };
    const outcome = await this.#connection.exchange(toBytes(request), { method, timeoutMs: 30_000 });
    if ("status" in outcome && outcome.status === status) return outcome;
    const got = "status" in outcome ? `${outcome.status} ${outcome.body}` : `${outcome.failed} ${outcome.detail}`;
    throw new Error(`${method} ${target} should have answered ${status}: ${got}`);
  }
}
