/**
 * Who may do what to which repository, written from the words of the access rules and from nothing of the server. A rule
 * that is not here is a refusal.
 *
 *   A0 anonymous · A1 user, no grant · A2 reader · A3 writer · A4 administrator of the repository · A5 member of the
 *   organization, no team · A6 team that reads all of it · A7 team that writes all of it and signs · A8 owner · A9 robot that
 *   pulls · A10 robot that pulls and pushes · A11 robot of the other organization · A12 suspended · A13 was in a team ·
 *   A14 system administrator · A15 auditor · A16 reader who signs
 *
 *   R1 public · R2 private · R3 private, of the other organization · R4 never existed · R5 deleted, and made again by another
 *   owner · R6 renamed, and asked for by its old name
 */
export const ACTORS = [
  ...(["A0", "A1", "A2", "A3", "A4", "A5", "A6", "A7"] as const),
  ...(["A8", "A9", "A10", "A11", "A12", "A13", "A14", "A15", "A16"] as const),
] as const;
export type ActorId = (typeof ACTORS)[number];
export const REPOSITORIES = ["R1", "R2", "R3", "R4", "R5", "R6"] as const;
export type RepositoryId = (typeof REPOSITORIES)[number];

/** `keep`: to push again what a tag has already, which changes nothing. */
export type Right =
  | "list"
  | "pull"
  | "create"
  | "move"
  | "keep"
  | "sign"
  | "untag"
  | "delete"
  | "promote"
  | "trust-admin"
  | "admin";

/**
 * `hide`: as if the repository were not there. `deny`: it may be seen, this may not be done. `missing`: it could be done, were
 * there a repository. `kept`: whoever may make repositories here meets a name that is kept for the one that left.
 * `unauthorized`: the credentials are no good.
 */
export type Outcome = "allow" | "deny" | "hide" | "missing" | "kept" | "unauthorized";

/** What each operation needs; those that concern no repository alone are judged by {@link allow} itself. */
export const OPERATIONS = {
  "GET /v2/": "any",
  catalog: "list",
  "tags list": "list",
  "manifest GET by tag": "pull",
  "manifest GET by digest": "pull",
  "manifest HEAD": "pull",
  "blob GET": "pull",
  "blob HEAD": "pull",
  "blob Range": "pull",
  referrers: "list",
  "upload POST": "create",
  "upload POST ?digest": "create",
  "upload PATCH": "create",
  "upload status": "create",
  "upload PUT": "create",
  "upload DELETE": "create",
  "mount, source readable": "create",
  "mount, source unreadable": "create",
  "mount, no from": "create",
  "manifest PUT new tag": "create",
  "manifest PUT overwrite": "move",
  "manifest PUT unchanged": "keep",
  "manifest PUT by digest": "create",
  "manifest PUT with subject": "create",
  "DELETE tag": "untag",
  "DELETE digest": "delete",
  "DELETE blob": "delete",
  "access list": "admin",
  robots: "robots",
  repository: "admin",
  "tag states": "pull",
  "immutable tags": "list",
  "immutable tags PUT": "admin",
  promotion: "promote",
  "promotion policies": "admin",
  "promotion offers": "admin",
  "trust GET": "pull",
  "trust POST": "sign",
  "trust key GET": "sign",
  "trust key rotate": "trust-admin",
  "trust DELETE": "trust-admin",
  "token request": "any",
} as const satisfies Readonly<Record<string, Right | "any" | "robots">>;
export type OperationName = keyof typeof OPERATIONS;

const PULL: readonly Right[] = ["list", "pull"];
/** docker pushes an image before it signs it: who signs and reads may push what is there, and nothing else. */
const SIGN: readonly Right[] = ["sign", "keep"];
const WRITE: readonly Right[] = [...PULL, "create", "move", "keep", "untag"];
const ALL: readonly Right[] = [...WRITE, ...SIGN, "delete", "promote", "trust-admin", "admin"];
/** The columns R1 public, R2 private, R3 of the other organization. */
const TABLE: Readonly<Record<ActorId, readonly [readonly Right[], readonly Right[], readonly Right[]]>> = {
  A0: [PULL, [], []],
  A1: [PULL, [], []],
  A2: [PULL, PULL, []],
  A3: [WRITE, WRITE, []],
  A4: [ALL, ALL, []],
  A5: [PULL, [], []],
  A6: [PULL, PULL, []],
  A7: [[...WRITE, "sign"], [...WRITE, "sign"], []],
  A8: [ALL, ALL, []],
  A9: [PULL, PULL, []],
  A10: [PULL, [...PULL, "create", "move", "keep"], []],
  A11: [PULL, [], PULL],
  A12: [[], [], []],
  A13: [PULL, [], []],
  A14: [ALL, ALL, ALL],
  A15: [["list"], ["list"], ["list"]],
  A16: [[...PULL, ...SIGN], [...PULL, ...SIGN], []],
};

/** What is given over the whole of the first organization, and so counts for names to come and names that are gone. */
const WHOLE: Partial<Readonly<Record<ActorId, readonly Right[]>>> = {
  A6: PULL,
  A7: [...WRITE, "sign"],
  A8: ALL,
  A14: ALL,
  A15: ["list"],
};
/** Who may make repositories in the first organization. */
const MAKERS: readonly ActorId[] = ["A8", "A14"];
/** Who belongs to it; robots, and the rights of its repositories, are nobody else's business. */
const MEMBERS: readonly ActorId[] = ["A2", "A3", "A4", "A5", "A6", "A7", "A8", "A13", "A16"];

export function rightsOn(actor: ActorId, repository: RepositoryId): readonly Right[] {
  const [open, closed, other] = TABLE[actor];
  if (repository === "R1") return open;
  if (repository === "R2") return closed;
  if (repository === "R3") return other;
  return WHOLE[actor] ?? [];
}

const exists = (repository: RepositoryId): boolean => repository !== "R4" && repository !== "R6";
/** A first publish of trust data makes the repository as a first push does, and begins with the server's keys. */
const isWrite = (right: Right): boolean => ["create", "move", "keep", "sign"].includes(right);

export function allow(actor: ActorId, repository: RepositoryId, operation: OperationName): Outcome {
  if (actor === "A12") return "unauthorized";
  const needed = OPERATIONS[operation];
  // Whoever has good credentials, or none where none are needed; what is shown or granted is checked in the answer.
  if (needed === "any" || operation === "catalog") return "allow";
  if (needed === "robots") return allowRobots(actor, repository);
  // REST is for whoever signs in, also where anybody may pull.
  if (actor === "A0" && (operation === "tag states" || operation === "immutable tags")) return "unauthorized";
  const rights = rightsOn(actor, repository);
  const otherwise = rights.includes("list") ? "deny" : "hide";
  if (!rights.includes(needed)) return otherwise;
  if (exists(repository)) return "allow";
  // To write where nothing is means to make it; so does changing the visibility of what is not there.
  const makes = isWrite(needed) || operation === "repository";
  if (!makes) return "missing";
  if (!MAKERS.includes(actor)) return otherwise;
  return repository === "R6" ? "kept" : "allow";
}

/** A robot that reaches one repository: made and changed by whoever administers that. */
function allowRobots(actor: ActorId, repository: RepositoryId): Outcome {
  if (rightsOn(actor, repository).includes("admin")) return exists(repository) ? "allow" : "missing";
  const isInside = actor === "A15" || (repository !== "R3" && MEMBERS.includes(actor));
  return isInside ? "deny" : "hide";
}
