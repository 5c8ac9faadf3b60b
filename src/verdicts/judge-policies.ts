import { LRUCache } from "lru-cache";
import { namespaceOf, type RepositoryName } from "../oci/repository-name.ts";
import type { EvidenceDeps, KeyOfPerson, WhoMaySign } from "./deps.ts";
import { createJudgeImage } from "./judge-image.ts";
import type { PoliciesStore } from "./policies-store.ts";
import { covers, type Policy, type PolicyOccasion, ruleOf } from "./policy-schema.ts";
import type { Image, PolicyVerdict } from "./policy-verdict.ts";
import { type NotedVerdict, toNoted } from "./verdict-note.ts";
import type { VerdictsStore } from "./verdicts-store.ts";
import type { Stamp, WatchStore } from "./watch-store.ts";

export interface PolicyDeps extends EvidenceDeps {
  readonly policies: PoliciesStore;
  readonly watch: WatchStore;
  readonly verdicts: VerdictsStore;
}

const maxRemembered = 200;

/**
 * What the policies that apply make of images of the repositories they cover. A verdict is kept with the versions of all
 * that it rests on, so none is ever older than what it was made of: see 0034_verdicts.sql.
 */
export class PolicyJudge {
  readonly #deps: PolicyDeps;
  /** By the version of people and policies: what was read after that version was seen is never older than it. */
  readonly #people = new LRUCache<string, Promise<readonly KeyOfPerson[]>>({ max: maxRemembered });
  readonly #policies = new LRUCache<string, Promise<readonly Policy[]>>({ max: maxRemembered });

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
    const known = stamp === undefined ? new Map<number, NotedVerdict>() : await verdicts.find(image, stamp, now());
    const judgedAt = now();
    const fresh = policies.filter(({ id }) => !known.has(id)).map((policy) => this.#judgeOne(image, policy, stamp));
    const judged = await Promise.all(fresh);
    if (stamp !== undefined && judged.length > 0) await verdicts.put(image, stamp, { judgedAt, verdicts: judged });
    const all = new Map([...known, ...judged.map((one) => [one.policy.id, one] as const)]);
    return policies.flatMap((policy) => {
      const verdict = all.get(policy.id);
      return verdict === undefined ? [] : [{ ...verdict, policy }];
    });
  }

  async #judgeOne(image: Image, policy: Policy, stamp: Stamp | undefined): Promise<PolicyVerdict> {
    const findPeople = (who: WhoMaySign) =>
      remember(this.#people, stamp && `${stamp.people} ${JSON.stringify(who)}`, () => this.#deps.findPeople(who));
    const judge = createJudgeImage({ ...this.#deps, findPeople });
    return { ...toNoted(await judge(image, ruleOf(policy))), policy };
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
