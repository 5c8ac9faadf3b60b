import type { RepositoryName } from "./repository-name.ts";

/**
 * What can be done to a repository. `push` covers uploads, manifests and moving tags; `untag` deletes a tag;
 * `delete` manifests and blobs; `admin` changes the repository itself.
 */
export type RepositoryAction = "pull" | "push" | "untag" | "delete" | "admin";

/** The actions that one bearer token names, by repository; the door to {@link Authorize} narrows to them. */
export type GrantedScope = ReadonlyMap<string, ReadonlySet<string>>;

/** Whoever sent the request. Without `scope` (Basic) everything the user may do is meant. */
export interface Actor {
  readonly kind: "anonymous" | "user";
  /** Row id of the user; 0 for anonymous. */
  readonly id: number;
  readonly name: string;
  readonly scope?: GrantedScope;
}

/** `hidden`: to this actor the repository must look exactly as if it did not exist. */
export type Decision =
  | { readonly allowed: true }
  | { readonly allowed: false; readonly why: "out-of-scope" | "hidden" | "denied" };

/** Permission as it is now, read from the database in every call (look-ups waiting together share one query). */
export type Authorize = (actor: Actor, repository: RepositoryName, action: RepositoryAction) => Promise<Decision>;

export const ANONYMOUS: Actor = { kind: "anonymous", id: 0, name: "anonymous" };
