import { z } from "zod";
import { json } from "../http/reply.ts";
import type { Request } from "../http/request.ts";
import type { Handler } from "../http/route.ts";
import { isNamespaceName } from "../oci/repository-name.ts";
import { invalidRequest, notFound } from "./errors.ts";
import { maxPasswordBytes, type Passwords } from "./passwords.ts";
import { readRestBody } from "./rest-body.ts";
import type { User, UsersStore } from "./users-store.ts";

export interface UsersApiDeps {
  readonly users: UsersStore;
  readonly passwords: Passwords;
}

const minPasswordLength = 8;

export const passwordSchema = z
  .string()
  .min(minPasswordLength, `a password has at least ${minPasswordLength} characters`)
  .refine((text) => Buffer.byteLength(text) <= maxPasswordBytes, `a password has at most ${maxPasswordBytes} bytes`);

const bodySchema = z.strictObject({ password: passwordSchema.optional() });

/** `GET /api/v1/users`, for system administrators. */
export function listUsers({ users }: UsersApiDeps): Handler {
  return async () => json(200, { users: (await users.list()).map(toWire) });
}

/** `GET /api/v1/users/{u}`: oneself, or anyone for a system administrator. */
export function getUser(deps: UsersApiDeps): Handler {
  return async (request) => {
    await mustConcern(deps, request);
    const user = await deps.users.find(request.param("user"));
    if (user === undefined) throw notFound();
    return json(200, toWire(user));
  };
}

/**
 * `PUT /api/v1/users/{u}` `{password?}`: a system administrator makes or changes users, a user the own password. A
 * changed password ends every token of the user.
 * @throws OrgsError not-found, invalid-request, name-taken
 */
export function putUser(deps: UsersApiDeps): Handler {
  return async (request) => {
    await mustConcern(deps, request);
    const name = request.param("user");
    if (!isNamespaceName(name)) throw invalidRequest("a name is 2 to 32 of a-z and 0-9, with single - or _ between");
    const { password } = await readRestBody(request, bodySchema);

    const status = await putPassword(deps, name, password);

    const user = await deps.users.find(name);
    if (user === undefined) throw notFound();
    return json(status, toWire(user));
  };
}

async function putPassword({ users, passwords }: UsersApiDeps, name: string, password: string | undefined) {
  const exists = (await users.find(name)) !== undefined;
  if (password === undefined && !exists) throw invalidRequest("a new user needs a password");
  if (password === undefined) return 200;
  const passwordHash = await passwords.hash(password);
  if (exists && (await users.changePassword(name, passwordHash))) return 200;
  await users.create({ name, passwordHash });
  return 201;
}

/** To anyone but a system administrator, other users do not exist. */
async function mustConcern({ users }: UsersApiDeps, request: Request): Promise<void> {
  const self = await users.findById(request.actor.id);
  if (self?.systemAdmin !== true && self?.name !== request.param("user")) throw notFound();
}

function toWire({ name, systemAdmin, suspended, createdAt }: User) {
  return { name, roles: systemAdmin ? ["admin"] : [], suspended, createdAt: createdAt.toISOString() };
}
