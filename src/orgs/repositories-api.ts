import { z } from "zod";
import { empty, type Reply } from "../http/reply.ts";
import type { Request } from "../http/request.ts";
import { bodyOperation, operation, type RestOperation, readQuery } from "../http/rest-operation.ts";
import { pageQuery, pageSchema, replyPage } from "../http/rest-page.ts";
import type { Access } from "../http/route.ts";
import type { Authorize } from "../oci/access.ts";
import { OciError } from "../oci/error.ts";
import { namespaceOf, parseRepositoryName, type RepositoryName } from "../oci/repository-name.ts";
import type { Sql } from "../storage/database.ts";
import { mustNotRun, RunsError, runsMessage } from "../storage/deployments.ts";
import { deleteManifests } from "../storage/manifest-store.ts";
import { reservedDays } from "../storage/repository-names.ts";
import { NameObstacleError, type RepositoryStore, reservedMessage } from "../storage/repository-store.ts";
import { notFound, OrgsError } from "./errors.ts";
import { dropGrantsOf } from "./grants-store.ts";
import { type ChangeDeps, changeOf, nameParam, replyWith, repositoryParam, visibilitySchema } from "./rest-words.ts";
import { dropRobotGrantsOf } from "./robots-store.ts";
import type { ListVisible, VisibleRepository } from "./visible-repositories.ts";

export interface RepositoriesApiDeps extends ChangeDeps {
  readonly repositories: RepositoryStore;
  readonly listVisible: ListVisible;
  readonly authorize: Authorize;
  /** Drops the trust data of a name where it may; false where there is some and it may not. */
  readonly releaseTrust: (sql: Sql, name: RepositoryName, mayDrop: boolean) => Promise<boolean>;
}

const repositorySchema = z.strictObject({ name: z.string(), visibility: visibilitySchema });
const dropTrustText = "also give up its trust data (signatures are made for a name), which is refused otherwise";
const renameBody = z.strictObject({
  name: z.string().describe("<user or organization>/<name>"),
  dropTrust: z.boolean().default(false).describe(dropTrustText),
});
const deleteQuery = z.strictObject({ dropTrust: z.enum(["true", "false"]).default("false").describe(dropTrustText) });
const repositoryBody = z.strictObject({ visibility: visibilitySchema });

const USER: Access = { kind: "user" };
const LIST: Access = { kind: "org-repository", action: "list" };
/** Whoever administers what is not there may make it. */
const ADMIN: Access = { kind: "org-repository", action: "admin" };

const REPOSITORIES = "/api/v1/orgs/<org>/repositories";
const ONE = `${REPOSITORIES}/<repo>`;

/** Repositories of an organization, or of a user: `<org>` may be either. */
export const repositoriesOperations = (deps: RepositoriesApiDeps): RestOperation[] => [
  operation(["repositories-list", "GET", REPOSITORIES, USER], {
    summary: "The repositories of an organization or user that you may see.",
    query: pageQuery,
    answers: { 200: pageSchema("repositories", repositorySchema) },
    act: listRepositories(deps),
  }),
  operation(["repository-get", "GET", ONE, LIST], {
    summary: "One repository.",
    answers: { 200: repositorySchema },
    act: getRepository(deps),
  }),
  bodyOperation(["repository-put", "PUT", ONE, ADMIN], {
    conditional: true,
    summary: "Make a repository, or change who may pull from it.",
    body: repositoryBody,
    answers: { 200: repositorySchema, 201: repositorySchema },
    act: putRepository(deps),
  }),
  operation(["repository-delete", "DELETE", ONE, ADMIN], {
    conditional: true,
    summary: `Delete a repository with all it holds. No push makes it again for ${reservedDays} days; a PUT here does.`,
    query: deleteQuery,
    answers: { 204: undefined },
    act: deleteRepository(deps),
  }),
  bodyOperation(["repository-rename", "POST", `${ONE}/rename`, ADMIN], {
    conditional: true,
    summary: `Give a repository another name, in another organization too: then teams and robots of the old one lose it.
      The old name answers as missing, and nobody can have it for ${reservedDays} days.`,
    body: renameBody,
    answers: { 200: repositorySchema },
    act: renameRepository(deps),
  }),
];

function listRepositories({ listVisible }: RepositoriesApiDeps) {
  return async (request: Request): Promise<Reply> => {
    const namespace = nameParam(request, "org");
    return replyPage<VisibleRepository>(request, {
      name: "repositories",
      keyOf: ({ name }) => name,
      toWire: ({ name, visibility }) => ({ name, visibility }),
      read: (page) => listVisible(request.actor, { namespace, ...page }),
    });
  };
}

