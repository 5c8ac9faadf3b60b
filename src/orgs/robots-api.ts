import { z } from "zod";
import { etagOf } from "../http/precondition.ts";
import { empty, json, type Reply } from "../http/reply.ts";
import type { Request } from "../http/request.ts";
import { bodyOperation, operation, type RestOperation } from "../http/rest-operation.ts";
import { pageQuery, pageSchema, replyPage } from "../http/rest-page.ts";
import type { Access } from "../http/route.ts";
import type { Authorize } from "../oci/access.ts";
import { parseRepositoryName, type RepositoryName } from "../oci/repository-name.ts";
import { notFound, OrgsError } from "./errors.ts";
import type { OrgsStore } from "./orgs-store.ts";
import { everythingIn, ROBOT_ACTIONS, type RobotGrant } from "./permissions.ts";
import {
  type ChangeDeps,
  changeOf,
  futureTimeSchema,
  nameParam,
  nameSchema,
  replyWith,
  timeSchema,
} from "./rest-words.ts";
import type { RobotRow, RobotsStore } from "./robots-store.ts";

export interface RobotsApiDeps extends ChangeDeps {
  readonly robots: RobotsStore;
  readonly orgs: OrgsStore;
  readonly authorize: Authorize;
}

const PATTERN = /^(?:[a-z0-9][a-z0-9._/-]{0,200})?\*$/;

const grantSchema = z.strictObject({
  scope: z
    .string()
    .refine(
      (text) => PATTERN.test(text) || isRepositoryPath(text),
      "a repository's name, or the beginning of names and *",
    )
    .describe(
      "a repository's name within the organization (its renaming is followed), or the beginning of names and *",
    ),
  actions: z.array(z.enum(ROBOT_ACTIONS)).min(1),
});
const robotSchema = z.strictObject({
  name: nameSchema,
  username: z.string().describe("to sign in with: <org>+<name>"),
  grants: z.array(grantSchema).describe("those whose repositories you may see"),
  expiresAt: timeSchema.nullable(),
  createdAt: timeSchema,
  lastUsedAt: timeSchema.nullable().describe("to the minute"),
});
const secretSchema = z.strictObject({ ...robotSchema.shape, secret: z.string().describe("shown this once") });
const robotBody = z.strictObject({
  grants: z.array(grantSchema).min(1).max(100),
  expiresAt: futureTimeSchema.optional(),
});
const maxOverlapSeconds = 7 * 24 * 3600;
const rotateBody = z.strictObject({
  overlapSeconds: z.int().min(0).max(maxOverlapSeconds).default(0).describe("how long the secrets before stay good"),
});

/** Whoever is of the organization sees its robots; to change one takes admin on all that it may reach. */
const VIEW: Access = { kind: "org", right: "view" };
const ROBOTS = "/api/v1/orgs/<org>/robots";
const ONE = `${ROBOTS}/<robot>`;
const ADMIN_OF_ALL = "For whoever administers every repository that its grants name; a pattern is all of them.";

/** Accounts of an organization for programs. */
export const robotsOperations = (deps: RobotsApiDeps): RestOperation[] => [
  operation(["robots-list", "GET", ROBOTS, VIEW], {
    summary: "The robots of an organization.",
    query: pageQuery,
    answers: { 200: pageSchema("robots", robotSchema) },
    act: listRobots(deps),
  }),
  operation(["robot-get", "GET", ONE, VIEW], {
    summary: "One robot.",
    answers: { 200: robotSchema },
    act: getRobot(deps),
  }),
  bodyOperation(["robot-put", "PUT", ONE, VIEW], {
    conditional: true,
    summary: `Make a robot (its secret is shown once), or replace what it may do. ${ADMIN_OF_ALL}`,
    body: robotBody,
    answers: { 200: robotSchema, 201: secretSchema },
    act: putRobot(deps),
  }),
  operation(["robot-delete", "DELETE", ONE, VIEW], {
    conditional: true,
    summary: `Delete a robot. ${ADMIN_OF_ALL}`,
    answers: { 204: undefined },
    act: deleteRobot(deps),
  }),
  bodyOperation(["robot-rotate", "POST", `${ONE}/rotate`, VIEW], {
    conditional: true,
    summary: `Give a robot a new secret, shown once. ${ADMIN_OF_ALL}`,
    body: rotateBody,
    answers: { 201: secretSchema },
    act: rotateRobot(deps),
  }),
];

function listRobots(deps: RobotsApiDeps) {
  return async (request: Request): Promise<Reply> => {
    const org = nameParam(request, "org");
    if ((await deps.orgs.find(org)) === undefined) throw notFound();
    return replyPage<RobotRow>(request, {
      name: "robots",
      keyOf: ({ name }) => name,
      toWire: (robot) => toWire(org, robot),
      read: async (page) => {
        const robots = await deps.robots.list(org, page);
        return Promise.all(robots.map((robot) => asSeen(deps, request, org, robot)));
      },
    });
  };
}

