/** `-- --timing`: whether time tells hidden from missing. A figure, never a test: machines differ, and noise is not news. */
import type { Stage } from "./cells.ts";
import { noUpload, PLAIN, type Place, type PlainName } from "./operations.ts";
import { UNSIGNED } from "./trust-data.ts";
import { basic, type Sent } from "./wire.ts";
import { MISSING, NAMES, ORG, PASSWORD, ROBOTS, SOURCES, USERS, type World } from "./world.ts";

/** What hardening asks for. */
const maxT = 4.5;
const maxAuc = 0.55;
/** An account's wrong passwords within a minute must stay below ten. */
const triesOfOne = 8;

interface Figures {
  readonly name: string;
  readonly one: readonly number[];
  readonly other: readonly number[];
}

export async function runTiming(stage: Stage, pairs: number): Promise<void> {
  console.log(`${pairs} pairs each, in turns; limits |t| < ${maxT}, AUC <= ${maxAuc}\n`);
  row(["operation", "hidden ms", "missing ms", "|t|", "AUC", ""]);
  for (const name of Object.keys(PLAIN) as PlainName[]) print(await timeOperation(stage, name, pairs));
  for (const [name, hidden, missing] of await namesOf(stage.world)) {
    const time = (asked: Sent) => () => timed(() => stage.world.wire.ask(...asked));
    print(await inTurns(name, pairs, time(hidden), time(missing)));
  }
  print(await timeSignIn(stage.world, pairs));
}

async function timeOperation({ world, newMark }: Stage, name: PlainName, pairs: number): Promise<Figures> {
  const operation = PLAIN[name];
  // A personal token: signing in with it costs no password hash, which would drown everything else.
  const authorization = basic(USERS.A1, world.secrets.get(USERS.A1) ?? "");
  const time = async (repository: string): Promise<number> => {
    const trust = { ...(world.trust.find(NAMES.R2) ?? UNSIGNED), gun: world.trust.gunOf(repository) };
    const more = { upload: noUpload(repository), unreadable: SOURCES.unreadable, mark: newMark(), trust };
    const place: Place = { name: repository, exists: true, allowed: false, ...more };
    const [step] = operation.steps(place);
    if (step === undefined) throw new Error(`${name} sends nothing`);
    const [method, path, ask] = step.sent;
    return timed(() => world.wire.ask(method, path, { ...ask, authorization }));
  };
  return inTurns(
    name,
    pairs,
    () => time(NAMES.R2),
    () => time(MISSING[ORG] ?? ""),
  );
}

/** What else has a name: something there beside something that is not, for somebody who has nothing to do with it. */
async function namesOf(world: World): Promise<(readonly [name: string, hidden: Sent, missing: Sent])[]> {
  const tokenOf = (user: string): string => basic(user, world.secrets.get(user) ?? "");
  const stranger = { authorization: tokenOf(USERS.A1) };
  const get = (path: string): Sent => ["GET", `/api/v1/${path}`, stranger];
  const wrong = (robot: string): Sent => ["GET", "/token", { authorization: basic(robot, `gsb_${"x".repeat(43)}`) }];
  const writer = { authorization: tokenOf(USERS.A3) };
  return [
    ["organization", get(`orgs/${ORG}`), get("orgs/none")],
    ["team", get(`orgs/${ORG}/teams/readers`), get("orgs/none/teams/readers")],
    ["robot", get(`orgs/${ORG}/robots/puller`), get("orgs/none/robots/puller")],
    ["user", get(`users/${USERS.A2}`), get("users/nil")],
    ["robot's sign-in: wrong secret, unknown", wrong(ROBOTS.A9), wrong(`${ORG}+nobody`)],
    [
      "upload: another's, none",
      ["GET", await world.beginUpload(NAMES.R2), writer],
      ["GET", noUpload(NAMES.R2), writer],
    ],
  ];
}

async function timeSignIn(world: World, pairs: number): Promise<Figures> {
  const users = Array.from({ length: Math.ceil((pairs + warmUps) / triesOfOne) }, (_, index) => `timed${index}`);
  for (const name of users) await world.must(201, "PUT", `/api/v1/users/${name}`, { password: PASSWORD });
  let tries = 0;
  // Each from an address that guessed nothing yet, on a connection of its own.
  const time = (name: string): Promise<number> => {
    const at = tries++;
    const from = `127.${16 + (at >> 16)}.${(at >> 8) & 255}.${at & 255 || 1}`;
    const authorization = basic(name, "wrong password");
    return timed(() => world.wire.ask("GET", "/token", { authorization, from, headers: { connection: "close" } }));
  };
  let pair = 0;
  const known = () => time(users[Math.floor(pair++ / triesOfOne)] ?? "");
  return inTurns("sign-in: wrong password, unknown user", pairs, known, () => time(`nobody${tries}`));
}

const warmUps = 50;

async function inTurns(name: string, pairs: number, one: () => Promise<number>, other: () => Promise<number>) {
  const figures: { name: string; one: number[]; other: number[] } = { name, one: [], other: [] };
  for (let pair = 0; pair < pairs + warmUps; pair++) {
    const [first, second] = pair % 2 === 0 ? [one, other] : [other, one];
    const [a, b] = [await first(), await second()];
    if (pair < warmUps) continue;
    figures.one.push(pair % 2 === 0 ? a : b);
    figures.other.push(pair % 2 === 0 ? b : a);
  }
  return figures;
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await work();
  return performance.now() - started;
}

const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;

function variance(values: readonly number[]): number {
  const middle = mean(values);
  return values.reduce((sum, value) => sum + (value - middle) ** 2, 0) / (values.length - 1);
}

/** Welch's t of two samples. */
function welch(one: readonly number[], other: readonly number[]): number {
  return (mean(one) - mean(other)) / Math.sqrt(variance(one) / one.length + variance(other) / other.length);
}

/** How often a threshold puts one of each on the right sides: 0.5 is a guess, 1 is certainty (Mann and Whitney's U). */
function areaUnderCurve(one: readonly number[], other: readonly number[]): number {
  const all = [...one.map((value) => ({ value, isOne: true })), ...other.map((value) => ({ value, isOne: false }))];
  all.sort((a, b) => a.value - b.value);
  const rankSum = all.reduce((sum, { isOne }, index) => sum + (isOne ? index + 1 : 0), 0);
  const area = (rankSum - (one.length * (one.length + 1)) / 2) / (one.length * other.length);
  return Math.max(area, 1 - area);
}

function print({ name, one, other }: Figures): void {
  const [t, auc] = [Math.abs(welch(one, other)), areaUnderCurve(one, other)];
  const cells = [mean(one).toFixed(3), mean(other).toFixed(3), t.toFixed(2), auc.toFixed(3)];
  row([name, ...cells, t < maxT && auc <= maxAuc ? "" : "above"]);
}

function row([name = "", ...cells]: readonly string[]): void {
  console.log(name.padEnd(40) + cells.map((cell) => cell.padStart(12)).join(""));
}
