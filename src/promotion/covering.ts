import type { Tag } from "../oci/reference.ts";
import type { RepositoryName } from "../oci/repository-name.ts";
import type { Policy } from "./policies-store.ts";
import { fillTagTemplate } from "./tag-template.ts";
import { matchesRules } from "./terms.ts";

/** What a policy would do with a tag of its source. */
export interface Course {
  readonly policy: Policy;
  readonly destination: RepositoryName;
  readonly tag: Tag;
}

/** Undefined where the rules do not match; a tag that the template makes too long is nobody's. */
export function courseOf(policy: Policy, sourceTag: Tag, at: Date): Course | undefined {
  const { rules, targetRepository, tagTemplate } = policy.terms;
  const tag = matchesRules(rules, sourceTag) ? fillTagTemplate(tagTemplate, sourceTag, at) : undefined;
  return tag && { policy, destination: targetRepository as RepositoryName, tag };
}

interface Wish {
  readonly sourceTag: Tag | undefined;
  readonly destination: RepositoryName;
  /** Undefined: whatever the policy says. */
  readonly tag: Tag | undefined;
  readonly at: Date;
}

/** The first of the policies (by name) that does just what is wished. */
export function findCovering(
  policies: readonly Policy[],
  { sourceTag, destination, tag, at }: Wish,
): Course | undefined {
  if (sourceTag === undefined) return undefined;
  return policies
    .map((policy) => courseOf(policy, sourceTag, at))
    .find((course) => course?.destination === destination && (tag === undefined || course.tag === tag));
}
