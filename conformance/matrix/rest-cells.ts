/** Every actor tries each route of rest-rows.ts, and must get what their place in the organization gives them. */
import type { Report } from "../harness/report.ts";
import type { Stage } from "./cells.ts";
import { MODES } from "./credentials.ts";
import { inLanes, lanes } from "./lanes.ts";
import { ACTORS, type ActorId } from "./oracle.ts";
import { REST_ROWS, type Row } from "./rest-rows.ts";
import { type Answer, type Ask, codeOf } from "./wire.ts";
import { USERS } from "./world.ts";

/** A token makes no tokens: by password, and by a token, two answers. */
export const TOKEN_CREATE = "token-create";

const ROBOTS: readonly ActorId[] = ["A9", "A10", "A11"];
const MEMBERS: readonly ActorId[] = ["A2", "A3", "A4", "A5", "A6", "A7", "A8", "A13", "A16"];

/** The answer that each gets, from the words: to whoever is not of it an organization does not exist. */
function expected(actor: ActorId, { who, ok, code, robots }: Row): readonly [number, string] {
  const yes = [ok, code ?? (ok === 404 ? "not-found" : "")] as const;
  if (who === "anyone") return yes;
  if (actor === "A0" || actor === "A12") return [401, "unauthorized"];
  if (who === "signed-in" || actor === "A14") return yes;
  if (who === "accounts") return ROBOTS.includes(actor) ? (robots ?? yes) : yes;
  if ((who === "auditors" && actor === "A15") || (who === "agents" && actor === "A1")) return yes;
  if (who === "auditors" || who === "administrators" || who === "agents") return [403, "forbidden"];
  const sees = MEMBERS.includes(actor) || actor === "A15";
  if (!sees) return [404, "not-found"];
  const isOverseer = who === "overseers" && actor === "A15";
  return who === "members" || actor === "A8" || isOverseer ? yes : [403, "forbidden"];
}

export async function runRestCells(report: Report, stage: Stage): Promise<void> {
  const cells = Object.entries(REST_ROWS).flatMap(([route, row]) => ACTORS.map((actor) => ({ route, row, actor })));
  await inLanes(cells, lanes, ({ route, row, actor }) =>
    report.quietly(`${actor} ${route}`, async () => {
      for (const mode of MODES) {
        const rest = row.who === "anyone" ? {} : await stage.credentials.forRest(actor, mode);
        const isToken = mode === "bearer" && actor in USERS;
        const wanted = (isToken ? row.tokens : undefined) ?? expectedOf(actor, route, row);
        mustBe(await tryRow(stage, row, actor, rest), wanted);
      }
    }),
  );
  for (const actor of ACTORS) await report.quietly(`${actor} ${TOKEN_CREATE}`, () => runTokenCreate(stage, actor));
}

/** Others do not exist for whoever makes no users. */
function expectedOf(actor: ActorId, route: string, row: Row): readonly [number, string] {
  const usual = expected(actor, row);
  if (route !== "user-put" || usual[0] !== 403) return usual;
  return actor === "A15" ? usual : [404, "not-found"];
}

async function tryRow({ world, newMark }: Stage, row: Row, actor: ActorId, rest: Ask): Promise<Answer> {
  const fresh = newMark();
  await row.ready?.(world);
  for (const [path, body] of row.make?.(fresh) ?? []) await world.must(201, "PUT", path, body);
  const sent = typeof row.body === "function" ? row.body(fresh) : row.body;
  const body = sent === undefined ? {} : { body: JSON.stringify(sent) };
  return world.wire.ask(row.method, row.path(fresh, actor), { ...body, ...rest });
}

async function runTokenCreate({ world, credentials, newMark }: Stage, actor: ActorId): Promise<void> {
  for (const mode of MODES) {
    const body = JSON.stringify({ name: newMark() });
    const answer = await world.wire.ask("POST", "/api/v1/tokens", {
      body,
      ...(await credentials.forRest(actor, mode)),
    });
    const isOut = actor === "A0" || actor === "A12";
    const isRefused = mode === "bearer" || ROBOTS.includes(actor);
    mustBe(answer, isOut ? [401, "unauthorized"] : isRefused ? [403, "forbidden"] : [201, ""]);
  }
}

function mustBe(answer: Answer, [status, code]: readonly [number, string]): void {
  if (answer.status === status && codeOf(answer) === code) return;
  throw new Error(`${answer.status} ${codeOf(answer)} instead of ${status} ${code}\n${answer.body}`);
}
