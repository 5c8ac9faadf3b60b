import { normalDn } from "./directory-names.ts";

/**
 * Who is in each of `wanted`: its own members and those of the groups in it, however deep. Groups that hold each other
 * are walked once. All DNs of the answer are normal ones.
 */
export function nestedMembers(
  direct: ReadonlyMap<string, readonly string[]>,
  wanted: readonly string[],
): ReadonlyMap<string, ReadonlySet<string>> {
  const groups = new Map([...direct].map(([dn, members]) => [normalDn(dn), members.map(normalDn)]));
  return new Map(wanted.map((group) => [group, walk(groups, normalDn(group))]));
}

function walk(groups: ReadonlyMap<string, readonly string[]>, root: string): ReadonlySet<string> {
  const seen = new Set([root]);
  const people = new Set<string>();
  const waiting = [root];
  for (let group = waiting.pop(); group !== undefined; group = waiting.pop()) {
    for (const member of groups.get(group) ?? []) {
      if (!groups.has(member)) people.add(member);
      else if (!seen.has(member)) {
        seen.add(member);
        waiting.push(member);
      }
    }
  }
  return people;
}
