import { LRUCache } from "lru-cache";
import { namespaceOf, type RepositoryName } from "../oci/repository-name.ts";
import type { EvidenceDeps, KeyOfPerson, WhoMaySign } from "./deps.ts";
import type { JudgedImage } from "./image.ts";
import { createJudgeImage } from "./judge-image.ts";
import { judgeTags } from "./judge-tags.ts";
import type { PoliciesStore } from "./policies-store.ts";
import { covers, type Policy, type PolicyOccasion, ruleOf } from "./policy-schema.ts";
import type { Image, ImageVerdict, PolicyVerdict } from "./policy-verdict.ts";
import { type NotedVerdict, toNoted } from "./verdict-note.ts";
import type { VerdictsStore } from "./verdicts-store.ts";
import type { Stamp, WatchStore } from "./watch-store.ts";

export interface PolicyDeps extends EvidenceDeps {
  readonly policies: PoliciesStore;
  readonly watch: WatchStore;
  readonly verdicts: VerdictsStore;
}

/** Of organizations; the keys of a large one are some MB. */
const maxPeople = 12;
const maxPolicies = 200;

/**
 * What the policies that apply make of images of the repositories they cover. A verdict is kept with the versions of all
 * that it rests on, so none is ever older than what it was made of: see 0034_verdicts.sql.
 */
export class PolicyJudge {
  readonly #deps: PolicyDeps;
  /** By the version of people and policies: what was read after that version was seen is never older than it. */
  readonly #people = new LRUCache<string, Promise<readonly KeyOfPerson[]>>({ max: maxPeople });
  readonly #policies = new LRUCache<string, Promise<readonly Policy[]>>({ max: maxPolicies });

  constructor(deps: PolicyDeps) {
    this.#deps = deps;
  }

  /** Those that cover the repository, in the order of their names. */
  async covering(repository: RepositoryName, stamp: Stamp | undefined): Promise<Policy[]> {
    const org = namespaceOf(repository);
    const all = await remember(this.#policies, stamp && `${stamp.people} ${org}`, () => this.#deps.policies.ofOrg(org));
    return all.filter((policy) => covers(policy, repository));
  }

  /** Of them those that decide on the occasion. */
  async applying(repository: RepositoryName, occasion: PolicyOccasion, stamp: Stamp | undefined): Promise<Policy[]> {
    const all = await this.covering(repository, stamp);
    return all.filter(({ mode, applies }) => mode !== "off" && applies.includes(occasion));
  }

  /**
   * By the versions in `stamp`, which were read before: what is kept of them holds, the rest is judged and kept. Without, all
   * is judged now.
   */
  async judge(image: Image, policies: readonly Policy[], stamp: Stamp | undefined): Promise<PolicyVerdict[]> {
    const { verdicts, now } = this.#deps;
    const kept = stamp === undefined ? [] : await verdicts.find([image], stamp, now());
    const known = new Map<number, NotedVerdict>(kept.map((one) => [one.policyId, one]));
    const judgedAt = now();
    const judge = createJudgeImage(this.#evidenceAt(stamp));
    const missing = policies.filter(({ id }) => !known.has(id));
    const judged = await Promise.all(missing.map((policy) => judge(image, ruleOf(policy))));
    const fresh = missing.map((policy, index) => ({ ...toNoted(judged[index] as JudgedImage), policy, image }));
    if (stamp !== undefined) await verdicts.put(fresh, stamp, judgedAt);
    const all = new Map([...known, ...fresh.map((one) => [one.policy.id, one] as const)]);
    return policies.flatMap((policy) => {
      const verdict = all.get(policy.id);
      return verdict === undefined ? [] : [{ ...verdict, policy }];
    });
  }

  /** The same for many tags of one repository. When the first of the verdicts ends, in ms. */
  async judgeTags(images: readonly Image[], policies: readonly Policy[], stamp: Stamp): Promise<number> {
    const { verdicts, now } = this.#deps;
    const kept = await verdicts.find(images, stamp, now());
    const known = new Set(kept.map(({ image, policyId }) => `${policyId} ${image.tag}`));
    const [judgedAt, fresh]: [Date, ImageVerdict[]] = [now(), []];
    for (const policy of policies) {
      const missing = images.filter(({ tag }) => !known.has(`${policy.id} ${tag}`));
      const judged = await judgeTags(this.#evidenceAt(stamp), missing, ruleOf(policy));
      fresh.push(...[...judged].map(([image, verdict]) => ({ ...toNoted(verdict), policy, image })));
    }
    await verdicts.put(fresh, stamp, judgedAt);
    return Math.min(...[...kept, ...fresh].map(({ until }) => until?.getTime() ?? Number.POSITIVE_INFINITY));
  }

  /** People are read once for each version of them. */
  #evidenceAt(stamp: Stamp | undefined): EvidenceDeps {
    const findPeople = (who: WhoMaySign) =>
      remember(this.#people, stamp && `${stamp.people} ${JSON.stringify(who)}`, () => this.#deps.findPeople(who));
    return { ...this.#deps, findPeople };
  }
}

/** Without a name nothing is. What failed is asked for again. */
function remember<T>(
  cache: LRUCache<string, Promise<T>>,
  name: string | undefined,
  read: () => Promise<T>,
): Promise<T> {
  const known = name === undefined ? undefined : cache.get(name);
  if (known !== undefined || name === undefined) return known ?? read();
  const asked = read();
  cache.set(name, asked);
  asked.catch(() => cache.delete(name));
  return asked;
}
