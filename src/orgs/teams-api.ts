import { z } from "zod";
import { empty, type Reply } from "../http/reply.ts";
import type { Request } from "../http/request.ts";
import { bodyOperation, operation, type RestOperation } from "../http/rest-operation.ts";
import { pageQuery, pageSchema, replyPage } from "../http/rest-page.ts";
import type { Access } from "../http/route.ts";
import { notFound } from "./errors.ts";
import type { OrgsStore } from "./orgs-store.ts";
import { type ChangeDeps, changeOf, nameParam, nameSchema, replyWith, timeSchema } from "./rest-words.ts";
import type { Team, TeamMember, TeamsStore } from "./teams-store.ts";

export interface TeamsApiDeps extends ChangeDeps {
  readonly teams: TeamsStore;
  readonly orgs: OrgsStore;
}

const teamSchema = z.strictObject({ name: nameSchema, createdAt: timeSchema });
const teamBody = z.strictObject({});
const memberSchema = z.strictObject({ user: nameSchema, admin: z.boolean() });
const memberBody = z.strictObject({ admin: z.boolean().default(false) });

const VIEW: Access = { kind: "org", right: "view" };
const MANAGE: Access = { kind: "org", right: "manage" };
const TEAM_ADMIN: Access = { kind: "team" };

const TEAMS = "/api/v1/orgs/<org>/teams";
const TEAM = `${TEAMS}/<team>`;
const MEMBERS = `${TEAM}/members`;
const MEMBER = `${MEMBERS}/<user>`;

/** Teams of an organization and who is in them. */
export const teamsOperations = (deps: TeamsApiDeps): RestOperation[] => [
  operation(["teams-list", "GET", TEAMS, VIEW], {
    summary: "The teams of an organization.",
    query: pageQuery,
    answers: { 200: pageSchema("teams", teamSchema) },
    act: listTeams(deps),
  }),
  operation(["team-get", "GET", TEAM, VIEW], {
    summary: "One team.",
    answers: { 200: teamSchema },
    act: getTeam(deps),
  }),
  bodyOperation(["team-put", "PUT", TEAM, MANAGE], {
    conditional: true,
    summary: "Make a team.",
    body: teamBody,
    answers: { 200: teamSchema, 201: teamSchema },
    act: putTeam(deps),
  }),
  operation(["team-delete", "DELETE", TEAM, MANAGE], {
    conditional: true,
    summary: "Delete a team with everything it was granted.",
    answers: { 204: undefined },
    act: deleteTeam(deps),
  }),
  operation(["team-members-list", "GET", MEMBERS, VIEW], {
    summary: "The members of a team.",
    query: pageQuery,
    answers: { 200: pageSchema("members", memberSchema) },
    act: listMembers(deps),
  }),
  operation(["team-member-get", "GET", MEMBER, VIEW], {
    summary: "One member of a team.",
    answers: { 200: memberSchema },
    act: getMember(deps),
  }),
  bodyOperation(["team-member-put", "PUT", MEMBER, TEAM_ADMIN], {
    conditional: true,
    summary: "Add a member of the organization to a team; `admin` lets them change the team's members.",
    body: memberBody,
    answers: { 200: memberSchema, 201: memberSchema },
    act: putMember(deps),
  }),
  operation(["team-member-delete", "DELETE", MEMBER, TEAM_ADMIN], {
    conditional: true,
    summary: "Remove a member from a team.",
    answers: { 204: undefined },
    act: deleteMember(deps),
  }),
];

function listTeams({ teams, orgs }: TeamsApiDeps) {
  return async (request: Request): Promise<Reply> => {
    const org = nameParam(request, "org");
    if ((await orgs.find(org)) === undefined) throw notFound();
    return replyPage(request, {
      name: "teams",
      keyOf: ({ name }) => name,
      toWire: toTeamWire,
      read: (page) => teams.list(org, page),
    });
  };
}

function getTeam({ teams }: TeamsApiDeps) {
  return async (request: Request, status = 200): Promise<Reply> => {
    const team = await teams.find(teamParams(request));
    if (team === undefined) throw notFound();
    return replyWith(status, toTeamWire(team), team.version);
  };
}

function putTeam(deps: TeamsApiDeps) {
  return async (request: Request): Promise<Reply> => {
    const made = await deps.teams.put(teamParams(request), changeOf(deps, request));
    return getTeam(deps)(request, made ? 201 : 200);
  };
}

function deleteTeam(deps: TeamsApiDeps) {
  return async (request: Request): Promise<Reply> => {
    await deps.teams.delete(teamParams(request), changeOf(deps, request));
    return empty(204);
  };
}

function listMembers({ teams }: TeamsApiDeps) {
  return async (request: Request): Promise<Reply> => {
    const team = teamParams(request);
    if ((await teams.find(team)) === undefined) throw notFound();
    return replyPage(request, {
      name: "members",
      keyOf: ({ user }) => user,
      toWire: toMemberWire,
      read: (page) => teams.listMembers(team, page),
    });
  };
}

function getMember({ teams }: TeamsApiDeps) {
  return async (request: Request, status = 200): Promise<Reply> => {
    const member = await teams.findMember(memberParams(request));
    if (member === undefined) throw notFound();
    return replyWith(status, toMemberWire(member), member.version);
  };
}

function putMember(deps: TeamsApiDeps) {
  return async (request: Request, { admin }: z.infer<typeof memberBody>): Promise<Reply> => {
    const made = await deps.teams.putMember(memberParams(request), admin, changeOf(deps, request));
    return getMember(deps)(request, made ? 201 : 200);
  };
}

function deleteMember(deps: TeamsApiDeps) {
  return async (request: Request): Promise<Reply> => {
    await deps.teams.deleteMember(memberParams(request), changeOf(deps, request));
    return empty(204);
  };
}

function teamParams(request: Request) {
  return { org: nameParam(request, "org"), name: nameParam(request, "team") };
}

function memberParams(request: Request) {
  return { org: nameParam(request, "org"), team: nameParam(request, "team"), user: nameParam(request, "user") };
}

function toTeamWire({ name, createdAt }: Team) {
  return { name, createdAt: createdAt.toISOString() };
}

function toMemberWire({ user, admin }: TeamMember) {
  return { user, admin };
}
