/**
 * What a live token, and an upload that it began, are worth after the right behind them is taken back: the next write is
 * refused, on every worker. So is the next read: rights are read from the database in every request, so a revocation reaches
 * reads after 0 s, well inside the token's 5 minutes.
 */
import type { Report } from "../harness/report.ts";
import { CONFIG, digestOf, INDEX, indexOf } from "./content.ts";
import { type Answer, type Ask, basic, bearer, codeOf } from "./wire.ts";
import { ORG, PASSWORD, restPath, scopeOf, shortName, type World } from "./world.ts";

interface Scene {
  readonly user: string;
  readonly team: string;
  readonly name: string;
}

/** How it is answered: whoever is known but has lost the right, and tokens that are over. */
type Refusal = readonly [read: string, write: string];
const GONE: Refusal = ["404 NAME_UNKNOWN", "403 DENIED"];
const SEEN: Refusal = ["200 ", "403 DENIED"];
const OVER: Refusal = ["401 UNAUTHORIZED", "401 UNAUTHORIZED"];

interface Life {
  readonly what: string;
  revoke(world: World, scene: Scene): Promise<unknown>;
  readonly refusal: Refusal;
}

const team = ({ team }: Scene) => `/api/v1/orgs/${ORG}/teams/${team}`;
const LIVES: readonly Life[] = [
  {
    what: "the user is suspended",
    revoke: (world, { user }) => world.must(200, "PUT", `/api/v1/users/${user}`, { suspended: true }),
    refusal: OVER,
  },
  {
    what: "the password is changed",
    revoke: (world, { user }) => world.must(200, "PUT", `/api/v1/users/${user}`, { password: "another password" }),
    refusal: OVER,
  },
  { what: "the team is deleted", revoke: (world, scene) => world.must(204, "DELETE", team(scene)), refusal: GONE },
  {
    what: "the user leaves the team",
    revoke: (world, scene) => world.must(204, "DELETE", `${team(scene)}/members/${scene.user}`),
    refusal: GONE,
  },
  {
    what: "the user leaves the organization",
    revoke: (world, { user }) => world.must(204, "DELETE", `/api/v1/orgs/${ORG}/members/${user}`),
    refusal: GONE,
  },
  {
    what: "the grant is removed",
    revoke: (world, scene) => world.must(204, "DELETE", `${team(scene)}/grants/${shortName(scene.name)}`),
    refusal: GONE,
  },
  {
    what: "the grant becomes read-only",
    revoke: (world, scene) =>
      world.must(200, "PUT", `${team(scene)}/grants/${shortName(scene.name)}`, { level: "read-only" }),
    refusal: SEEN,
  },
  {
    what: "the repository is deleted",
    revoke: (world, { name }) => world.must(204, "DELETE", restPath(name)),
    refusal: OVER,
  },
  {
    what: "the repository is deleted and made again",
    revoke: async (world, { name }) => {
      await world.must(204, "DELETE", restPath(name));
      await world.makeRepository(name);
    },
    refusal: OVER,
  },
  {
    what: "the repository is renamed",
    revoke: (world, { name }) => world.must(200, "POST", `${restPath(name)}/rename`, { name: `${name}-moved` }),
    refusal: OVER,
  },
];

export async function runLifeCells(report: Report, world: World): Promise<void> {
  for (const [index, life] of LIVES.entries()) {
    await report.quietly(`live token, when ${life.what}`, async () => {
      const scene = { user: `life-${index}`, team: `life-${index}`, name: world.newName("life") };
      await world.addUser(scene.user);
      await world.must(201, "PUT", `/api/v1/orgs/${ORG}/teams/${scene.team}`, {});
      await world.addMember(scene.user, scene.team);
      await world.makeRepository(scene.name);
      await world.grant(scene.team, scene.name, "read-write");
      const authorization = await world.bearer(basic(scene.user, PASSWORD), [scopeOf(scene.name, "pull,push")]);
      await mustEnd(world, scene.name, authorization, life.refusal, () => life.revoke(world, scene));
    });
  }
  await runRobots(report, world);
  await runVisibility(report, world);
  await runRefresh(report, world);
}

/** Everything works, then it is taken back, then nothing does: eight requests to whichever worker takes them. */
async function mustEnd(
  world: World,
  name: string,
  authorization: string,
  [read, write]: Refusal,
  revoke: () => Promise<unknown>,
): Promise<void> {
  const send = (method: string, path: string, ask: Ask = {}) => world.wire.ask(method, path, { ...ask, authorization });
  const begun = await world.wire.must(202, "POST", `/v2/${name}/blobs/uploads/`, { authorization });
  const upload = new URL(begun.headers.location ?? "").pathname;
  await world.wire.must(202, "PATCH", upload, { authorization, body: CONFIG });
  await world.wire.must(200, "GET", `/v2/${name}/manifests/v1`, { authorization });
  await revoke();
  const after = [
    await send("PUT", `/v2/${name}/manifests/late`, { body: indexOf("late"), type: INDEX }),
    await send("PATCH", upload, { body: "more" }),
    await send("PUT", `${upload}?digest=${digestOf(CONFIG)}`),
    await send("POST", `/v2/${name}/blobs/uploads/`),
    await send("GET", upload),
    await send("GET", `/v2/${name}/manifests/v1`),
    await send("GET", `/v2/${name}/tags/list`),
    await send("GET", `/v2/${name}/blobs/${digestOf(CONFIG)}`),
  ].map(short);
  const expected = [...Array<string>(5).fill(write), ...Array<string>(3).fill(read)];
  if (String(after) !== String(expected)) throw new Error(`${after}\ninstead of\n${expected}`);
}

