import type { RepositoryName } from "./repository-name.ts";

/**
 * What can be done to a repository. `list` reads tags, referrers and what REST says of it; `pull` manifests and blobs;
 * `push` covers uploads, manifests and moving tags; `untag` deletes a tag; `delete` manifests and blobs; `sign` writes
 * trust data; `promote` moves an image on; `admin` changes the repository itself; `create` makes it.
 */
export type RepositoryAction = "list" | "pull" | "push" | "untag" | "delete" | "sign" | "promote" | "admin" | "create";

/** What one bearer token names, by repository; the door to {@link Authorize} narrows to it. */
export type GrantedScope = ReadonlyMap<string, NamedActions>;

export interface NamedActions {
  readonly actions: ReadonlySet<string>;
  /** How many repositories had lived under the name when the token was issued: it means no later one. */
  readonly epoch: number;
}

/** Whoever sent the request. Without `scope` (Basic) everything the user may do is meant. */
export interface Actor {
  readonly kind: "anonymous" | "user" | "robot";
  /** Row id of the user or robot; 0 for anonymous. */
  readonly id: number;
  /** A robot's is `org+name`. */
  readonly name: string;
  /** Row id of the personal token or robot's secret that it all began with; undefined for a password. */
  readonly credential?: number | undefined;
  /** Of the user, when the password or token was judged: a new password raises it. Undefined where it does not matter. */
  readonly epoch?: number | undefined;
  readonly scope?: GrantedScope;
}

/** Tells whoever began something from everybody else, for ever. */
export function principalOf({ kind, id }: Actor): string {
  return kind === "anonymous" ? kind : `${kind}:${id}`;
}

/** What a push may rely on: the repository it was judged for, and whether it may make it where there is none. */
export interface Admission {
  /** Undefined: there was none by that name. */
  readonly repositoryId: number | undefined;
  readonly mayCreate: boolean;
  /** True: only what changes nothing. */
  readonly unchangedOnly?: boolean;
  /** Whether anybody may read there without signing in. */
  readonly isPublic?: boolean;
}

/** `hidden`: to this actor the repository must look exactly as if it did not exist. */
export type Decision =
  | { readonly allowed: true }
  | { readonly allowed: false; readonly why: "out-of-scope" | "hidden" | "denied" | "no-namespace" };

/** Permission as it is now, read from the database in every call (look-ups waiting together share one query). */
export type Authorize = (actor: Actor, repository: RepositoryName, action: RepositoryAction) => Promise<Decision>;

/**
 * Repositories that somebody may list, with the life of its name that each is in: what is on record of an earlier one was
 * another repository. `all` for who may list what is gone too.
 */
export type ListableLives = ReadonlyMap<RepositoryName, number | "all">;

export const ANONYMOUS: Actor = { kind: "anonymous", id: 0, name: "anonymous" };
