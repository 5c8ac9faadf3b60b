/** A registry with three repositories, people who sign in them, and images of one platform and of several. */
import { spkiOf } from "../../notary/tuf/key.ts";
import { parseGun } from "../../notary/tuf/names.ts";
import { all, type Change, drop, type Loose, put } from "../../notary/tuf/testing/loose.ts";
import { DAY_MS, keysOf, metaOf, NOW, Repository, roleOf } from "../../notary/tuf/testing/repository.ts";
import { ecdsaKey, type TestKey } from "../../notary/tuf/testing/test-key.ts";
import { readTrusted } from "../../notary/tuf/trusted-metadata.ts";
import type { UploadedPart } from "../../notary/tuf/upload.ts";
import { digestOf } from "../../oci/digest.ts";
import { OCI_INDEX, OCI_MANIFEST } from "../../oci/media-types.ts";
import { parseTag } from "../../oci/reference.ts";
import { parseRepositoryName } from "../../oci/repository-name.ts";
import type { Evidence } from "../evidence.ts";
import type { KeyOwner, People, Person } from "../people.ts";
import type { RequireRow } from "../require.ts";
import { type Artifact, openSubject, type Subject } from "../subject.ts";
import { findTagBinding, findTufEvidence, type TrustedCollection } from "../tuf-evidence.ts";
import { judge, type Requirement, type Verdict, type VerdictInput } from "../verdict.ts";
import { alice, bob, carol, spkiOfPair } from "./signers.ts";

export const AUTHORITY = "registry.example.com:5000";
export { NOW };

export function manifestOf(name: string): Artifact {
  const blob = (what: string) => ({ mediaType: "application/octet-stream", digest: digestOf(what), size: what.length });
  const json = { schemaVersion: 2, mediaType: OCI_MANIFEST, config: blob(name), layers: [blob(`${name}-layer`)] };
  return artifact(Buffer.from(JSON.stringify(json)), OCI_MANIFEST);
}

export function indexOf(...children: readonly Artifact[]): Artifact {
  const manifests = children.map(({ digest, bytes, mediaType }) => ({ mediaType, digest, size: bytes.length }));
  return artifact(Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests })), OCI_INDEX);
}

export function artifact(bytes: Buffer, mediaType?: string): Artifact {
  return { digest: digestOf(bytes), bytes, mediaType };
}

export const [image, other] = [manifestOf("image"), manifestOf("other")];

export function subjectOf(name: string, chain: readonly [Artifact, ...Artifact[]] = [image]): Subject {
  const [repository = "", tag] = name.split(":");
  const reference = { repository: parseRepositoryName(repository), authority: AUTHORITY };
  return openSubject({ ...reference, tag: tag === undefined ? undefined : parseTag(tag) }, chain);
}

export const entryOf = ({ bytes, digest }: Artifact): Loose => ({
  hashes: { sha256: Buffer.from(digest.slice(7), "hex").toString("base64") },
  length: bytes.length,
});

/** What a role says, and who signs it; `keys` are those that the delegation lists. */
export interface Signing {
  readonly says: Readonly<Record<string, Artifact>>;
  readonly by: readonly TestKey[];
  readonly keys?: readonly TestKey[];
  readonly paths?: readonly string[];
  readonly change?: Change;
}

export interface SetOptions {
  readonly repository?: string;
  readonly roles: Readonly<Record<string, Signing>>;
  readonly timestamp?: Change;
  readonly targets?: Change;
  /** Prepared by the test: its root and targets keys. */
  readonly of?: Repository;
}

const founded = new Map<string, Repository>();

function found(repository: string): Repository {
  const gun = `${AUTHORITY}/${repository}`;
  const known = founded.get(gun) ?? new Repository({ gun: parseGun(gun) });
  founded.set(gun, known);
  return known;
}

