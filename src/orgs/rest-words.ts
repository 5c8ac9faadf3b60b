import { z } from "zod";
import { etagOf, preconditionOf } from "../http/precondition.ts";
import { json, type Reply } from "../http/reply.ts";
import type { Request } from "../http/request.ts";
import { isNamespaceName, parseRepositoryName, type RepositoryName } from "../oci/repository-name.ts";
import type { Change, Confirm } from "../storage/database.ts";
import { invalidRequest, OrgsError } from "./errors.ts";
import { EXTRAS, LEVELS } from "./permissions.ts";

/** Schemas and checks that several parts of the REST API share. */

export const nameRule = "a name is 2 to 32 of a-z and 0-9, with single - or _ between";
export const nameSchema = z.string().refine(isNamespaceName, nameRule);
export const visibilitySchema = z.enum(["public", "private"]);
export const levelSchema = z.enum(LEVELS);
export const extraSchema = z.array(z.enum(EXTRAS));
export const timeSchema = z.iso.datetime();
export const futureTimeSchema = timeSchema.refine((text) => Date.parse(text) > Date.now(), "is in the past");

/** Name of a user, organization or team in the path. @throws OrgsError invalid-request */
export function nameParam(request: Request, name: string): string {
  const value = request.param(name);
  if (!isNamespaceName(value)) throw invalidRequest(nameRule);
  return value;
}

/** `<org>/<repo>` of the path. @throws OciError NAME_INVALID */
export function repositoryParam(request: Request): RepositoryName {
  return parseRepositoryName(`${request.param("org")}/${request.param("repo")}`);
}

export interface ChangeDeps {
  /** Of the change that a request makes: see confirm.ts. */
  readonly confirm: (request: Request) => Confirm;
}

export function changeOf({ confirm }: ChangeDeps, request: Request): Change {
  const check = preconditionOf(request, (message) => new OrgsError("precondition-failed", message));
  return { check, confirm: confirm(request) };
}

/** What one thing is, with the `ETag` that `If-Match` wants. */
export function replyWith(status: number, wire: unknown, version: string): Reply {
  return json(status, wire, { ETag: etagOf(version) });
}
