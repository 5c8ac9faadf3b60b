import type { Key } from "../notary/tuf/key.ts";
import type { KeyOwner, People } from "../trust/people.ts";
import type { RequireRow } from "../trust/require.ts";
import type { EvidenceDeps, KeyOfPerson } from "./deps.ts";
import type { Rule } from "./image.ts";

/** Whom a rule can count. */
export interface Known {
  readonly people: People;
  /** A cosign signature does not carry its key: these are tried. */
  readonly keys: readonly Key[];
}

/**
 * Everybody of the rule's own organization, and who is in a team of another one that the rule names. Everybody else is a
 * stranger to it: a verdict tells nobody whose key some key is.
 */
export async function readPeople({ findPeople }: EvidenceDeps, { org, requirement }: Rule): Promise<Known> {
  const found = await findPeople({ org, teams: teamsElsewhere(requirement.require) });
  const people = new Map<string, KeyOwner>();
  for (const one of found) {
    // Of those who claim a key the one who proved it has it.
    if (one.proved || !people.has(one.spki)) people.set(one.spki, toOwner(one, org));
  }
  return { people, keys: found.filter(({ proved }) => proved).map(({ key }) => key) };
}

/** Those that rows name with their organization. */
export function teamsElsewhere(rows: readonly RequireRow[]): string[] {
  return [...new Set(rows.flatMap(({ team }) => (team?.includes("/") ? [team] : [])))].sort();
}

function toOwner({ user, proved, removed, suspended, teams }: KeyOfPerson, org: string): KeyOwner {
  const own = teams.flatMap((team) => (team.startsWith(`${org}/`) ? [team.slice(org.length + 1)] : []));
  return { kind: "person", user, proved, removed, suspended, teams: new Set([...teams, ...own]) };
}

/** A key that the server holds is the server's, whatever else is said of it. */
export function withMachines(people: People, machines: Iterable<string>): People {
  const all = new Map(people);
  for (const spki of machines) all.set(spki, { kind: "machine", name: "goldseal" });
  return all;
}
