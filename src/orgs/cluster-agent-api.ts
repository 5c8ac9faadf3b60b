import { z } from "zod";
import { empty, json, type Reply } from "../http/reply.ts";
import type { Request } from "../http/request.ts";
import { bodyOperation, operation, type RestOperation } from "../http/rest-operation.ts";
import type { Access } from "../http/route.ts";
import type { Authorize } from "../oci/access.ts";
import { parseDigest } from "../oci/digest.ts";
import { OciError } from "../oci/error.ts";
import { namespaceOf, parseRepositoryName } from "../oci/repository-name.ts";
import type { Confirm, Database } from "../storage/database.ts";
import { type Deployed, leaseDays, replaceDeployments } from "../storage/deployments.ts";
import type { HoldRights } from "./confirm-rights.ts";
import { invalidRequest, notFound } from "./errors.ts";
import { type ChangeDeps, nameSchema, timeSchema } from "./rest-words.ts";
import type { RobotsStore } from "./robots-store.ts";

export interface ClusterAgentApiDeps extends ChangeDeps {
  readonly database: Database;
  readonly robots: RobotsStore;
  readonly judgeRights: HoldRights;
  readonly authorize: Authorize;
}

const AGENT: Access = { kind: "cluster-agent" };
const AGENT_PATH = "/api/v1/cluster-agent";
/** About 250 bytes each. */
const maxDeployed = 10_000;
const maxListBytes = 4 * 1024 * 1024;

/** As the bridge's specification of a service has it. */
const serviceSchema = z
  .string()
  .regex(/^[a-zA-Z0-9](?:[a-zA-Z0-9_.-]{0,61}[a-zA-Z0-9])?$/, "1 to 63 letters, digits, - _ or .");
const isParsedBy =
  (parse: (text: string) => unknown) =>
  (text: string): boolean => {
    try {
      return parse(text) !== undefined;
    } catch (error) {
      if (error instanceof OciError) return false;
      throw error;
    }
  };
const repositorySchema = z.string().refine(isParsedBy(parseRepositoryName), "a repository, such as acme/app");
const digestSchema = z.string().refine(isParsedBy(parseDigest), "a digest, such as sha256:…");

const pullBody = z.strictObject({
  service: serviceSchema,
  environment: nameSchema,
  repositories: z.array(repositorySchema).min(1).max(20).describe("of one organization or user"),
});
const secretSchema = z.strictObject({
  username: z.string().describe("to sign in with: <org>+<name>"),
  secret: z.string().describe("shown this once"),
  expiresAt: timeSchema,
});
const deployedSchema = z.strictObject({
  environment: nameSchema,
  service: serviceSchema,
  repository: repositorySchema,
  digest: digestSchema,
  state: z.enum(["running", "rollback"]).describe("its tasks are of it, or the bridge would go back to it"),
});
const listBody = z.strictObject({ deployed: z.array(deployedSchema).max(maxDeployed) });
const missingSchema = z.strictObject({ repository: z.string(), digest: z.string() });

/** What the bridge of the cluster tells the registry, and gets of it: for its account alone, and system administrators. */
export const clusterAgentOperations = (deps: ClusterAgentApiDeps): RestOperation[] => [
  bodyOperation(["cluster-credential-issue", "POST", `${AGENT_PATH}/credentials`, AGENT], {
    summary: `A new secret, good for 24 hours, with which nodes can pull what a service needs, and nothing else. The one
      before it stays good for its time, so that both overlap. Only of repositories that whoever asks may pull from.`,
    body: pullBody,
    answers: { 201: secretSchema },
    act: issueCredential(deps),
  }),
  operation(["cluster-credential-revoke", "DELETE", `${AGENT_PATH}/credentials/<environment>/<service>`, AGENT], {
    summary: "End all secrets of a service, which is gone.",
    answers: { 204: undefined },
    act: revokeCredentials(deps),
  }),
  bodyOperation(["cluster-digests-put", "PUT", `${AGENT_PATH}/digests`, AGENT], {
    summary: `All that the cluster runs or may be rolled back to, in place of the list before. For ${leaseDays} days from now
      none of it is collected, and deleting it is refused; whatever no repository has is answered, and the rest is kept.`,
    body: listBody,
    maxBytes: maxListBytes,
    answers: { 200: z.strictObject({ kept: z.int(), missing: z.array(missingSchema) }) },
    act: putDigests(deps),
  }),
];

/** @throws OrgsError not-found, forbidden for a repository that the sender may not pull from; invalid-request */
function issueCredential({ robots, confirm, judgeRights }: ClusterAgentApiDeps) {
  return async (request: Request, body: z.infer<typeof pullBody>): Promise<Reply> => {
    const { environment, service } = body;
    const repositories = [...new Set(body.repositories)].map(parseRepositoryName);
    if (new Set(repositories.map(namespaceOf)).size > 1)
      throw invalidRequest("repositories: one secret is for repositories of one organization or user");
    const needed = repositories.map((repository) => ({ repository, action: "pull" as const }));
    const confirmed: Confirm = async (sql) => {
      // Its organization's owners see it in their audit log.
      request.about = repositories[0];
      await confirm(request)(sql);
      await judgeRights(request, needed)(sql);
    };

    const issued = await robots.issuePull({ service: `${environment}/${service}`, repositories }, confirmed);

    const wire = { ...issued, expiresAt: issued.expiresAt.toISOString() };
    return json(201, wire, { "Cache-Control": "no-store" });
  };
}

/** @throws OrgsError not-found where there are none */
function revokeCredentials({ robots, confirm }: ClusterAgentApiDeps) {
  return async (request: Request): Promise<Reply> => {
    const name = `${request.param("environment")}/${request.param("service")}`;
    if (!(await robots.revokePulls(name, confirm(request)))) throw notFound();
    return empty(204);
  };
}

function putDigests({ database, confirm, authorize }: ClusterAgentApiDeps) {
  return async (request: Request, body: z.infer<typeof listBody>): Promise<Reply> => {
    const deployed = toDeployed(body);
    // The list itself would be the better part of the audit log.
    request.asked = { asked: { deployed: deployed.length } };
    const names = [...new Set(deployed.map(({ repository }) => repository))];
    const judged = await Promise.all(names.map((name) => authorize(request.actor, name, "list")));
    const shown = new Set(names.filter((_, index) => judged[index]?.allowed === true));

    const kept = deployed.filter(({ repository }) => shown.has(repository));
    const gone = await database.transaction(async (sql) => {
      await confirm(request)(sql);
      return new Set(await replaceDeployments(sql, kept));
    });

    // What is hidden from whoever asks is as good as missing.
    const missing = deployed.filter((entry) => !shown.has(entry.repository) || gone.has(entry));
    const wire = missing.map(({ repository, digest }) => ({ repository, digest }));
    return json(200, { kept: deployed.length - missing.length, missing: wire });
  };
}

/** @throws OrgsError invalid-request for one thing that stands there twice */
function toDeployed({ deployed }: z.infer<typeof listBody>): Deployed[] {
  const known = new Set<string>();
  return deployed.map(({ environment, service, repository, digest, state }) => {
    const key = [environment, service, repository, digest].join(" ");
    if (known.has(key)) throw invalidRequest(`deployed: ${key} stands there twice`);
    known.add(key);
    return { environment, service, state, repository: parseRepositoryName(repository), digest: parseDigest(digest) };
  });
}
