/** Trust data of the matrix's repositories, made by the administrator of the installation as docker would. */
import { Collection, type Part, type Place, toBody, UPDATE_TYPE } from "../notary/collection.ts";
import { sha256Hex } from "../notary/tuf-files.ts";
import type { Ask, Wire } from "./wire.ts";

/** What the requests about one GUN are made of. */
export interface Signed {
  readonly gun: string;
  /** In hex, of the root that was published, though it be gone; else of the one in the update. */
  readonly rootHash: string;
  readonly isPublished: boolean;
  /** An honest update: the next one, or the first where nothing was published. */
  readonly update: Ask;
}

/** For requests about no trust data. */
export const UNSIGNED = { rootHash: "", isPublished: false, update: {} } as const;

export interface TrustDataOptions {
  readonly wire: Wire;
  /** What every GUN begins with, before its slash. */
  readonly authority: string;
  readonly admin: string;
}

export class TrustData {
  readonly #options: TrustDataOptions;
  readonly #signed = new Map<string, Signed>();

  constructor(options: TrustDataOptions) {
    this.#options = options;
  }

  gunOf(name: string): string {
    return `${this.#options.authority}/${name}`;
  }

  find(name: string): Signed | undefined {
    return this.#signed.get(name);
  }

  /** A first publish that is good, and not sent. */
  async prepare(name: string): Promise<Signed> {
    const { collection, root, targets } = await this.#begin(name);
    return this.#keep(name, { gun: collection.gun, root, isPublished: false, parts: [root, targets] });
  }

  /** A first publish, and a second one that is good, and not sent. */
  async publish(name: string): Promise<Signed> {
    const { collection, root, targets } = await this.#begin(name);
    const answer = await collection.push([root, targets]);
    if (answer.status !== 200) throw new Error(`a first publish was answered ${answer.status}: ${answer.body}`);
    const parts = [collection.targetsPart(2)];
    return this.#keep(name, { gun: collection.gun, root, isPublished: true, parts });
  }

  /** Files and keys of the server, in one text. */
  async describe(name: string): Promise<string> {
    const { wire, admin: authorization } = this.#options;
    const gun = this.gunOf(name);
    const lines: string[] = [];
    for (const role of ["root", "targets", "timestamp"]) {
      const { status, body } = await wire.ask("GET", `/v2/${gun}/_trust/tuf/${role}.json`, { authorization });
      lines.push(`${gun} ${role} ${status} ${body}`);
    }
    const { body } = await wire.must(200, "GET", `/api/v1/trust-keys?after=${gun}&limit=10`, { authorization });
    const { trustKeys }: { trustKeys: { gun: string; keyId: string }[] } = JSON.parse(body.toString());
    lines.push(...trustKeys.filter((key) => key.gun === gun).map(({ keyId }) => keyId));
    return lines.join("\n");
  }

  /** With the keys that the server signs with. */
  async #begin(name: string) {
    const { wire, authority, admin: authorization } = this.#options;
    const client: Place["client"] = {
      ask: (path, { method = "GET", headers = {}, body } = {}) =>
        wire.ask(method, path, { authorization, headers, body, type: headers["content-type"] }),
    };
    const collection = await Collection.open({ client, prefix: authority }, name);
    return { collection, root: collection.rootPart(), targets: collection.targetsPart(1) };
  }

  #keep(
    name: string,
    { gun, root, isPublished, parts }: Pick<Signed, "gun" | "isPublished"> & { root: Part; parts: readonly Part[] },
  ): Signed {
    const update = { body: toBody(parts), type: UPDATE_TYPE };
    const { rootHash: before } = this.#signed.get(name) ?? {};
    const signed = { gun, rootHash: before ?? sha256Hex(root.bytes), isPublished, update };
    this.#signed.set(name, signed);
    return signed;
  }
}
