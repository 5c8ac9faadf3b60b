import type { Digest } from "../oci/digest.ts";
import type { Sql } from "../storage/database.ts";
import { type Attached, listAttached } from "../storage/image-history.ts";
import type { HistoryEntry, HistorySource, PromotionDeps, SignerOfImage } from "./deps.ts";

/** Repositories whose signatures are verified for one answer: each costs what a verdict costs. */
const MAX_JUDGED = 8;

/**
 * What refers to an image. A cosign signature that verifies for somebody is theirs, where it came to first: a promotion takes it
 * along, and nobody signed anew. All else is only attached, by whoever pushed it.
 */
export function openAttachedHistory(sql: Sql, findSigners: PromotionDeps["findSigners"]): HistorySource {
  return async ({ digest, limit }) => {
    const attached = (await listAttached(sql, { digest, limit })).reverse();
    const signed = new Map<Attached, readonly SignerOfImage[]>();
    const known = new Set<Digest>();
    const places = [...Map.groupBy(attached, ({ repository }) => repository)];
    for (const [repository, all] of places.slice(0, MAX_JUDGED)) {
      const unknown = all.filter((one) => !known.has(one.digest));
      if (unknown.length === 0) continue;
      const found = await findSigners({ repository, digest, attached: unknown });
      for (const [one, signers] of newSigners(unknown, found)) {
        signed.set(one, signers);
        known.add(one.digest);
      }
    }
    return attached.map((one) => toEntry(one, signed.get(one) ?? []));
  };
}

/**
 * By what they signed with, oldest first. Under cosign's own tag each signature comes with those before it, and is then told only
 * of whom it is new.
 */
function newSigners(attached: readonly Attached[], found: readonly SignerOfImage[]): Map<Attached, SignerOfImage[]> {
  const [signed, underTag] = [new Map<Attached, SignerOfImage[]>(), new Set<string>()];
  for (const one of attached) {
    const isTagged = one.artifactType === undefined;
    const its = found.filter(
      ({ manifest, removedAt, spki }) =>
        // What comes after a key was taken back may be a thief's.
        manifest === one.digest && (removedAt === undefined || one.at < removedAt) && !(isTagged && underTag.has(spki)),
    );
    if (its.length > 0) signed.set(one, its);
    if (isTagged) for (const { spki } of its) underTag.add(spki);
  }
  return signed;
}

function toEntry(one: Attached, signers: readonly SignerOfImage[]): HistoryEntry {
  const { at, repository, digest, artifactType = null, by } = one;
  const place = { at, repository, tag: undefined, from: undefined };
  const detail = { manifest: digest, artifactType };
  const pushedBy = by === undefined ? [] : [by];
  if (signers.length === 0) return { ...place, kind: "attached", by: pushedBy, teams: [], detail };
  return {
    ...{ ...place, kind: "signed", by: unique(signers.map(({ user }) => user)) },
    teams: unique(signers.flatMap(({ teams }) => teams)),
    detail: { ...detail, format: "cosign", keys: unique(signers.map(({ spki }) => spki)), pushedBy },
  };
}

const unique = (all: readonly string[]): string[] => [...new Set(all)];
