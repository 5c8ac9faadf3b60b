import { z } from "zod";
import { json } from "../http/reply.ts";
import type { Request } from "../http/request.ts";
import type { Handler } from "../http/route.ts";
import type { Authorize, RepositoryAction } from "../oci/access.ts";
import { parseRepositoryName } from "../oci/repository-name.ts";
import type { RepositoryStore } from "../storage/repository-store.ts";
import { notFound, OrgsError } from "./errors.ts";
import { readRestBody } from "./rest-body.ts";

export interface RepositoriesApiDeps {
  readonly authorize: Authorize;
  readonly repositories: RepositoryStore;
}

const bodySchema = z.strictObject({ visibility: z.enum(["public", "private"]) });

/** `GET /api/v1/orgs/{org}/repositories/{repo}`, for whoever may pull it. */
export function getRepository(deps: RepositoriesApiDeps): Handler {
  return async (request) => {
    const name = await permitted(deps, request, "pull");
    const found = await deps.repositories.find(name);
    if (found === undefined) throw notFound();
    return json(200, { name, visibility: found.visibility });
  };
}

/**
 * `PUT /api/v1/orgs/{org}/repositories/{repo}` `{visibility}`: makes the repository if need be.
 * @throws OrgsError not-found where it is hidden, forbidden, invalid-request
 */
export function putRepository(deps: RepositoriesApiDeps): Handler {
  return async (request) => {
    const name = await permitted(deps, request, "admin");
    const { visibility } = await readRestBody(request, bodySchema);

    const made = await deps.repositories.create(name, visibility);
    if (!made) await deps.repositories.setVisibility(name, visibility);

    return json(made ? 201 : 200, { name, visibility });
  };
}

async function permitted({ authorize }: RepositoriesApiDeps, request: Request, action: RepositoryAction) {
  const name = parseRepositoryName(`${request.param("org")}/${request.param("repo")}`);
  const decision = await authorize(request.actor, name, action);
  if (decision.allowed) return name;
  if (decision.why === "hidden") throw notFound();
  throw new OrgsError(
    "forbidden",
    `${request.actor.name} does not administer ${name}; its owner or a system administrator does`,
  );
}
