import { z } from "zod";
import { empty, type Reply } from "../http/reply.ts";
import type { Request } from "../http/request.ts";
import { bodyOperation, operation, type RestOperation } from "../http/rest-operation.ts";
import { pageQuery, pageSchema, replyPage } from "../http/rest-page.ts";
import type { Access } from "../http/route.ts";
import { notFound, OrgsError } from "./errors.ts";
import { maxPasswordBytes, nobodysHash, type Passwords } from "./passwords.ts";
import { type ChangeDeps, changeOf, nameParam, nameSchema, replyWith, timeSchema } from "./rest-words.ts";
import type { User, UserChange, UsersStore } from "./users-store.ts";

export interface UsersApiDeps extends ChangeDeps {
  readonly users: UsersStore;
  readonly passwords: Passwords;
}

const minPasswordLength = 8;

export const passwordSchema = z
  .string()
  .min(minPasswordLength, `a password has at least ${minPasswordLength} characters`)
  .refine((text) => Buffer.byteLength(text) <= maxPasswordBytes, `a password has at most ${maxPasswordBytes} bytes`)
  .refine((text) => !/^gs[a-z]_/.test(text), "a password does not begin like a token (gsp_, gsb_, gsr_)");

const rolesSchema = z.array(z.enum(["admin", "auditor"]));
const userSchema = z.strictObject({
  name: nameSchema,
  roles: rolesSchema,
  suspended: z.boolean(),
  createdAt: timeSchema,
});
const userBody = z.strictObject({
  password: passwordSchema.optional(),
  roles: rolesSchema.optional(),
  suspended: z.boolean().optional(),
});
type UserBody = z.infer<typeof userBody>;

const USER: Access = { kind: "user" };
const SYSTEM_ADMIN: Access = { kind: "system-admin" };
const AUDITOR: Access = { kind: "auditor" };
const ONE = "/api/v1/users/<user>";

/** Everyone who can sign in. To anyone but system administrators and auditors, other users do not exist. */
export const usersOperations = (deps: UsersApiDeps): RestOperation[] => [
  operation(["users-list", "GET", "/api/v1/users", AUDITOR], {
    summary: "All users.",
    query: pageQuery,
    answers: { 200: pageSchema("users", userSchema) },
    act: listUsers(deps),
  }),
  operation(["user-get", "GET", ONE, USER], {
    summary: "Yourself; any user for system administrators and auditors.",
    answers: { 200: userSchema },
    act: async (request) => {
      await mustConcern(deps, request, "read");
      return getUser(deps, request, 200);
    },
  }),
  bodyOperation(["user-put", "PUT", ONE, USER], {
    conditional: true,
    summary:
      "Change your password, which ends every token of yours (docker login again afterwards). System administrators make and change users.",
    body: userBody,
    answers: { 200: userSchema, 201: userSchema },
    act: putUser(deps),
  }),
  operation(["user-delete", "DELETE", ONE, SYSTEM_ADMIN], {
    conditional: true,
    summary: "Delete a user who has no repositories. To keep somebody out, suspend: that can be undone.",
    answers: { 204: undefined },
    act: deleteUser(deps),
  }),
];

function listUsers({ users }: UsersApiDeps) {
  return (request: Request): Promise<Reply> =>
    replyPage(request, {
      name: "users",
      keyOf: ({ name }) => name,
      toWire,
      read: (page) => users.list(page),
    });
}

async function getUser({ users }: UsersApiDeps, request: Request, status: number): Promise<Reply> {
  const user = await users.find(nameParam(request, "user"));
  if (user === undefined) throw notFound();
  return replyWith(status, toWire(user), user.version);
}

/** @throws OrgsError not-found, forbidden, invalid-request, name-taken, last-admin, precondition-failed */
function putUser(deps: UsersApiDeps) {
  return async (request: Request, body: UserBody): Promise<Reply> => {
    const self = await mustConcern(deps, request, "write");
    const name = nameParam(request, "user");
    if (!self.systemAdmin && (body.roles !== undefined || body.suspended !== undefined))
      throw new OrgsError("forbidden", `${self.name} is not a system administrator; ask one to change roles`);

    if (body.password !== undefined && (await deps.users.find(name))?.passwordHash === nobodysHash)
      throw new OrgsError("forbidden", `${name} signs in by a directory; the password is changed there`);
    if (body.password !== undefined && self.name === name && request.actor.credential !== undefined)
      throw new OrgsError("forbidden", "a token does not change its user's password; sign in with the password");

    const change = await toChange(deps, body);
    const made = await deps.users.put(name, change, changeOf(deps, request));

    return getUser(deps, request, made ? 201 : 200);
  };
}

async function toChange({ passwords }: UsersApiDeps, { password, roles, suspended }: UserBody): Promise<UserChange> {
  return {
    passwordHash: password === undefined ? undefined : await passwords.hash(password),
    systemAdmin: roles?.includes("admin"),
    auditor: roles?.includes("auditor"),
    suspended,
  };
}

function deleteUser(deps: UsersApiDeps) {
  return async (request: Request): Promise<Reply> => {
    await deps.users.delete(nameParam(request, "user"), changeOf(deps, request));
    return empty(204);
  };
}

/**
 * Whether who asks may read, or change, the user in the path. Returns who asks.
 * @throws OrgsError not-found, forbidden
 */
export async function mustConcern(
  { users }: Pick<UsersApiDeps, "users">,
  request: Request,
  what: "read" | "write",
): Promise<User> {
  const self = request.actor.kind === "user" ? await users.findById(request.actor.id) : undefined;
  if (self === undefined) throw notFound();
  if (self.systemAdmin || self.name === request.param("user")) return self;
  if (!self.auditor) throw notFound();
  if (what === "write") throw new OrgsError("forbidden", `${self.name} is an auditor, and changes nothing`);
  return self;
}

function toWire({ name, systemAdmin, auditor, suspended, createdAt }: User) {
  const roles = [...(systemAdmin ? ["admin"] : []), ...(auditor ? ["auditor"] : [])];
  return { name, roles, suspended, createdAt: createdAt.toISOString() };
}
