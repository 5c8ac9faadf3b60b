/** One GUN and whoever signs for it, over plain HTTPS: the parts of an update, each with what a case changes in it. */
import type { Answer, Ask } from "../harness/registry-client.ts";
import { normalize } from "./fixture.ts";
import { ecdsa, idOf, inCertificate, keyOf, type Loose, metaOf, type Signer, toFile } from "./tuf-files.ts";

const BOUNDARY = "boundary-of-a-case";
export const UPDATE_TYPE = `multipart/form-data; boundary=${BOUNDARY}`;

export interface Part {
  /** Undefined: the part has none. */
  readonly filename: string | undefined;
  readonly bytes: Buffer;
}

export interface Place {
  readonly client: { ask(path: string, ask?: Omit<Ask, "body"> & { readonly body?: Buffer }): Promise<Answer> };
  /** `host:port/org` */
  readonly prefix: string;
}

type Change = (signed: Loose) => void;

/**
 * As Go writes it, which drops a fraction's last zeros: notary-server hashes what it writes itself, not what it was sent.
 * Whole seconds, so that a file is as long whenever it is made: answers tell lengths.
 */
const inYears = (years: number): string => {
  const date = new Date(Date.now() + years * 365 * 86_400_000 - 3_600_000);
  return date.toISOString().replace(/\.\d+Z$/, "Z");
};

/** Names of GUNs: each is fresh. */
let count = 0;

export class Collection {
  readonly gun: string;
  readonly #place: Place;
  root: Signer;
  targets: Signer = ecdsa();
  /** Only the public halves, where they are the server's. */
  snapshot: Pick<Signer, "type" | "publicBytes"> = ecdsa();
  timestamp: Pick<Signer, "type" | "publicBytes"> = ecdsa();

  constructor(place: Place, name = `case-${++count}`) {
    this.#place = place;
    this.gun = `${place.prefix}/${name}`;
    this.root = inCertificate(ecdsa(), { cn: this.gun });
  }

  /** With the keys that the server signs with. */
  static async open(place: Place, name?: string): Promise<Collection> {
    const collection = new Collection(place, name);
    collection.timestamp = await collection.serverKey("timestamp");
    collection.snapshot = await collection.serverKey("snapshot");
    return collection;
  }

  /** First push: root v1 and targets v1. */
  static async published(place: Place): Promise<Collection> {
    const collection = await Collection.open(place);
    const answer = await collection.push([collection.rootPart(), collection.targetsPart(1)]);
    if (answer.status !== 200) throw new Error(`a first push was answered ${answer.status}: ${answer.body}`);
    return collection;
  }

  async serverKey(role: "snapshot" | "timestamp", method = "GET"): Promise<Pick<Signer, "type" | "publicBytes">> {
    const { status, body } = await this.ask(`tuf/${role}.key`, method);
    if (status !== 200) throw new Error(`${method} ${role}.key was answered ${status}: ${body}`);
    const { keytype, keyval } = JSON.parse(body.toString());
    return { type: keytype, publicBytes: Buffer.from(keyval.public, "base64") };
  }

  ask(path: string, method = "GET"): Promise<Answer> {
    return this.#place.client.ask(`/v2/${this.gun}/_trust/${path}`, { method });
  }

  rootSigned(version = 1): Loose {
    const { root, targets, snapshot, timestamp } = this;
    const all = { root, targets, snapshot, timestamp };
    const roles = Object.entries(all).map(([role, key]) => [role, { keyids: [idOf(key)], threshold: 1 }]);
    return {
      _type: "Root",
      consistent_snapshot: false,
      expires: inYears(10),
      keys: Object.fromEntries(Object.values(all).map((key) => [idOf(key), keyOf(key)])),
      roles: Object.fromEntries(roles),
      version,
    };
  }

  rootPart(change: Change = () => undefined, signers: readonly Signer[] = [this.root]): Part {
    const signed = this.rootSigned();
    change(signed);
    return { filename: "root", bytes: toFile(signed, signers) };
  }

  targetsSigned(version: number): Loose {
    return { _type: "Targets", delegations: { keys: {}, roles: [] }, expires: inYears(3), targets: {}, version };
  }

  targetsPart(version: number, change: Change = () => undefined, signers: readonly Signer[] = [this.targets]): Part {
    return this.rolePart("targets", version, change, signers);
  }

  rolePart(role: string, version: number, change: Change, signers: readonly Signer[]): Part {
    const signed = this.targetsSigned(version);
    change(signed);
    return { filename: role, bytes: toFile(signed, signers) };
  }

  /** Names the files of `parts`. */
  snapshotPart(parts: readonly Part[], version: number, change: Change = () => undefined): Part {
    const meta = Object.fromEntries(parts.map(({ filename, bytes }) => [filename, metaOf(bytes)]));
    const signed: Loose = { _type: "Snapshot", expires: inYears(3), meta, version };
    change(signed);
    return { filename: "snapshot", bytes: toFile(signed, [this.snapshot as Signer]) };
  }

  push(parts: readonly Part[], contentType = UPDATE_TYPE): Promise<Answer> {
    return this.post(toBody(parts), contentType === "" ? {} : { "content-type": contentType });
  }

  post(body: Buffer, headers: Readonly<Record<string, string>>): Promise<Answer> {
    return this.#place.client.ask(`/v2/${this.gun}/_trust/tuf/`, { method: "POST", headers, body });
  }
}

export function toBody(parts: readonly Part[]): Buffer {
  const pieces = parts.flatMap(({ filename, bytes }) => {
    const name = filename === undefined ? "" : `; filename="${filename}"`;
    const head = `--${BOUNDARY}\r\nContent-Disposition: form-data; name="files"${name}\r\n`;
    return [Buffer.from(`${head}Content-Type: application/octet-stream\r\n\r\n`), bytes, Buffer.from("\r\n")];
  });
  return Buffer.concat([...pieces, Buffer.from(`--${BOUNDARY}--\r\n`)]);
}

/** In the fixture's words. */
export function describeAnswer({ status, headers, body }: Answer): string {
  const text = body.toString().trim();
  if (status !== 200) return normalize([status, describeError(text)].join(" "));
  const age = /max-age=(\d+)/.exec(headers["cache-control"] ?? "")?.[1];
  if (text.startsWith('{"signed"') || /^\{\s*"signed"/.test(text)) return `200 <metadata file> [max-age=${age}]`;
  return normalize(`200 ${text}`);
}

function describeError(text: string): string {
  if (!text.startsWith("{")) return "";
  const error = JSON.parse(text).errors?.[0];
  if (error === undefined) return text;
  const { code, detail } = error;
  if (detail === undefined) return code;
  if (typeof detail === "object" && "Name" in detail) return `${code} ${detail.Name}: ${detail.Error.Msg}`;
  return `${code} ${JSON.stringify(detail)}`;
}
