import { z } from "zod";
import type { Reply } from "../http/reply.ts";
import type { Request } from "../http/request.ts";
import { bodyOperation, operation, type RestOperation } from "../http/rest-operation.ts";
import { pageQuery, pageSchema, replyPage } from "../http/rest-page.ts";
import type { Access } from "../http/route.ts";
import { OciError } from "../oci/error.ts";
import type { RepositoryStore } from "../storage/repository-store.ts";
import { notFound, OrgsError } from "./errors.ts";
import { nameParam, precondition, replyWith, repositoryParam, visibilitySchema } from "./rest-words.ts";
import type { ListVisible, VisibleRepository } from "./visible-repositories.ts";

export interface RepositoriesApiDeps {
  readonly repositories: RepositoryStore;
  readonly listVisible: ListVisible;
}

const repositorySchema = z.strictObject({ name: z.string(), visibility: visibilitySchema });
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
    summary: "Make a repository, or change who may pull from it.",
    body: repositoryBody,
    answers: { 200: repositorySchema, 201: repositorySchema },
    act: putRepository(deps),
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
    const made = await deps.repositories.put(name, visibility, precondition(request)).catch((cause: unknown) => {
      if (!(cause instanceof OciError) || cause.code !== "NAME_UNKNOWN") throw cause;
      throw new OrgsError("not-found", `there is no user or organization ${request.param("org")}`, { cause });
    });
    return getRepository(deps)(request, made ? 201 : 200);
  };
}