function getRepository({ repositories }: RepositoriesApiDeps) {
  return async (request: Request, status = 200): Promise<Reply> => {
    const name = repositoryParam(request);
    const found = await repositories.find(name);
    if (found === undefined) throw notFound();
    return replyWith(status, { name, visibility: found.visibility }, found.version);
  };
}

function putRepository(deps: RepositoriesApiDeps) {
  return async (request: Request, { visibility }: z.infer<typeof repositoryBody>): Promise<Reply> => {
    const name = repositoryParam(request);
    const made = await deps.repositories.put(name, visibility, changeOf(deps, request)).catch(refuse(name));
    return getRepository(deps)(request, made ? 201 : 200);
  };
}

/** @throws OrgsError not-found, precondition-failed, has-trust-data, in-use */
function deleteRepository(deps: RepositoriesApiDeps) {
  return async (request: Request): Promise<Reply> => {
    const name = repositoryParam(request);
    const mayDrop = readQuery(request, deleteQuery).dropTrust === "true";
    const clear = async (sql: Sql, id: number): Promise<void> => {
      await mustBeIdle(sql, name);
      if (!(await deps.releaseTrust(sql, name, mayDrop))) throw hasTrustData(name);
      await deleteManifests(sql, id);
    };
    await deps.repositories.delete({ name, ...changeOf(deps, request), empty: clear });
    return empty(204);
  };
}

/** Whoever administers a repository reads it, and so may know who runs it. @throws OrgsError in-use */
function mustBeIdle(sql: Sql, name: RepositoryName): Promise<void> {
  return mustNotRun(sql, name).catch((cause: unknown) => {
    if (!(cause instanceof RunsError)) throw cause;
    throw new OrgsError("in-use", runsMessage(name, cause.uses), { cause });
  });
}

function hasTrustData(name: RepositoryName): OrgsError {
  return new OrgsError(
    "has-trust-data",
    `${name} has trust data, which is signed for this name and worth nothing under another; to give it up, say dropTrust`,
  );
}

/** @throws OrgsError not-found, forbidden, name-taken, name-reserved, precondition-failed, has-trust-data, in-use */
function renameRepository(deps: RepositoriesApiDeps) {
  return async (request: Request, body: z.infer<typeof renameBody>): Promise<Reply> => {
    const [from, to] = [repositoryParam(request), parseRepositoryName(body.name)];
    if (namespaceOf(from) !== namespaceOf(to)) {
      const { name: who } = request.actor;
      const decision = await deps.authorize(request.actor, to, "create");
      if (!decision.allowed && decision.why !== "no-namespace")
        throw new OrgsError("forbidden", `${who} may not make repositories in ${namespaceOf(to)}`);
    }

    const release = async (sql: Sql): Promise<void> => {
      // Nodes pull by the old name.
      await mustBeIdle(sql, from);
      if (!(await deps.releaseTrust(sql, from, body.dropTrust))) throw hasTrustData(from);
    };
    const sees = (await deps.authorize(request.actor, to, "list")).allowed;
    const refused = sees ? refuse(to) : refuseUnseen(to);
    await deps.repositories.move({ from, to, ...changeOf(deps, request), release, leave: leaveOrg }).catch(refused);

    const found = await deps.repositories.find(to);
    if (found === undefined) throw notFound();
    return replyWith(200, { name: to, visibility: found.visibility }, found.version);
  };
}

async function leaveOrg(sql: Sql, repositoryId: number): Promise<void> {
  await dropGrantsOf(sql, repositoryId);
  await dropRobotGrantsOf(sql, repositoryId);
}

function refuse(name: RepositoryName) {
  return (cause: unknown): never => {
    if (cause instanceof NameObstacleError) throw obstructed(name, cause);
    if (!(cause instanceof OciError) || cause.code !== "NAME_UNKNOWN") throw cause;
    const message = `there is no such repository, or no user or organization ${namespaceOf(name)}`;
    throw new OrgsError("not-found", message, { cause });
  };
}

/** Whoever administers the one repository only is not told whether another is there, was deleted, or was moved away. */
function refuseUnseen(name: RepositoryName) {
  return (cause: unknown): never => {
    if (!(cause instanceof NameObstacleError)) return refuse(name)(cause);
    throw new OrgsError("name-taken", `the name ${name} is taken or reserved; choose another`, { cause });
  };
}

function obstructed(name: RepositoryName, cause: NameObstacleError): OrgsError {
  const { obstacle } = cause;
  if (obstacle.kind === "taken") return new OrgsError("name-taken", `there is a repository ${name} already`, { cause });
  return new OrgsError("name-reserved", reservedMessage(name, obstacle), { cause });
}
