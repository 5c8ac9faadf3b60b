/** The three operations whose answer says more than yes or no: what is shown, and what a token names. */
import { type Cell, type Stage, tokenNames } from "./cells.ts";
import type { Carried } from "./credentials.ts";
import type { PlainName } from "./operations.ts";
import { type ActorId, type OperationName, type RepositoryId, rightsOn } from "./oracle.ts";
import { type Answer, codeOf } from "./wire.ts";
import { NAMES, restPath, scopeOf } from "./world.ts";

export const SPECIAL: Readonly<Record<Exclude<OperationName, PlainName>, readonly string[]>> = {
  "GET /v2/": ["end-1"],
  catalog: ["catalog", "trust-changes-all", "repositories-list", "repository-get"],
  "token request": ["token-get", "token-post"],
};

export async function runSpecial(stage: Stage, cell: Cell, name: keyof typeof SPECIAL): Promise<void> {
  if (name === "GET /v2/") return runPing(stage, cell);
  if (name === "catalog") return runCatalog(stage, cell);
  return runTokenRequest(stage, cell);
}

/** Anybody with good credentials, an anonymous token too; without any there is a challenge. */
async function runPing({ world, credentials }: Stage, { actor, mode, repository }: Cell): Promise<void> {
  const carried = await credentials.forRegistry(actor, mode, repository, [scopeOf(NAMES[repository])]);
  const answer = await world.wire.ask("GET", "/v2/", carried);
  const isGood = actor !== "A12" && carried.authorization !== undefined;
  mustBe(answer, isGood ? [200, ""] : [401, "UNAUTHORIZED"]);
}

const isListed = ({ actor, repository }: Cell): boolean =>
  repository !== "R4" && repository !== "R6" && rightsOn(actor, repository).includes("list");

/** The repository stands in the lists, and can be looked at by itself, for those who may see it and for nobody else. */
async function runCatalog(stage: Stage, cell: Cell): Promise<void> {
  const { world, credentials } = stage;
  const { actor, mode, repository } = cell;
  const isFresh = mode === "bearer" && actor !== "A12";
  const carried = isFresh
    ? { authorization: await credentials.fresh(actor, CATALOG) }
    : await credentials.forRegistry(actor, mode, repository, CATALOG);
  if (actor === "A12") mustBe(await world.wire.ask("GET", "/v2/_catalog", carried), [401, "UNAUTHORIZED"]);
  else mustList(cell, await listAll(stage, cell, carried));
  await seeChanges(stage, cell, carried);
  const rest = await credentials.forRest(actor, mode);
  const name = NAMES[repository];
  const one = await world.wire.ask("GET", restPath(name), rest);
  const list = await world.wire.ask("GET", `/api/v1/orgs/${name.split("/")[0]}/repositories?limit=1000`, rest);
  const isOut = actor === "A0" || actor === "A12";
  mustBe(one, isOut ? [401, "unauthorized"] : isListed(cell) ? [200, ""] : [404, "not-found"]);
  mustBe(list, isOut ? [401, "unauthorized"] : [200, ""]);
  if (!isOut) mustList(cell, namesOf(list));
}

const CATALOG = ["registry:catalog:*"];
/** They may list what is gone, too. */
const SEE_EVERYTHING: readonly ActorId[] = ["A14", "A15"];
/** The oldest are those of the world. */
const CHANGES = "/v2/_trust/changefeed?records=100";

/**
 * What was published for names that may be listed. What became of those that are gone stays in the feed, where mirrors hear
 * of the end of it; but whoever may list the next repository of that name learns nothing of the one before.
 */
async function seeChanges({ world }: Stage, cell: Cell, carried: Carried): Promise<void> {
  const answer = await world.wire.ask("GET", CHANGES, carried);
  mustBe(answer, cell.actor === "A12" ? [401, "UNAUTHORIZED"] : [200, ""]);
  if (cell.actor === "A12") return;
  const { records }: { records: { GUN: string }[] } = JSON.parse(answer.body.toString());
  const { actor, repository } = cell;
  const isTold = records.some(({ GUN }) => GUN === world.trust.gunOf(NAMES[repository]));
  const isGone = repository === "R5" || repository === "R6";
  const mayBeTold = isGone
    ? SEE_EVERYTHING.includes(actor)
    : repository !== "R4" && rightsOn(actor, repository).includes("list");
  if (isTold !== mayBeTold) throw new Error(`the feed should ${mayBeTold ? "" : "not "}tell of ${NAMES[repository]}`);
}