/** The collection of `repository`, in which each role of `roles` was delegated to its signers. */
export async function signedSet({
  repository = "ops/app",
  roles,
  timestamp,
  targets,
  of,
}: SetOptions): Promise<TrustedCollection> {
  const owner = of ?? found(repository);
  const named = Object.entries(roles).filter(([role]) => role !== "targets");
  const delegations = put(["delegations"], {
    keys: keysOf(...named.flatMap(([, { by, keys = by }]) => keys)),
    roles: named.map(([name, { by, keys = by, paths = [""] }]) => ({ ...(roleOf(keys) as object), name, paths })),
  });
  const says = ({ says, change = () => undefined }: Signing): Change =>
    all(put(["targets"], Object.fromEntries(Object.entries(says).map(([tag, what]) => [tag, entryOf(what)]))), change);
  const top = roles.targets === undefined ? delegations : all(delegations, says(roles.targets));
  const parts = [
    owner.part("root"),
    owner.part("targets", all(top, targets ?? (() => undefined)), roles.targets?.by),
    ...named.map(([role, signing]) =>
      owner.part(role, all(put(["delegations"], { keys: {}, roles: [] }), says(signing)), signing.by),
    ),
  ];
  return collect(owner, parts, timestamp);
}

/** A snapshot and a timestamp of exactly `parts`, and what a reader makes of it all. */
export async function collect(
  owner: Repository,
  parts: readonly UploadedPart[],
  timestamp: Change = () => undefined,
): Promise<TrustedCollection> {
  const meta = Object.fromEntries(parts.map(({ filename = "", bytes }) => [filename, metaOf(bytes)]));
  const snapshot = owner.part("snapshot", put(["meta"], meta));
  const expires = new Date(NOW.getTime() + 14 * DAY_MS).toISOString();
  const changes = [put(["meta"], { snapshot: metaOf(snapshot.bytes) }), put(["expires"], expires), timestamp];
  // The simulator's first file of a role is one of targets, whatever the role.
  const first = [put(["_type"], "Timestamp"), drop(["delegations"]), drop(["targets"])];
  const whole = [...parts, snapshot, owner.part("timestamp", all(...first, ...changes))];
  const files = new Map(whole.map(({ filename = "", bytes }) => [filename, bytes]));
  const fetch = async (name: string) => files.get(name.replace(/\..*/, ""));
  const trusted = await readTrusted({ gun: owner.gun, now: NOW, known: new Map(), fetch });
  if (trusted === undefined) throw new Error("no trust data");
  return { gun: owner.gun, trusted };
}

export const person = (user: string, teams: readonly string[], rest: Partial<Person> = {}): KeyOwner => ({
  kind: "person",
  user,
  proved: true,
  removed: false,
  teams: new Set(teams),
  ...rest,
});

export const server = ecdsaKey();

export const PEOPLE: People = new Map<string, KeyOwner>([
  [spkiOfPair(alice), person("alice", ["qa"])],
  [spkiOfPair(bob), person("bob", ["qa", "ops"])],
  [spkiOfPair(carol), person("carol", ["ops"])],
  [spkiOfPair(server), { kind: "machine", name: "acme-auto" }],
]);

export const withOwner = (pair: TestKey, owner: KeyOwner): People => new Map(PEOPLE).set(spkiOf(pair.key) ?? "", owner);

export const row = (rest: Partial<RequireRow> = {}): RequireRow => ({ team: "qa", k: 1, class: "client-key", ...rest });

export function requirement(rows: readonly RequireRow[], rest: Partial<Requirement> = {}): Requirement {
  return { require: rows, maxTimestampAgeSeconds: undefined, needsTag: false, ...rest };
}

export interface Case extends Partial<Omit<VerdictInput, "requirement">> {
  readonly sets?: readonly Promise<TrustedCollection>[];
  readonly rows?: readonly RequireRow[];
  readonly requirement?: Partial<Requirement>;
  readonly more?: readonly Evidence[];
}

/** The verdict over everything in `sets`; the binding is the first set's. */
export async function verdictOf({
  subject = subjectOf("ops/app:1.4"),
  sets: promised = [],
  rows = [row()],
  more = [],
  ...rest
}: Case): Promise<Verdict> {
  const sets = await Promise.all(promised);
  const evidence = [...sets.flatMap((set) => findTufEvidence(set, subject).evidence), ...more];
  const binding = sets[0] && findTagBinding(sets[0], subject);
  const asked = requirement(rows, rest.requirement);
  return judge({ evidence, binding, people: PEOPLE, now: NOW, ...rest, subject, requirement: asked });
}
