import type { Request } from "../http/request.ts";
import type { RepositoryAction } from "../oci/access.ts";
import { namespaceOf, type RepositoryName } from "../oci/repository-name.ts";
import type { Confirm } from "../storage/database.ts";
import { together } from "../storage/statement-batch.ts";
import { type AccessFacts, readAccess } from "./access-lookup.ts";
import type { AuditWitness } from "./audit-witness.ts";
import { principalKey, stands } from "./authorize.ts";
import { parseAuthorization } from "./credentials.ts";
import { notFound, OrgsError } from "./errors.ts";
import type { GateDeps } from "./gate.ts";
import { decide } from "./permissions.ts";
import { badRestCredentials } from "./rest-gate.ts";
import { holdRights, orgLock, userLock } from "./rights-locks.ts";

/** What a change takes that its route does not say. */
export interface NeededRight {
  readonly repository: RepositoryName;
  readonly action: RepositoryAction;
  /** To whoever may not, the repository might as well be there: the answer is the same for one that is missing. */
  readonly hidden?: "refused";
}

/** In a transaction: throws where the sender may not; the rights stay as they are until the commit. */
export type HoldRights = (request: Request, needed: readonly NeededRight[]) => Confirm;

export function createJudgeRights(deps: GateDeps): HoldRights {
  return (request, needed) => async (sql) => {
    const key = principalKey(request.actor);
    const names = [...new Set(needed.map(({ repository }) => repository))];
    const [, ...found] = await together(
      holdRights(sql, { shared: [...names.map((name) => orgLock(namespaceOf(name))), userLock(request.actor.name)] }),
      ...names.map((repository) => readAccess(sql, { ...key, repository })),
    );
    for (const right of needed) judgeRight(deps, request, right, found[names.indexOf(right.repository)]);
  };
}

/** Of a change that concerns repositories which its path does not name: see confirm.ts. One record for each namespace. */
export function createConfirmRights(deps: GateDeps, witness: Pick<AuditWitness, "record">): HoldRights {
  const judgeRights = createJudgeRights(deps);
  return (request, needed) => async (sql) => {
    await judgeRights(request, needed)(sql);
    for (const namespace of new Set(needed.map(({ repository }) => namespaceOf(repository)))) {
      request.about = needed.find(({ repository }) => namespaceOf(repository) === namespace)?.repository;
      await witness.record(sql, request);
    }
  };
}

/** @throws OrgsError not-found, forbidden */
function judgeRight({ rules }: GateDeps, request: Request, right: NeededRight, facts: AccessFacts | undefined): void {
  const { actor } = request;
  const { repository, action, hidden } = right;
  request.about = repository;
  if (facts === undefined || !stands(actor, facts))
    throw badRestCredentials(parseAuthorization(request.headerAll("authorization")));
  const decision = decide(repository, action, facts, rules);
  if (decision.allowed) return;
  request.judgement = { why: decision.why };
  if (decision.why === "hidden" && hidden === undefined) throw notFound();
  throw new OrgsError("forbidden", `${actor.name} may not ${action} in ${repository}`);
}
