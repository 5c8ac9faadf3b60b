/** One cell: an actor tries one operation on one repository, with one kind of credentials. */
import { type Carried, type Credentials, isHeir, type Mode } from "./credentials.ts";
import { noUpload, type Operation, PLAIN, type Place, type PlainName, type Step, scopesOf } from "./operations.ts";
import { type ActorId, allow, type Outcome, type RepositoryId, rightsOn } from "./oracle.ts";
import { type Signed, UNSIGNED } from "./trust-data.ts";
import { type Answer, codeOf, toComparable } from "./wire.ts";
import { MISSING, NAMES, ROBOTS, restPath, SOURCES, teamOf, USERS, type World } from "./world.ts";

export interface Cell {
  readonly actor: ActorId;
  readonly repository: RepositoryId;
  readonly mode: Mode;
}

export interface Stage {
  readonly world: World;
  readonly credentials: Credentials;
  /** Uploads that the administrator began, by repository. */
  readonly uploads: ReadonlyMap<string, string>;
  newMark(): string;
}

type Expected = readonly [status: number, code: string];
const EXISTS: readonly RepositoryId[] = ["R1", "R2", "R3", "R5"];

export async function runPlain(stage: Stage, cell: Cell, name: PlainName): Promise<void> {
  const operation = PLAIN[name];
  const outcome = allow(cell.actor, cell.repository, name);
  const isCopy = outcome === "allow" && operation.changes;
  const target = isCopy ? await copy(stage, cell) : { name: NAMES[cell.repository], robot: undefined };
  const carried = await carry(stage, cell, operation, target);
  const place = await toPlace(stage, cell, operation, { name: target.name, allowed: outcome === "allow", carried });
  const answers = await send(stage, operation.steps(place), carried);
  for (const [step, answer] of answers) {
    const expected: Expected =
      outcome === "allow" ? [step.ok, step.code ?? ""] : refusal(cell, operation, step, outcome);
    mustBe(step, answer, expected);
    if (operation.kind !== "rest" && answer.status === 401) mustChallenge(cell, answer);
  }
  if (outcome === "hide" && EXISTS.includes(cell.repository) && hasNoPast(cell))
    await mustLookMissing(stage, cell, operation, { answers, trust: place.trust });
}

/** Tokens of before name what their bearer had then: they hide nothing from whoever knew it. */
const hasNoPast = ({ actor, repository, mode }: Cell) =>
  mode === "basic" || (actor !== "A13" && !(repository === "R5" && isHeir(actor)));

export function tokenNames({ actor, repository }: Cell): ReadonlySet<string> {
  if (actor === "A13" && (repository === "R1" || repository === "R2")) return new Set(["pull", "push", "delete"]);
  if (repository === "R5" && (isHeir(actor) || actor === "A13")) return new Set();
  const rights = rightsOn(actor, repository);
  const isThere = EXISTS.includes(repository);
  const makes = actor === "A8" || actor === "A14";
  return new Set([
    ...(rights.includes("list") ? ["pull"] : []),
    ...(rights.includes("create") && (isThere || makes) ? ["push"] : []),
    ...(rights.includes("untag") || rights.includes("delete") ? ["delete"] : []),
  ]);
}

/** What is answered to whoever may not, in the words of the protocol. */
function refusal(cell: Cell, operation: Operation, step: Step, outcome: Outcome): Expected {
  const isHead = step.sent[0] === "HEAD";
  const [status, code] = REFUSALS[operation.kind](cell, operation, step, outcome);
  return [status, isHead ? "" : code];
}

const REFUSALS = {
  registry: registryRefusal,
  rest: (cell: Cell, _: Operation, step: Step, outcome: Outcome) => restRefusal(cell, step, outcome),
  trust: (_cell: Cell, _: Operation, step: Step, outcome: Outcome) => trustRefusal(step, outcome),
};

/** Clients take a 403 for a server that is down, so whatever may not be is the same 401. */
function trustRefusal({ missing, kept }: Step, outcome: Outcome): Expected {
  const none = [404, "METADATA_NOT_FOUND"] as const;
  if (outcome === "missing") return missing ?? none;
  return outcome === "kept" ? (kept ?? none) : [401, "UNAUTHORIZED"];
}

function restRefusal({ actor }: Cell, { kept }: Step, outcome: Outcome): Expected {
  if (actor === "A0" || outcome === "unauthorized") return [401, "unauthorized"];
  if (outcome === "deny") return [403, "forbidden"];
  return outcome === "kept" && kept !== undefined ? kept : [404, "not-found"];
}

function registryRefusal(cell: Cell, operation: Operation, step: Step, outcome: Outcome): Expected {
  const { token, isRead, orUnchanged } = operation;
  const isHeard =
    orUnchanged && EXISTS.includes(cell.repository) && rightsOn(cell.actor, cell.repository).includes("keep");
  const isUnnamed = cell.mode === "bearer" && !isHeard && !tokenNames(cell).has(token);
  if (outcome === "unauthorized" || isUnnamed || cell.actor === "A0") return [401, "UNAUTHORIZED"];
  if (outcome === "missing") return step.missing ?? [404, "NAME_UNKNOWN"];
  if (outcome === "kept") return step.kept ?? [403, "DENIED"];
  return outcome === "hide" && isRead ? [404, "NAME_UNKNOWN"] : [403, "DENIED"];
}

