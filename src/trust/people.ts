/** Whose a key is, for ever: it never passes to another user, and stays reserved when it is removed. */
export type KeyOwner =
  | {
      readonly kind: "person";
      readonly user: string;
      /** Whether the user has shown to hold the private half: a published key says nothing. */
      readonly proved: boolean;
      readonly removed: boolean;
      /** Whoever may do nothing at present signs nothing either: not even what was signed before counts meanwhile. */
      readonly suspended?: boolean;
      /** Now. */
      readonly teams: ReadonlySet<string>;
    }
  /** A server's or robot's: it belongs to no team, and what it signs is server-attested. */
  | { readonly kind: "machine"; readonly name: string };

/** By `spkiOf`. A key that is not here is a stranger's. */
export type People = ReadonlyMap<string, KeyOwner>;

export type Person = Extract<KeyOwner, { kind: "person" }>;