async function listAll({ world }: Stage, cell: Cell, carried: Carried): Promise<string[]> {
  const names: string[] = [];
  for (let path: string | undefined = `/v2/_catalog?n=100`; path !== undefined; ) {
    const answer: Answer = await world.wire.must(200, "GET", path, carried);
    const page: string[] = JSON.parse(answer.body.toString()).repositories;
    names.push(...page);
    path = /<([^>]+)>/.exec(String(answer.headers.link ?? ""))?.[1];
  }
  if (names.length === 0 && isListed(cell)) throw new Error("the catalog is empty");
  return names;
}

function namesOf({ body }: Answer): string[] {
  const { repositories }: { repositories: { name: string }[] } = JSON.parse(body.toString());
  return repositories.map(({ name }) => name);
}

function mustList(cell: Cell, names: readonly string[]): void {
  const name = NAMES[cell.repository];
  if (names.includes(name) !== isListed(cell))
    throw new Error(`${name} should ${isListed(cell) ? "" : "not "}be listed`);
}

/** By both doors of the token service: the token is issued, and names what is allowed of what was asked for. */
async function runTokenRequest({ world, credentials }: Stage, cell: Cell): Promise<void> {
  const { actor, mode, repository } = cell;
  const scope = scopeOf(NAMES[repository]);
  const carried = await credentials.forPassword(actor);
  const isForm = mode === "bearer" && actor !== "A0";
  const answer = isForm
    ? await world.wire.ask("POST", "/token", { ...toForm(carried.authorization ?? "", scope), from: carried.from })
    : await world.wire.ask("GET", `/token?scope=${encodeURIComponent(scope)}`, carried);
  mustBe(answer, actor === "A12" ? [401, "UNAUTHORIZED"] : [200, ""]);
  if (actor === "A12") return;
  // What is asked for now is judged by what is given now.
  const names = new Set(nowNamed(cell));
  const { token, scope: granted }: { token: string; scope: string } = JSON.parse(answer.body.toString());
  const expected = ["pull", "push", "delete"].filter((action) => names.has(action));
  const wanted = expected.length === 0 ? "" : scopeOf(NAMES[repository], expected.join(","));
  if (granted !== wanted) throw new Error(`the token should name "${wanted}": "${granted}"`);
  const { access }: { access: { actions: string[] }[] } = JSON.parse(
    Buffer.from(token.split(".")[1] ?? "", "base64url").toString(),
  );
  if (String(access.map(({ actions }) => actions)) !== String(expected))
    throw new Error(`the token names ${JSON.stringify(access)}`);
}

function nowNamed(cell: Cell): ReadonlySet<string> {
  if (cell.actor === "A13") return tokenNames({ ...cell, actor: "A5" });
  // R4 is like R5 for those whose rights died with it: nothing.
  return tokenNames(cell);
}

function toForm(authorization: string, scope: string) {
  const [username = "", ...rest] = Buffer.from(authorization.slice(6), "base64").toString().split(":");
  const fields = { grant_type: "password", username, password: rest.join(":"), scope };
  return { body: new URLSearchParams(fields).toString(), type: "application/x-www-form-urlencoded" };
}

function mustBe(answer: Answer, [status, code]: readonly [number, string]): void {
  if (answer.status === status && (status < 400 || codeOf(answer) === code)) return;
  throw new Error(`${answer.status} ${codeOf(answer)} instead of ${status} ${code}\n${answer.body}`);
}

/** Exactly what each may see, before there is anything else. */
export const visibleTo = (actor: Cell["actor"]): RepositoryId[] =>
  (["R1", "R2", "R3", "R5"] as const).filter((repository) => isListed({ actor, repository, mode: "basic" }));
