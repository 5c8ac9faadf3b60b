import { z } from "zod";
import { empty, type Reply } from "../http/reply.ts";
import type { Request } from "../http/request.ts";
import { bodyOperation, operation, type RestOperation } from "../http/rest-operation.ts";
import { pageQuery, pageSchema, replyPage } from "../http/rest-page.ts";
import type { Access } from "../http/route.ts";
import { notFound, OrgsError } from "./errors.ts";
import type { Org, OrgMember, OrgsStore } from "./orgs-store.ts";
import {
  type ChangeDeps,
  changeOf,
  nameParam,
  nameSchema,
  replyWith,
  timeSchema,
  visibilitySchema,
} from "./rest-words.ts";
import type { UsersStore } from "./users-store.ts";

export interface OrgsApiDeps extends ChangeDeps {
  readonly orgs: OrgsStore;
  readonly users: UsersStore;
}

const orgSchema = z.strictObject({ name: nameSchema, defaultVisibility: visibilitySchema, createdAt: timeSchema });
const orgBody = z.strictObject({ defaultVisibility: visibilitySchema.default("private") });
const roleSchema = z.enum(["owner", "member"]);
const memberSchema = z.strictObject({ user: nameSchema, role: roleSchema });
const memberBody = z.strictObject({ role: roleSchema });

const USER: Access = { kind: "user" };
const SYSTEM_ADMIN: Access = { kind: "system-admin" };
const VIEW: Access = { kind: "org", right: "view" };
const MANAGE: Access = { kind: "org", right: "manage" };

const ORG = "/api/v1/orgs/<org>";
const MEMBERS = `${ORG}/members`;
const MEMBER = `${MEMBERS}/<user>`;

/** Organizations and their people. */
export const orgsOperations = (deps: OrgsApiDeps): RestOperation[] => [
  operation(["orgs-list", "GET", "/api/v1/orgs", USER], {
    summary: "The organizations that you are a member of; all of them for system administrators and auditors.",
    query: pageQuery,
    answers: { 200: pageSchema("orgs", orgSchema) },
    act: listOrgs(deps),
  }),
  operation(["org-get", "GET", ORG, VIEW], {
    summary: "One organization.",
    answers: { 200: orgSchema },
    act: getOrg(deps),
  }),
  bodyOperation(["org-put", "PUT", ORG, MANAGE], {
    conditional: true,
    summary: "Change an organization; a system administrator makes one by this.",
    body: orgBody,
    answers: { 200: orgSchema, 201: orgSchema },
    act: putOrg(deps),
  }),
  operation(["org-delete", "DELETE", ORG, SYSTEM_ADMIN], {
    conditional: true,
    summary: "Delete an organization that has no repositories, with its teams and robots.",
    answers: { 204: undefined },
    act: deleteOrg(deps),
  }),
  operation(["org-members-list", "GET", MEMBERS, VIEW], {
    summary: "The people of an organization.",
    query: pageQuery,
    answers: { 200: pageSchema("members", memberSchema) },
    act: listMembers(deps),
  }),
  operation(["org-member-get", "GET", MEMBER, VIEW], {
    summary: "One member of an organization.",
    answers: { 200: memberSchema },
    act: getMember(deps),
  }),
  bodyOperation(["org-member-put", "PUT", MEMBER, MANAGE], {
    conditional: true,
    summary: "Add a user to an organization, or change the role.",
    body: memberBody,
    answers: { 200: memberSchema, 201: memberSchema },
    act: putMember(deps),
  }),
  operation(["org-member-delete", "DELETE", MEMBER, MANAGE], {
    conditional: true,
    summary: "Remove a user from an organization and its teams.",
    answers: { 204: undefined },
    act: deleteMember(deps),
  }),
];

function listOrgs({ orgs, users }: OrgsApiDeps) {
  return async (request: Request): Promise<Reply> => {
    const { kind, id } = request.actor;
    if (kind !== "user") throw new OrgsError("forbidden", "robots are of one organization, and do not list them");
    const self = await users.findById(id);
    const all = self?.systemAdmin === true || self?.auditor === true;
    return replyPage(request, {
      name: "orgs",
      keyOf: ({ name }) => name,
      toWire: toOrgWire,
      read: (page) => orgs.list(all ? page : { ...page, memberId: id }),
    });
  };
}

function getOrg({ orgs }: OrgsApiDeps) {
  return async (request: Request, status = 200): Promise<Reply> => {
    const org = await orgs.find(nameParam(request, "org"));
    if (org === undefined) throw notFound();
    return replyWith(status, toOrgWire(org), org.version);
  };
}

function putOrg(deps: OrgsApiDeps) {
  return async (request: Request, body: z.infer<typeof orgBody>): Promise<Reply> => {
    const made = await deps.orgs.put(nameParam(request, "org"), body, changeOf(deps, request));
    return getOrg(deps)(request, made ? 201 : 200);
  };
}

function deleteOrg(deps: OrgsApiDeps) {
  return async (request: Request): Promise<Reply> => {
    await deps.orgs.delete(nameParam(request, "org"), changeOf(deps, request));
    return empty(204);
  };
}

function listMembers({ orgs }: OrgsApiDeps) {
  return async (request: Request): Promise<Reply> => {
    const org = nameParam(request, "org");
    if ((await orgs.find(org)) === undefined) throw notFound();
    return replyPage(request, {
      name: "members",
      keyOf: ({ user }) => user,
      toWire: toMemberWire,
      read: (page) => orgs.listMembers(org, page),
    });
  };
}

function getMember({ orgs }: OrgsApiDeps) {
  return async (request: Request, status = 200): Promise<Reply> => {
    const member = await orgs.findMember(memberParams(request));
    if (member === undefined) throw notFound();
    return replyWith(status, toMemberWire(member), member.version);
  };
}

function putMember(deps: OrgsApiDeps) {
  return async (request: Request, { role }: z.infer<typeof memberBody>): Promise<Reply> => {
    const made = await deps.orgs.putMember(memberParams(request), role, changeOf(deps, request));
    return getMember(deps)(request, made ? 201 : 200);
  };
}

function deleteMember(deps: OrgsApiDeps) {
  return async (request: Request): Promise<Reply> => {
    await deps.orgs.deleteMember(memberParams(request), changeOf(deps, request));
    return empty(204);
  };
}

function memberParams(request: Request) {
  return { org: nameParam(request, "org"), name: nameParam(request, "user") };
}

function toOrgWire({ name, defaultVisibility, createdAt }: Org) {
  return { name, defaultVisibility, createdAt: createdAt.toISOString() };
}

function toMemberWire({ user, role }: OrgMember) {
  return { user, role };
}
