import type { Log } from "../http/log.ts";
import type { Request } from "../http/request.ts";
import type { Key } from "../notary/tuf/key.ts";
import type { Actor, Authorize, RepositoryAction } from "../oci/access.ts";
import type { Digest } from "../oci/digest.ts";
import type { JsonObject } from "../oci/json.ts";
import type { Tag } from "../oci/reference.ts";
import type { RepositoryName } from "../oci/repository-name.ts";
import type { SeeBytes } from "../storage/blob-rows.ts";
import type { Confirm, Database, Sql } from "../storage/database.ts";
import type { Failpoint } from "../storage/failpoint.ts";
import type { Attached } from "../storage/image-history.ts";
import type { TagMove, TagsOf } from "../storage/tag-rows.ts";
import type { EnvelopeSigner } from "../trust/dsse.ts";
import type { RequireRow } from "../trust/require.ts";

/** An image under the tags that it has, or has had, in the destination's trust data. */
export interface TagTarget extends TagsOf {
  /** Bytes of the manifest. */
  readonly size: number;
  readonly now: Date;
}

export interface GateQuestion {
  readonly source: RepositoryName;
  /** Undefined: asked for by digest alone. */
  readonly sourceTag: Tag | undefined;
  readonly destination: RepositoryName;
  readonly digest: Digest;
  /** Of the promotion itself; policies of the registry that apply to the destination come on top. */
  readonly require: readonly RequireRow[];
}

/** One thing that was asked of an image, and the verdict. */
export interface GateVerdict {
  readonly gate: string;
  readonly allowed: boolean;
  /** People whose signatures counted. */
  readonly who: readonly string[];
  /** Why not, a sentence each. */
  readonly missing: readonly string[];
}

/** Of repositories that were asked about, those that somebody may list. */
export interface Shown {
  has(name: RepositoryName): boolean;
}

/** Something that happened to an image. */
export interface HistoryEntry {
  readonly at: Date;
  /** A verb: `pushed`, `signed`, `promoted`, `deployed`. */
  readonly kind: string;
  readonly repository: RepositoryName;
  readonly tag: string | undefined;
  readonly by: readonly string[];
  /** `qa/testers`: of a signature, those that the signers are in now; shown to whoever is of the repository's organization. */
  readonly teams: readonly string[];
  /** Where it came from; shown to whoever may see that. */
  readonly from: { readonly repository: RepositoryName; readonly tag: Tag | undefined } | undefined;
  /** Names no other repository: what may be seen is judged by `repository` and `from` alone. */
  readonly detail: JsonObject;
}

/** Whoever knows something of images says it so; at most the `limit` newest, the newest first. */
export type HistorySource = (asked: {
  readonly digest: Digest;
  readonly limit: number;
}) => Promise<readonly HistoryEntry[]>;

/** Somebody whose key made a signature that is attached to an image. */
export interface SignerOfImage {
  /** Of the manifest that holds the signature. */
  readonly manifest: Digest;
  readonly user: string;
  /** Hex SHA-256 of the key's SubjectPublicKeyInfo. */
  readonly spki: string;
  /** Undefined: the key is still theirs. */
  readonly removedAt: Date | undefined;
  readonly teams: readonly string[];
}

/** Something that the server did by itself. */
export interface Deed {
  readonly at: Date;
  readonly actor: string;
  readonly action: string;
  readonly target: string;
  readonly namespace: string;
  readonly detail: JsonObject;
}

export interface NeededRight {
  readonly repository: RepositoryName;
  readonly action: RepositoryAction;
  readonly hidden?: "refused";
}

/** What promotion is made of; app.ts passes it. */
export interface PromotionDeps {
  readonly database: Database;
  readonly seeBytes: SeeBytes;
  readonly failpoint: Failpoint;
  /** What every GUN begins with, before its slash. */
  readonly authority: string;
  readonly now: () => Date;
  readonly log: Log;
  readonly authorize: Authorize;
  /** Which of these repositories the actor may list. */
  readonly listable: (actor: Actor, names: readonly RepositoryName[]) => Promise<Shown>;
  /** Of the change that a request makes to what its path names: see storage/database.ts. */
  readonly confirm: (request: Request) => Confirm;
  /** The same, of what the path does not name. */
  readonly confirmRights: (request: Request, needed: readonly NeededRight[]) => Confirm;
  /** The same, of what is no change, or none yet. */
  readonly judgeRights: (request: Request, needed: readonly NeededRight[]) => Confirm;
  readonly record: (sql: Sql, deed: Deed) => Promise<void>;
  /** Judges by what is committed, on connections of its own. */
  readonly judgeGates: (question: GateQuestion) => Promise<readonly GateVerdict[]>;
  /** As a push does. @throws OciError DENIED */
  readonly moveTags: (sql: Sql, move: TagMove) => Promise<void>;
  /** As a deletion does. @throws OciError DENIED */
  readonly removeTag: (sql: Sql, repository: RepositoryName, tag: Tag) => Promise<Digest | undefined>;
  /**
   * `targets/goldseal-promote` says from then on that the tag is this.
   * @throws OciError DENIED where the trust data does not let it
   */
  readonly issueTarget: (sql: Sql, target: TagTarget) => Promise<void>;
  /** And from then on that it is nothing. @throws OciError DENIED */
  readonly withdrawTarget: (sql: Sql, target: Omit<TagTarget, "size">) => Promise<void>;
  /** The key that the server signs promotions into this organization with. */
  readonly openSigner: (sql: Sql, org: string, now: Date) => Promise<EnvelopeSigner>;
  /** The keys that a user signs with: proved, and not removed. */
  readonly findKeys: (sql: Sql, userId: number) => Promise<readonly Key[]>;
  /** The teams that a user is in now, `org/team`; none for who is suspended. */
  readonly findTeams: (sql: Sql, userId: number) => Promise<ReadonlySet<string>>;
  /** Who signed an image with what is attached to it there: what verifies, and for whom. */
  readonly findSigners: (image: {
    readonly repository: RepositoryName;
    readonly digest: Digest;
    readonly attached: readonly Attached[];
  }) => Promise<readonly SignerOfImage[]>;
  /** Whether the actor is of the organization, or is the user of that name, or oversees everything. */
  readonly belongsTo: (actor: Actor, org: string) => Promise<boolean>;
  /** All that is known of images, by all who know. */
  readonly history: readonly HistorySource[];
  /** What a refusal of another room says; undefined for what is none. */
  readonly refusalOf: (error: unknown) => string | undefined;
  /** The protocol's. */
  readonly notFound: () => Error;
  readonly preconditionFailed: (message: string) => Error;
}
