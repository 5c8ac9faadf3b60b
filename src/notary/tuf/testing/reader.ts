/** A reader of a simulated repository, and what a server in the middle may do to it. */
import type { RoleName } from "../names.ts";
import type { TrustSource } from "../root-walk.ts";
import { sha256Of } from "../signed-file.ts";
import { readTrusted, type TrustedMetadata } from "../trusted-metadata.ts";
import type { Repository } from "./repository.ts";

export type Fetch = TrustSource["fetch"];

/** What an honest server answers: current files by role, every file by hash and by version. */
export function serve(repository: Repository): Fetch {
  const byName = new Map<string, Uint8Array>(repository.stored);
  for (const { role, version, bytes, sha256 } of repository.history) {
    byName.set(`${role}.${sha256}`, bytes).set(`${version}.${role}`, bytes);
  }
  return async (name, maxBytes) => byName.get(name)?.subarray(0, maxBytes);
}

/** Answers `bytes` for every name that `name` fits, and otherwise what `fetch` does. */
export function instead(fetch: Fetch, name: RegExp, bytes: Uint8Array | undefined): Fetch {
  return async (asked, maxBytes) => (name.test(asked) ? bytes : fetch(asked, maxBytes));
}

type ReaderOptions = Partial<Omit<TrustSource, "gun">>;

export async function read(repository: Repository, options: ReaderOptions = {}): Promise<TrustedMetadata> {
  const { gun, now } = repository;
  const source = { gun, now, known: new Map(), fetch: serve(repository), ...options };
  const found = await readTrusted(source);
  if (found === undefined) throw new Error("no trust data");
  return found;
}

/** What a reader keeps. */
export function remember({ root, timestamp, snapshot, roles }: TrustedMetadata): Map<RoleName, Uint8Array> {
  const kept = new Map<string, Uint8Array>(Object.entries({ root, timestamp, snapshot }).map(([k, v]) => [k, v.bytes]));
  for (const [role, { file }] of roles) if (file !== undefined) kept.set(role, file.bytes);
  return kept as Map<RoleName, Uint8Array>;
}

export const hashOf = (bytes: Uint8Array): string => sha256Of(bytes).toString("hex");
