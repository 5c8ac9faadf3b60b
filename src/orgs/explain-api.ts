import { z } from "zod";
import { json } from "../http/reply.ts";
import type { Request } from "../http/request.ts";
import type { Handler } from "../http/route.ts";
import { namespaceOf, parseRepositoryName } from "../oci/repository-name.ts";
import type { FindAccess } from "./access-lookup.ts";
import { type AuditApiDeps, toWire, visibleNamespaces } from "./audit-api.ts";
import { invalidRequest, notFound } from "./errors.ts";
import { ACTIONS, describeVerdict, toJson } from "./explain.ts";
import { decide, type PermissionRules } from "./permissions.ts";

export interface ExplainApiDeps extends AuditApiDeps {
  readonly findAccess: FindAccess;
  readonly rules: PermissionRules;
}

const querySchema = z.object({
  user: z.string().optional(),
  action: z.enum(ACTIONS, `one of ${ACTIONS.join(", ")}`),
  repository: z.string("the name of a repository"),
});

/**
 * `GET /api/v1/explain?user=&action=&repository=`: whether `user` (default: oneself) may do it now, and by what rule.
 * About others: owners for what is theirs, system administrators and auditors for everything.
 * @throws OrgsError invalid-request, not-found
 */
export function explainRight(deps: ExplainApiDeps): Handler {
  return async (request) => {
    const asked = parseQuery(request);
    const repository = parseRepositoryName(asked.repository);
    const user = asked.user === undefined || asked.user === "" ? request.actor.name : asked.user;
    const visible = await visibleNamespaces(deps, request);
    const isOverseer = visible?.includes(namespaceOf(repository)) ?? true;
    if (user !== request.actor.name && !isOverseer) throw notFound();

    const facts = await deps.findAccess({ user, repository });
    if (facts.user === undefined && facts.robot === undefined) throw notFound();
    const verdict = decide(repository, asked.action, facts, deps.rules);

    const matter = { user, action: asked.action, repository };
    // Signing in fails before any right is looked at.
    if (facts.user?.suspended === true) {
      const says = `${user} is suspended and may do nothing; without signing in only what is public can be pulled`;
      return json(200, { ...matter, allowed: false, why: "suspended", level: null, via: [], says });
    }
    return json(200, {
      ...matter,
      ...toJson(verdict),
      says: describeVerdict(matter, verdict),
      // Whoever oversees the namespace knows what is in it; to others hidden equals missing here too.
      ...(isOverseer && { exists: facts.visibility !== undefined }),
    });
  };
}

/**
 * `GET /api/v1/explain/{id}`: what was refused under this decision id. For whom it was refused to, for the owners of
 * what it was about, for system administrators and auditors.
 * @throws OrgsError not-found
 */
export function explainDecision(deps: ExplainApiDeps): Handler {
  return async (request) => {
    await deps.audit.flush();
    const entry = await deps.auditStore.findDecision(request.param("decision"));
    if (entry === undefined) throw notFound();
    const { actor } = request;
    const isOwn = entry.actorId !== 0 && entry.actorId === actor.id && entry.actor === actor.name;
    const visible = isOwn ? undefined : await visibleNamespaces(deps, request);
    if (visible !== undefined && !visible.includes(entry.namespace)) throw notFound();
    return json(200, { ...toWire(entry), says: entry.detail.message ?? "" });
  };
}

function parseQuery(request: Request) {
  const given = Object.fromEntries(Object.keys(querySchema.shape).map((name) => [name, request.query(name)]));
  const parsed = querySchema.safeParse(given);
  if (parsed.success) return parsed.data;
  throw invalidRequest(parsed.error.issues.map(({ path, message }) => `${path.join(".")}: ${message}`).join("; "));
}