const short = (answer: Answer): string => `${answer.status} ${codeOf(answer)}`;

async function runRobots(report: Report, world: World): Promise<void> {
  const ends: readonly (readonly [string, Refusal, (path: string) => Promise<unknown>])[] = [
    ["rotated", OVER, (path) => world.must(201, "POST", `${path}/rotate`, {})],
    ["deleted", OVER, (path) => world.must(204, "DELETE", path)],
    [
      "given other grants",
      GONE,
      (path) => world.must(200, "PUT", path, { grants: [{ scope: "elsewhere/*", actions: ["pull"] }] }),
    ],
  ];
  for (const [what, refusal, end] of ends) {
    await report.quietly(`live token of a robot that is ${what}`, async () => {
      const name = world.newName("life");
      await world.makeRepository(name);
      const robot = `${ORG}+${shortName(name)}`;
      await world.putRobot(robot, [name], ["pull", "push"]);
      const secret = basic(robot, world.secrets.get(robot) ?? "");
      const authorization = await world.bearer(secret, [scopeOf(name, "pull,push")]);
      await mustEnd(world, name, authorization, refusal, () => end(`/api/v1/orgs/${ORG}/robots/${shortName(name)}`));
    });
  }
}

async function runVisibility(report: Report, world: World): Promise<void> {
  await report.quietly("live token for what is public, when it becomes private", async () => {
    const name = world.newName("life");
    await world.makeRepository(name, "public");
    await world.addUser("passer-by");
    const tokens = [
      await world.bearer(basic("passer-by", PASSWORD), [scopeOf(name, "pull")]),
      await world.bearer(undefined, [scopeOf(name, "pull")]),
    ];
    const read = async () =>
      Promise.all(
        tokens.map(async (authorization) => world.wire.ask("GET", `/v2/${name}/manifests/v1`, { authorization })),
      );
    const before = (await read()).map(short);
    await world.must(200, "PUT", restPath(name), { visibility: "private" });
    const after = (await read()).map(short);
    if (`${before} then ${after}` !== "200 ,200  then 404 NAME_UNKNOWN,401 UNAUTHORIZED")
      throw new Error(`${before} then ${after}`);
  });
}

/** An identity token is its client's and its service's, ends with the password, and is worth what its user is worth now. */
async function runRefresh(report: Report, world: World): Promise<void> {
  const user = "refresher";
  await world.addUser(user);
  await world.must(201, "PUT", `/api/v1/orgs/${ORG}/teams/${user}`, {});
  await world.addMember(user, user);
  const name = world.newName("life");
  await world.makeRepository(name);
  await world.grant(user, name, "read-write");
  const query = `/token?offline_token=true&client_id=one&scope=${scopeOf(name, "pull,push")}`;
  const answer = await world.wire.must(200, "GET", query, { authorization: basic(user, PASSWORD) });
  const { refresh_token: refreshToken }: { refresh_token: string } = JSON.parse(answer.body.toString());
  const use = async (fields: Readonly<Record<string, string>> = {}) => {
    const form = { grant_type: "refresh_token", refresh_token: refreshToken, client_id: "one", ...fields };
    const body = new URLSearchParams({ scope: scopeOf(name, "pull,push,delete"), ...form }).toString();
    return world.wire.ask("POST", "/token", { body, type: "application/x-www-form-urlencoded" });
  };
  const scope = (one: Answer): string => `${one.status} ${codeOf(one) || JSON.parse(one.body.toString()).scope}`;
  const step = (title: string, wanted: string, fields?: Readonly<Record<string, string>>) =>
    report.quietly(`refresh token ${title}`, async () => {
      const got = scope(await use(fields));
      if (got !== wanted) throw new Error(`${got} instead of ${wanted}`);
    });
  await step("of its client", `200 ${scopeOf(name, "pull,push,delete")}`);
  await step("of another client", "401 UNAUTHORIZED", { client_id: "two" });
  await step("of no client", "401 UNAUTHORIZED", { client_id: "" });
  await step("at another service", "400 INVALID_REQUEST", { service: "staging.test" });
  await step("that is another's", "401 UNAUTHORIZED", { refresh_token: `gsr_${"a".repeat(43)}` });
  await world.must(200, "PUT", `/api/v1/orgs/${ORG}/teams/${user}/grants/${shortName(name)}`, { level: "read-only" });
  await step("names no more than its user may now", `200 ${scopeOf(name, "pull")}`);
  await world.must(200, "PUT", `/api/v1/users/${user}`, { password: "another password" });
  await step("after the password is changed", "401 UNAUTHORIZED");
  await report.quietly("refresh token as a bearer token", async () => {
    const got = short(await world.wire.ask("GET", `/v2/${name}/tags/list`, { authorization: bearer(refreshToken) }));
    if (got !== "401 UNAUTHORIZED") throw new Error(got);
  });
}
