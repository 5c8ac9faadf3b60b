import { canonicalKeyId, type Key } from "../../notary/tuf/key.ts";
import { BASE_ROLES, type KeyId, TARGETS } from "../../notary/tuf/names.ts";
import type { TrustedMetadata, TrustedRole } from "../../notary/tuf/trusted-metadata.ts";
import type { RoleKeys } from "../../notary/tuf/verify.ts";
import type { Digest } from "../../oci/digest.ts";
import type { JsonObject } from "../../oci/json.ts";
import type { LocalCall } from "../command.ts";
import { type Columns, field, writeList } from "../table.ts";
import { findTagged } from "./held-manifest.ts";
import { openReadingSession, type TrustSession } from "./session.ts";
import { type SignedTag, signerName, signersOf, viewTags } from "./tag-view.ts";
import { getTrust } from "./trust-repository.ts";

const TAG_COLUMNS: Columns = {
  tag: field("tag"),
  digest: field("digest"),
  signers: field("signers"),
  released: field("released"),
  until: field("expires"),
};
const ROLE_COLUMNS: Columns = {
  role: field("role"),
  keys: field("keyIds"),
  threshold: field("threshold"),
  until: field("expires"),
  problem: field("problem"),
};

/** `goldseal trust inspect IMAGE[:TAG|@DIGEST]`: what is signed, by whom, until when, and whether the TAG is that; then who may sign. */
export async function inspectTrust(call: LocalCall): Promise<void> {
  const session = await openReadingSession(call);
  const { tag, digest } = session.image;
  const trusted = await getTrust(session, "pull");
  const all = viewTags(trusted);
  const state = tag === undefined ? undefined : await findState(session, all, tag);
  const tags = all.filter((entry) => entry.tag === (tag ?? entry.tag) && entry.digest === (digest ?? entry.digest));
  if (call.options.json === true) {
    call.io.stdout.write(`${JSON.stringify({ gun: session.gun, ...toJson(trusted, tags), ...state })}\n`);
    return;
  }
  const { stdout } = call.io;
  stdout.write(`${session.gun}, timestamp good until ${trusted.timestamp.expires}\n\n`);
  if (tags.length === 0) stdout.write("nothing is signed\n");
  else writeList(call, tags.map(toTagRow), TAG_COLUMNS);
  if (state !== undefined) stdout.write(`\n${toSentence(state)}\n`);
  stdout.write("\n");
  writeList(call, [...trusted.roles.values()].map(toRoleRow), ROLE_COLUMNS);
  stdout.write("\n");
  for (const [role, keys] of administrators(trusted)) stdout.write(`${role} key  ${keys.join(", ")}\n`);
}

/** As the REST API and docs/signing.md, "States of a tag", have it. */
interface TagState {
  readonly state: "signed" | "outdated" | "unsigned" | "dangling";
  /** What the registry has under the tag. */
  readonly inRegistry: Digest | null;
}

async function findState(session: TrustSession, all: readonly SignedTag[], tag: string): Promise<TagState> {
  const released = all.find((entry) => entry.tag === tag && entry.isReleased);
  const inRegistry = (await findTagged(session, tag)) ?? null;
  if (released === undefined) return { state: "unsigned", inRegistry };
  if (inRegistry === null) return { state: "dangling", inRegistry };
  return { state: released.digest === inRegistry ? "signed" : "outdated", inRegistry };
}

function toSentence({ state, inRegistry }: TagState): string {
  return `${state}: the registry has ${inRegistry ?? "no such tag"}`;
}

function toJson(trusted: TrustedMetadata, tags: readonly SignedTag[]) {
  const { root, snapshot, timestamp } = trusted;
  return {
    tags,
    roles: [...trusted.roles.values()].map(({ paths, ...role }) => ({ ...toRoleRow(role), paths })),
    keys: Object.fromEntries(administrators(trusted)),
    expires: { root: root.expires, snapshot: snapshot.expires, timestamp: timestamp.expires },
  };
}

function toTagRow(entry: SignedTag): JsonObject {
  const { tag, digest, isReleased, signatures } = entry;
  const signers = signersOf(entry).map(({ role }) => signerName(role));
  const until = Math.min(...signatures.map(({ expiresAt }) => expiresAt.getTime()));
  return {
    ...{ tag, digest, signers: signers.length > 0 ? signers : ["(repository key)"] },
    ...{ released: isReleased ? "yes" : "no", expires: new Date(until).toISOString() },
  };
}

function toRoleRow({ name, keys, file, problem }: Omit<TrustedRole, "paths">): JsonObject {
  return {
    ...{ role: name, keyIds: canonicalIds(keys), threshold: keys.threshold, version: file?.version ?? null },
    ...{ expires: file?.expires ?? null, problem: problem?.message ?? null },
  };
}

/** The keys of the four base roles, as docker trust inspect names them: the root's by the key in its certificate. */
function administrators({ root }: TrustedMetadata): [string, string[]][] {
  const order = ["root", TARGETS, ...BASE_ROLES.filter((role) => role !== "root" && role !== TARGETS)];
  return order.map((role) => [role, canonicalIds(root.roles[role as keyof typeof root.roles])]);
}

function canonicalIds({ keyIds, keys }: RoleKeys): string[] {
  return keyIds.map((id: KeyId) => {
    const key: Key | undefined = keys.get(id);
    return key === undefined ? id : canonicalKeyId(key);
  });
}
