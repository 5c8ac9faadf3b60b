/** What the rules of a directory say: whom each of them means, and what it gives them. */
import type { Directory, DirectoryEntry } from "./directory.ts";
import type { DirectoryConfig } from "./directory-config.ts";
import { normalDn } from "./directory-names.ts";
import type { DirectoryStore, Listed, Moves } from "./directory-store.ts";

export type Rule = DirectoryConfig["sync"][number];

/** Normal DNs of all whom each rule means, whether or not they could sign in. @throws DirectoryAwayError */
export async function membersByRule(directory: Directory): Promise<ReadonlyMap<Rule, ReadonlySet<string>>> {
  const { sync } = directory.config;
  const groups = await directory.listMembers(groupsIn(sync));
  const members = new Map<Rule, ReadonlySet<string>>();
  for (const rule of sync) {
    if (rule.group !== undefined) members.set(rule, groups.get(rule.group) ?? new Set());
    else members.set(rule, new Set((await directory.listUsers(rule)).map(({ dn }) => normalDn(dn))));
  }
  return members;
}

/** The rules that mean this person. @throws DirectoryAwayError */
export async function rulesFor(directory: Directory, { dn, externalId }: DirectoryEntry): Promise<ReadonlySet<Rule>> {
  const { sync } = directory.config;
  const groups = new Set(await directory.groupsOf(dn, groupsIn(sync)));
  const rules = new Set<Rule>();
  for (const rule of sync) {
    const isMeant =
      rule.group === undefined ? (await directory.findById(externalId, rule)) !== undefined : groups.has(rule.group);
    if (isMeant) rules.add(rule);
  }
  return rules;
}

/** A team, or the owners of an organization. */
export interface Place {
  readonly kind: "team" | "owners";
  /** `<organization>/<team>`, or the organization's. */
  readonly name: string;
  /** Rules that put people there. */
  readonly rules: readonly Rule[];
  /** Undefined: there is none of that name. */
  list(): Promise<Listed | undefined>;
  change(moves: Moves): Promise<void>;
}

/** Each place that rules name, once; teams first. */
export function placesOf({ name: directory, sync }: DirectoryConfig, store: DirectoryStore): Place[] {
  const named = (field: "team" | "owners") => [...new Set(sync.flatMap((rule) => rule[field] ?? []))];
  const teams = named("team").map((name): Place => {
    const rules = sync.filter(({ team }) => team === name);
    const list = () => store.listTeam(directory, name);
    return { kind: "team", name, rules, list, change: (moves) => store.changeTeam(directory, name, moves) };
  });
  const owners = named("owners").map((name): Place => {
    const rules = sync.filter(({ owners }) => owners === name);
    const list = () => store.listOwners(directory, name);
    return { kind: "owners", name, rules, list, change: (moves) => store.changeOwners(directory, name, moves) };
  });
  return [...teams, ...owners];
}

function groupsIn(sync: readonly Rule[]): string[] {
  return [...new Set(sync.flatMap(({ group }) => group ?? []))];
}
