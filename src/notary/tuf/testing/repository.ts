/** A TUF repository as honest clients make it, in which a test changes one thing. */
import { parseJson } from "../../../oci/json.ts";
import { toCanonical } from "../canonical-json.ts";
import type { Key } from "../key.ts";
import { type Gun, parseGun, parseRoleName, type RoleName, type ServerRole } from "../names.ts";
import { completeUpdate, type Sign } from "../produce.ts";
import { parseSignedFile, sha256Of, sha512Of, toFileBytes } from "../signed-file.ts";
import { judgeUpdate, type MetadataFile, type StoredRole, type UpdateInput } from "../update.ts";
import { contentsNeeded, type Part, readParts, rolesNeeded, type UploadedPart } from "../upload.ts";
import type { CertificateOptions } from "./certificate.ts";
import { type Change, type Loose, put } from "./loose.ts";
import { ecdsaKey, ed25519Key, inCertificate, signWith, type TestKey } from "./test-key.ts";

export const NOW = new Date("2026-11-22T12:00:00Z");
export const DAY_MS = 86_400_000;
export const inDays = (days: number): Date => new Date(NOW.getTime() + days * DAY_MS);
export const GUN = parseGun("registry.example.com:5000/team/app");

export const certificateFor = (gun: string): Omit<CertificateOptions, "publicKey" | "privateKey"> => ({
  commonNames: [gun],
  notBefore: inDays(-1),
  notAfter: inDays(3650),
});

export const keyJsonOf = ({ type, publicBytes }: Key): Loose => ({
  keytype: type,
  keyval: { private: null, public: publicBytes.toString("base64") },
});

export const keysOf = (...keys: readonly TestKey[]): Loose =>
  Object.fromEntries(keys.map(({ key }) => [key.id, keyJsonOf(key)]));

export const roleOf = (keys: readonly TestKey[], threshold = 1): Loose => ({
  keyids: keys.map(({ key }) => key.id),
  threshold,
});

export const metaOf = (bytes: Uint8Array): Loose => ({
  hashes: { sha256: sha256Of(bytes).toString("base64"), sha512: sha512Of(bytes).toString("base64") },
  length: bytes.length,
});

export const signFile = (signed: Loose, keys: readonly TestKey[]): Buffer => {
  const message = toCanonical(parseJson(Buffer.from(JSON.stringify(signed))));
  return toFileBytes(
    message,
    keys.map((key) => signWith(key, message)),
  );
};

export interface RepositoryKeys {
  root: TestKey;
  targets: TestKey;
  snapshot: TestKey;
  timestamp: TestKey;
}

export interface RepositoryOptions {
  readonly gun?: Gun;
  readonly clientSnapshot?: boolean;
  readonly keys?: RepositoryKeys;
  readonly delegates?: { a: TestKey; b: TestKey };
}

/** Of all that is stored what these parts need, and no more of it. */
export function toStored(all: ReadonlyMap<RoleName, Uint8Array>, parts: readonly Part[]): Map<RoleName, StoredRole> {
  const contents = contentsNeeded(parts);
  return new Map(
    [...rolesNeeded(parts)].flatMap((role) => {
      const bytes = all.get(role);
      if (bytes === undefined) return [];
      const { version, expiresAt } = parseSignedFile(bytes);
      const sha256 = sha256Of(bytes).toString("hex");
      return [[role, { version, expiresAt, sha256, bytes: contents.has(role) ? bytes : undefined }] as const];
    }),
  );
}

export class Repository {
  readonly gun: Gun;
  readonly keys: RepositoryKeys;
  /** Signers of `targets/a` and `targets/a/b`. */
  readonly delegates: { a: TestKey; b: TestKey };
  readonly #clientSnapshot: boolean;
  now = NOW;
  stored = new Map<RoleName, Uint8Array>();
  readonly history: MetadataFile[] = [];

  constructor({ gun = GUN, clientSnapshot = false, keys, delegates }: RepositoryOptions = {}) {
    this.gun = gun;
    this.#clientSnapshot = clientSnapshot;
    this.keys = keys ?? {
      root: inCertificate(ecdsaKey(), certificateFor(gun)),
      targets: ecdsaKey(),
      snapshot: clientSnapshot ? ecdsaKey() : ed25519Key(),
      timestamp: ed25519Key(),
    };
    this.delegates = delegates ?? { a: ecdsaKey(), b: ecdsaKey() };
  }

