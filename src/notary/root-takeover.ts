import type { RepositoryName } from "../oci/repository-name.ts";
import type { Sql } from "../storage/database.ts";
import type { NotaryDeps } from "./deps.ts";
import { type FoundingKeys, holdsRoot } from "./founding-keys-store.ts";
import { openServed, publishServed } from "./served-collection.ts";
import { spkiOf } from "./tuf/key.ts";
import { parseRoot, type Root } from "./tuf/metadata.ts";
import { ROOT } from "./tuf/names.ts";
import { invalidUpdate, refusedAs } from "./tuf/refusal.ts";
import { parseSignedFile, type SignedFile, toFileBytes } from "./tuf/signed-file.ts";
import { type Part, readParts, type UploadedPart } from "./tuf/upload.ts";

export interface TakeOver {
  readonly repository: RepositoryName;
  /** `root` and `targets`, each the next version, signed by people's new keys. */
  readonly parts: readonly UploadedPart[];
  readonly now: Date;
}

/**
 * People's root after the server's: the server signs it with its own root key, so that whoever trusts the old one follows, and
 * then has neither that key nor the one of targets any more. Afterwards nothing tells this trust data from any other.
 * @throws OciError NAME_UNKNOWN; UpdateError; `trust-refused` where people hold the root already
 */
export async function takeOver(deps: NotaryDeps, sql: Sql, { repository, parts, now }: TakeOver): Promise<Root> {
  const read = readParts(parts);
  const served = await openServed(deps, sql, { repository, roles: [], now });
  const stored = served.stored.get(ROOT);
  const current = stored && deps.readRoot(stored);
  const own = await deps.foundingKeys.find(sql, served.gun);
  if (current === undefined || own === undefined || !holdsRoot(own, current))
    throw deps.refusal(
      "trust-refused",
      `this server does not hold the root of ${served.gun}: its owners rotate it themselves`,
    );
  const countersigned = read.map((part) => (part.role === ROOT ? countersign(part, current, own) : part));
  await publishServed(deps, sql, served, countersigned);
  await deps.foundingKeys.drop(sql, served.gun, now);
  const root = countersigned.find(({ role }) => role === ROOT);
  if (root === undefined) throw new Error("a take-over without a root");
  return parseRoot(root.file.bytes);
}

/** @throws UpdateError for a root that would leave a key of the server's in it */
function countersign({ role, file }: Part, current: Root, own: FoundingKeys): Part {
  refuseOurKeys(file, own);
  const signatures = current.roles.root.keyIds.map((keyId) => ({ keyId, ...own.root.sign(file.message) }));
  return { role, file: parseSignedFile(toFileBytes(file.message, [...file.signatures, ...signatures])) };
}

/** Half a take-over would keep everything server-attested, and nobody could rotate what is left. */
function refuseOurKeys(file: SignedFile, own: FoundingKeys): void {
  const { roles, keys } = refusedAs("ErrBadRoot", () => parseRoot(file.bytes));
  const ours = new Set([spkiOf(own.root.key), spkiOf(own.targets.key)]);
  for (const name of ["root", "targets"] as const) {
    const listed = roles[name].keyIds.map((id) => keys.get(id));
    if (listed.some((key) => key !== undefined && ours.has(spkiOf(key))))
      throw invalidUpdate("ErrBadRoot", `the new root still lists a key of this server for ${name}`);
  }
}
