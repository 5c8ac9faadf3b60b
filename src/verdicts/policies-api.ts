import { etagOf, preconditionOf } from "../http/precondition.ts";
import { empty, json, type Reply } from "../http/reply.ts";
import type { Request } from "../http/request.ts";
import { bodyOperation, operation, type RestOperation } from "../http/rest-operation.ts";
import { pageQuery, pageSchema, replyPage } from "../http/rest-page.ts";
import type { Access } from "../http/route.ts";
import type { Actor } from "../oci/access.ts";
import { isNamespaceName } from "../oci/repository-name.ts";
import type { Change, Confirm } from "../storage/database.ts";
import { nameSchema } from "../trust/require.ts";
import type { PoliciesStore, PolicyKey, StoredPolicy } from "./policies-store.ts";
import { type PolicyDocument, policyBody } from "./policy-schema.ts";

export interface PoliciesApiDeps {
  readonly policies: PoliciesStore;
  /** Of these teams (`acme/qa`) those that are not there, or that the actor may not know of. */
  readonly findUnknownTeams: (actor: Actor, teams: readonly string[]) => Promise<readonly string[]>;
  /** Whether the actor belongs to the organization, or is the user, or oversees everything. */
  readonly belongsTo: (actor: Actor, org: string) => Promise<boolean>;
  readonly confirm: (request: Request) => Confirm;
  /** The protocol's. */
  readonly notFound: () => Error;
  readonly preconditionFailed: (message: string) => Error;
}

const VIEW: Access = { kind: "org-admin", right: "view" };
const MANAGE: Access = { kind: "org-admin", right: "manage" };
const POLICIES = "/api/v1/orgs/<org>/policies";
const ONE = `${POLICIES}/<policy>`;

const policySchema = policyBody.extend({ name: nameSchema });

/** Who must have signed what is pulled, or promoted. */
export const policiesOperations = (deps: PoliciesApiDeps): RestOperation[] => [
  operation(["policies-list", "GET", POLICIES, VIEW], {
    summary: "The policies of an organization or user.",
    query: pageQuery,
    answers: { 200: pageSchema("policies", policySchema) },
    act: listPolicies(deps),
  }),
  operation(["policy-get", "GET", ONE, VIEW], {
    summary: "One policy.",
    answers: { 200: policySchema },
    act: (request) => showPolicy(deps, request, 200),
  }),
  bodyOperation(["policy-put", "PUT", ONE, MANAGE], {
    conditional: true,
    summary: `Make or replace a policy. It holds from the next pull on. Where several cover a repository, all of them must
      allow the image.`,
    body: policyBody,
    answers: { 200: policySchema, 201: policySchema },
    act: putPolicy(deps),
  }),
  operation(["policy-delete", "DELETE", ONE, MANAGE], {
    conditional: true,
    summary: "Delete a policy.",
    answers: { 204: undefined },
    act: deletePolicy(deps),
  }),
];

function listPolicies({ policies }: PoliciesApiDeps) {
  return (request: Request): Promise<Reply> =>
    replyPage<StoredPolicy>(request, {
      name: "policies",
      keyOf: ({ name }) => name,
      toWire,
      read: (page) => policies.list(nameParam(request, "org"), page),
    });
}

async function showPolicy({ policies, notFound }: PoliciesApiDeps, request: Request, status: number): Promise<Reply> {
  const found = await policies.find(keyOf(request));
  if (found === undefined) throw notFound();
  return json(status, toWire(found), { ETag: etagOf(found.version) });
}

function putPolicy(deps: PoliciesApiDeps) {
  return async (request: Request, body: PolicyDocument): Promise<Reply> => {
    const key = keyOf(request);
    await checkNames(deps, request, { org: key.org, body });
    const made = await deps.policies.put(key, body, changeOf(deps, request));
    return showPolicy(deps, request, made ? 201 : 200);
  };
}

function deletePolicy(deps: PoliciesApiDeps) {
  return async (request: Request): Promise<Reply> => {
    if (!(await deps.policies.delete(keyOf(request), changeOf(deps, request)))) throw deps.notFound();
    return empty(204);
  };
}

interface Named {
  readonly org: string;
  readonly body: PolicyDocument;
}

/**
 * A name that leads nowhere refuses, or covers, something else than was meant. And a verdict says who of a team signed, and
 * where: whoever names a team or a repository of another organization must belong to it, or they could learn by it what is
 * hidden from them.
 */
export async function checkNames(
  deps: Pick<PoliciesApiDeps, "findUnknownTeams" | "belongsTo">,
  request: Request,
  { org, body }: Named,
): Promise<void> {
  const own = body.repositories.find((pattern) => pattern.startsWith(`${org}/`));
  if (own !== undefined)
    throw request.badRequest(`repositories: patterns are below ${org}: ${own.slice(org.length + 1)}, not ${own}`);
  const teams = body.require.flatMap(({ team }) =>
    team === undefined ? [] : [team.includes("/") ? team : `${org}/${team}`],
  );
  const [unknown] = await deps.findUnknownTeams(request.actor, [...new Set(teams)]);
  if (unknown !== undefined)
    throw request.badRequest(`require: there is no team ${unknown}, or you do not belong to its organization`);
  for (const namespace of new Set(
    body.require.flatMap(({ gun }) => (gun === undefined ? [] : [gun.split("/", 1)[0] ?? ""])),
  )) {
    if (namespace === org || (isNamespaceName(namespace) && (await deps.belongsTo(request.actor, namespace)))) continue;
    throw request.badRequest(
      `require: there is no organization ${namespace} that you belong to, to look for signatures in`,
    );
  }
}

function changeOf({ confirm, preconditionFailed }: PoliciesApiDeps, request: Request): Change {
  return { check: preconditionOf(request, preconditionFailed), confirm: confirm(request) };
}

export function keyOf(request: Request): PolicyKey {
  return { org: nameParam(request, "org"), name: nameParam(request, "policy") };
}

/** Throws the protocol's bad request. */
function nameParam(request: Request, param: string): string {
  const value = request.param(param);
  if (!isNamespaceName(value)) throw request.badRequest("a name is 2 to 32 of a-z and 0-9, with single - or _ between");
  return value;
}

function toWire({ id: _, org: __, version: ___, ...policy }: StoredPolicy) {
  return policy;
}