  /** Published: root v1, targets v2 with `targets/a`, which delegates to `targets/a/b`. */
  static published(options: RepositoryOptions = {}): Repository {
    const repository = new Repository(options);
    const parts = [repository.part("root"), repository.part("targets"), repository.part("targets/a")];
    repository.publish(repository.withSnapshot([...parts, repository.part("targets/a/b")]));
    return repository;
  }

  /** Another of the same state and keys, which may go its own way. */
  copy(): Repository {
    const [keys, delegates] = [{ ...this.keys }, { ...this.delegates }];
    const other = new Repository({ gun: this.gun, clientSnapshot: this.#clientSnapshot, keys, delegates });
    other.stored = new Map(this.stored);
    other.now = this.now;
    return other;
  }

  /** The next honest `signed` object of a role: the stored one, or the first, one version on. */
  next(role: string): Loose {
    const bytes = this.stored.get(parseRoleName(role));
    const signed: Loose = bytes ? JSON.parse(Buffer.from(bytes).toString()).signed : this.#first(role);
    const first = role === "targets" || role === "snapshot" ? 2 : 1;
    const days = role === "root" ? 3650 : 1095;
    return {
      ...signed,
      expires: new Date(this.now.getTime() + days * DAY_MS).toISOString(),
      version: bytes ? parseSignedFile(bytes).version + 1 : first,
    };
  }

  signerOf(role: string): TestKey {
    if (role === "targets/a") return this.delegates.a;
    if (role === "targets/a/b") return this.delegates.b;
    return this.keys[role as keyof RepositoryKeys];
  }

  /** The next file of a role, with what `change` does to it before it is signed. */
  part(role: string, change: Change = () => undefined, keys?: readonly TestKey[]): UploadedPart {
    const signed = this.next(role);
    change(signed);
    return { filename: role, bytes: signFile(signed, keys ?? [this.signerOf(role)]) };
  }

  /** With the snapshot that belongs to these parts, where the client makes it. */
  withSnapshot(parts: readonly UploadedPart[], change: Change = () => undefined): UploadedPart[] {
    if (!this.#clientSnapshot) return [...parts];
    const snapshot = this.part("snapshot", (signed) => {
      for (const { filename = "", bytes } of parts) put(["meta", filename], metaOf(bytes))(signed);
      change(signed);
    });
    return [...parts, snapshot];
  }

  get serverKeys(): UpdateInput["serverKeys"] {
    const { snapshot, timestamp } = this.keys;
    return {
      snapshot: new Set(this.#clientSnapshot ? [] : [snapshot.key.id]),
      timestamp: new Set([timestamp.key.id]),
    };
  }

  readonly sign: Sign = (role: ServerRole, _keyId, message) => {
    const { method, sig } = signWith(this.keys[role], message);
    return { method: method as "ecdsa" | "eddsa", sig };
  };

  /** As the server does it: read, load, judge, sign, store all or nothing. */
  publish(parts: readonly UploadedPart[]): readonly MetadataFile[] {
    const read = readParts(parts);
    const { gun, serverKeys, now } = this;
    const judged = judgeUpdate({ gun, parts: read, stored: toStored(this.stored, read), serverKeys, now });
    const files = completeUpdate(judged, this.sign);
    for (const { role, bytes } of files) this.stored.set(role, bytes);
    this.history.push(...files);
    return files;
  }

  versionOf(role: string): number | undefined {
    const bytes = this.stored.get(parseRoleName(role));
    return bytes && parseSignedFile(bytes).version;
  }

  #first(role: string): Loose {
    const { root, targets, snapshot, timestamp } = this.keys;
    if (role === "root") {
      const roles = {
        root: roleOf([root]),
        snapshot: roleOf([snapshot]),
        targets: roleOf([targets]),
        timestamp: roleOf([timestamp]),
      };
      return { _type: "Root", consistent_snapshot: false, keys: keysOf(root, targets, snapshot, timestamp), roles };
    }
    if (role === "snapshot") return { _type: "Snapshot", meta: {} };
    return { _type: "Targets", delegations: this.#delegations(role), targets: {} };
  }

  #delegations(role: string): Loose {
    const { a, b } = this.delegates;
    const entry = (name: string, key: TestKey): Loose => ({ ...roleOf([key]), name, paths: [""] });
    if (role === "targets") return { keys: keysOf(a), roles: [entry("targets/a", a)] };
    if (role === "targets/a") return { keys: keysOf(b), roles: [entry("targets/a/b", b)] };
    return { keys: {}, roles: [] };
  }
}