function mustBe({ sent: [method, path] }: Step, answer: Answer, [status, code]: Expected): void {
  const got: Expected = [answer.status, codeOf(answer)];
  if (got[0] === status && (answer.status < 400 || got[1] === code)) return;
  throw new Error(`${method} ${path}: ${got.join(" ")} instead of ${status} ${code}\n${answer.body.toString()}`);
}

/** One challenge, to the token service, with the scope; an error only for those who came with a token. */
function mustChallenge({ actor, mode }: Cell, { headers }: Answer): void {
  const challenge = headers["www-authenticate"] ?? "";
  const fault = mode !== "bearer" ? undefined : actor === "A12" ? "invalid_token" : "insufficient_scope";
  // After the fault may stand what docker prints.
  const [, found] = /,error="(\w+)"(?:,error_description="[^"]*")?$/.exec(challenge) ?? [];
  if (!/^Bearer realm="[^"]+\/token",service="[^"]+",scope="repository:/.test(challenge) || found !== fault)
    throw new Error(`the challenge should say ${fault ?? "no error"}: ${challenge}`);
}

async function mustLookMissing(
  stage: Stage,
  cell: Cell,
  operation: Operation,
  { answers, trust }: { answers: readonly (readonly [Step, Answer])[]; trust: Signed },
): Promise<void> {
  const name = NAMES[cell.repository];
  const missing = MISSING[name.split("/")[0] ?? ""] ?? "";
  const carried = await carry(stage, { ...cell, repository: "R4" }, operation, { name: missing, robot: undefined });
  // As many requests as were sent to the hidden one.
  const mark = stage.newMark();
  const upload = noUpload(missing);
  const place = {
    ...{ name: missing, exists: true, allowed: false, upload, unreadable: SOURCES.unreadable, mark },
    trust: { ...trust, gun: stage.world.trust.gunOf(missing) },
  };
  const others = await send(stage, operation.steps(place), carried);
  for (const [index, [{ sent }, answer]] of answers.entries()) {
    const [hidden, twin] = [toComparable(answer, name), toComparable(others[index]?.[1] ?? answer, missing)];
    if (hidden !== twin) throw new Error(`${sent[0]} ${sent[1]} tells hidden from missing:\n${hidden}\n---\n${twin}`);
  }
}

async function send({ world }: Stage, steps: readonly Step[], carried: Carried): Promise<(readonly [Step, Answer])[]> {
  const answers: (readonly [Step, Answer])[] = [];
  for (const step of steps) {
    const [method, path, ask] = step.sent;
    answers.push([step, await world.wire.ask(method, path, { ...ask, ...carried })]);
  }
  return answers;
}

interface Target {
  readonly name: string;
  /** The robot that has on a copy what the actor has on the original. */
  readonly robot: string | undefined;
}

async function carry({ world, credentials }: Stage, cell: Cell, operation: Operation, { name, robot }: Target) {
  const { actor, mode, repository } = cell;
  const scopes = scopesOf({ name, gun: world.trust.gunOf(name) }, operation);
  if (robot !== undefined) {
    const authorization = credentials.robot(robot);
    return { authorization: mode === "basic" ? authorization : await world.bearer(authorization, scopes) };
  }
  if (operation.kind === "rest") return credentials.forRest(actor, mode);
  return credentials.forRegistry(actor, mode, repository, scopes);
}

interface Aim {
  readonly name: string;
  readonly allowed: boolean;
  readonly carried: Carried;
}

async function toPlace(
  stage: Stage,
  cell: Cell,
  operation: Operation,
  { name, allowed, carried }: Aim,
): Promise<Place> {
  const exists = EXISTS.includes(cell.repository);
  // There is nothing that a system administrator may not read.
  const unreadable = cell.actor === "A14" ? SOURCES.missing : SOURCES.unreadable;
  const trust = await toSigned(stage, operation, name);
  const place = { name, exists, allowed, unreadable, mark: stage.newMark(), trust };
  if (!operation.needsUpload) return { ...place, upload: "" };
  if (!allowed) return { ...place, upload: stage.uploads.get(name) ?? noUpload(name) };
  const { headers } = await stage.world.wire.must(202, "POST", `/v2/${name}/blobs/uploads/`, carried);
  return { ...place, upload: new URL(headers.location ?? "").pathname };
}

/** What the world has of it already, or a copy needs. */
async function toSigned({ world: { trust } }: Stage, { kind, needsTrust }: Operation, name: string): Promise<Signed> {
  const known = trust.find(name);
  if (kind !== "trust") return { ...UNSIGNED, gun: trust.gunOf(name), isPublished: known?.isPublished === true };
  if (known !== undefined) return known;
  return needsTrust ? trust.publish(name) : trust.prepare(name);
}

/** A repository like the one of the cell, with the same given to the actor. */
async function copy({ world }: Stage, { actor, repository }: Cell): Promise<Target> {
  const [org] = NAMES[repository].split("/");
  const name = world.newName("copy", org);
  if (repository === "R4") return { name, robot: undefined };
  await world.makeRepository(name, repository === "R1" ? "public" : "private");
  if (repository === "R5") {
    await world.must(204, "DELETE", restPath(name));
    await world.makeRepository(name);
  }
  if (actor === "A10") {
    const robot = `${ROBOTS.A10.split("+")[0]}+${name.split("/")[1]}`;
    await world.putRobot(robot, [name], ["pull", "push"]);
    return { name, robot };
  }
  const team = actor in USERS ? teamOf(USERS[actor as keyof typeof USERS]) : undefined;
  if (team !== undefined) await world.grant(team.team, name, team.level, team.extra);
  return { name, robot: undefined };
}