function getRobot(deps: RobotsApiDeps) {
  return async (request: Request): Promise<Reply> => {
    const where = robotParams(request);
    const robot = await deps.robots.find(where);
    if (robot === undefined) throw notFound();
    return replyWith(200, toWire(where.org, await asSeen(deps, request, where.org, robot)), robot.version);
  };
}

/** With those of its grants whose repositories are not hidden from whoever asks. */
async function asSeen(
  { authorize }: RobotsApiDeps,
  { actor }: Request,
  org: string,
  robot: RobotRow,
): Promise<RobotRow> {
  const sees = async (name: RepositoryName) => (await authorize(actor, name, "list")).allowed;
  if (await sees(everythingIn(org))) return robot;
  const seen = await Promise.all(
    robot.grants.map(({ scope }) => !scope.endsWith("*") && sees(parseRepositoryName(`${org}/${scope}`))),
  );
  return { ...robot, grants: robot.grants.filter((_, index) => seen[index]) };
}

/** @throws OrgsError forbidden, not-found, precondition-failed */
function putRobot(deps: RobotsApiDeps) {
  return async (request: Request, { grants, expiresAt }: z.infer<typeof robotBody>): Promise<Reply> => {
    const [where, change] = [robotParams(request), await checkRight(deps, request, grants)];
    const until = expiresAt === undefined ? undefined : new Date(expiresAt);
    const secret = await deps.robots.put(where, { grants: merged(grants), expiresAt: until }, change);
    return secret === undefined ? getRobot(deps)(request) : replyWithSecret(deps, request, secret);
  };
}

function rotateRobot(deps: RobotsApiDeps) {
  return async (request: Request, { overlapSeconds }: z.infer<typeof rotateBody>): Promise<Reply> => {
    const change = await checkRight(deps, request, []);
    const secret = await deps.robots.rotate(robotParams(request), overlapSeconds, change);
    return replyWithSecret(deps, request, secret);
  };
}

function deleteRobot(deps: RobotsApiDeps) {
  return async (request: Request): Promise<Reply> => {
    const change = await checkRight(deps, request, []);
    await deps.robots.delete(robotParams(request), change);
    return empty(204);
  };
}

async function replyWithSecret({ robots }: RobotsApiDeps, request: Request, secret: string): Promise<Reply> {
  const where = robotParams(request);
  const robot = await robots.find(where);
  if (robot === undefined) throw notFound();
  const headers = { ETag: etagOf(robot.version), "Cache-Control": "no-store" };
  return json(201, { ...toWire(where.org, robot), secret }, headers);
}

/**
 * What the robot may do and what it shall be let do must both be the sender's to give. The answer is the condition
 * under which that was judged: that the robot is still as it was read.
 */
async function checkRight(deps: RobotsApiDeps, request: Request, wanted: readonly RobotGrant[]) {
  const where = robotParams(request);
  const before = await deps.robots.find(where);
  if (before === undefined && wanted.length === 0) throw notFound();
  for (const { scope, actions } of [...reachOf(before), ...wanted]) {
    const isWhole = scope.endsWith("*") || actions.includes("create");
    const name = isWhole ? everythingIn(where.org) : parseRepositoryName(`${where.org}/${scope}`);
    if ((await deps.authorize(request.actor, name, "admin")).allowed) continue;
    // Of what the robot reaches now the sender may not know the names.
    const what = `everything that ${where.org}+${where.name} reaches, or is to reach`;
    throw new OrgsError("forbidden", `${request.actor.name} does not administer ${what}`);
  }
  const { check, confirm } = changeOf(deps, request);
  return {
    confirm,
    check: (version: string | undefined): void => {
      check(version);
      if (version !== before?.version) throw new OrgsError("precondition-failed", "the robot was changed just now");
    },
  };
}

/** One whose repositories are all gone is the owners': they may give it others, and its secret is good for those. */
function reachOf(robot: RobotRow | undefined): readonly RobotGrant[] {
  return robot?.grants.length === 0 ? [{ scope: "*", actions: [] }] : (robot?.grants ?? []);
}

function robotParams(request: Request) {
  return { org: nameParam(request, "org"), name: nameParam(request, "robot") };
}

function isRepositoryPath(text: string): boolean {
  try {
    return parseRepositoryName(`org/${text}`).length > 0;
  } catch {
    return false;
  }
}

/** One grant for each scope. */
function merged(grants: readonly RobotGrant[]): RobotGrant[] {
  const byScope = Map.groupBy(grants, ({ scope }) => scope);
  return [...byScope].map(([scope, same]) => ({
    scope,
    actions: ROBOT_ACTIONS.filter((action) => same.some(({ actions }) => actions.includes(action))),
  }));
}

function toWire(org: string, { name, grants, expiresAt, createdAt, lastUsedAt }: RobotRow) {
  return {
    name,
    username: `${org}+${name}`,
    grants,
    expiresAt: expiresAt?.toISOString() ?? null,
    createdAt: createdAt.toISOString(),
    lastUsedAt: lastUsedAt?.toISOString() ?? null,
  };
}
