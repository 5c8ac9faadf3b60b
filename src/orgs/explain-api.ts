import { z } from "zod";
import { json } from "../http/reply.ts";
import { operation, type RestOperation, readQuery } from "../http/rest-operation.ts";
import type { Access, Handler } from "../http/route.ts";
import { namespaceOf, parseRepositoryName, type RepositoryName } from "../oci/repository-name.ts";
import type { AccessFacts, FindAccess } from "./access-lookup.ts";
import { type AuditApiDeps, entrySchema, toWire, visibleNamespaces } from "./audit-api.ts";
import { notFound } from "./errors.ts";
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

const answerSchema = z.object({
  user: z.string(),
  action: z.enum(ACTIONS),
  repository: z.string(),
  allowed: z.boolean(),
  why: z.string().optional().describe("of a refusal: hidden, denied, no-namespace or suspended"),
  level: z.string().nullable().describe("the highest level that any rule gives"),
  via: z.array(z.looseObject({ kind: z.string(), says: z.string() })).describe("the rules that count"),
  says: z.string().describe("all of it in a sentence"),
  exists: z.boolean().optional().describe("only for those who oversee the namespace"),
});

const USER: Access = { kind: "user" };

export const explainOperations = (deps: ExplainApiDeps): RestOperation[] => [
  operation(["explain", "GET", "/api/v1/explain", USER], {
    summary: "Whether somebody may do something to a repository now, and by what rule.",
    query: querySchema,
    answers: { 200: answerSchema },
    act: explainRight(deps),
  }),
  operation(["explain-decision", "GET", "/api/v1/explain/<decision>", USER], {
    summary: "What was refused under a decision id, to whom and why.",
    answers: { 200: entrySchema.extend({ says: z.string() }) },
    act: explainDecision(deps),
  }),
];

/**
 * `GET /api/v1/explain?user=&action=&repository=`: whether `user` (default: oneself) may do it now, and by what rule.
 * About others: owners about members and robots, system administrators and auditors about everybody.
 * @throws OrgsError invalid-request, not-found
 */
function explainRight(deps: ExplainApiDeps): Handler {
  return async (request) => {
    const asked = readQuery(request, querySchema);
    const repository = parseRepositoryName(asked.repository);
    const user = asked.user === undefined || asked.user === "" ? request.actor.name : asked.user;
    const visible = await visibleNamespaces(deps, request);
    const isOverseer = visible?.includes(namespaceOf(repository)) ?? true;
    if (user !== request.actor.name && !isOverseer) throw notFound();

    const facts = await deps.findAccess({ user, repository });
    if (facts.user === undefined && facts.robot === undefined) throw notFound();
    if (visible !== undefined && user !== request.actor.name && !isOfNamespace(facts, repository)) throw notFound();
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

/** Whom an owner knows anyway; about others every user could find out who there is, by asking for the own namespace. */
function isOfNamespace({ orgRole, robot }: AccessFacts, repository: RepositoryName): boolean {
  return orgRole !== undefined || robot?.org === namespaceOf(repository);
}

/**
 * `GET /api/v1/explain/{id}`: what was refused under this decision id. For whom it was refused to, for the owners of
 * what it was about, for system administrators and auditors.
 * @throws OrgsError not-found
 */
function explainDecision(deps: ExplainApiDeps): Handler {
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
