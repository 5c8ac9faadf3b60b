/** What tokens name, of what was asked for: each token tries eight operations. */
import type { Report } from "../harness/report.ts";
import { type Action, Probe } from "./token-probe.ts";
import { type Answer, basic, bearer, codeOf } from "./wire.ts";
import { NAMES, PASSWORD, USERS, type World } from "./world.ts";

const OWNER = "tia";

interface Case {
  readonly asked: readonly string[];
  readonly opens: readonly Action[];
  /** As the answer says what was granted; default: not looked at. */
  readonly granted?: string;
}

const ALL = ["pull", "push", "delete"] as const;

function cases(name: string, host: string): Readonly<Record<string, Case>> {
  const one = (actions: string, of = name) => `repository:${of}:${actions}`;
  const nothing = (asked: string): Case => ({ asked: [asked], opens: [], granted: "" });
  return {
    "no scope": { asked: [], opens: [], granted: "" },
    "another repository": nothing(one("pull,push,delete", NAMES.R2)),
    "another repository of one's own": { asked: [one("pull,push", `${OWNER}/other`)], opens: [] },
    "pull only": { asked: [one("pull")], opens: ["pull"], granted: one("pull") },
    "push without pull": { asked: [one("push")], opens: ["push"], granted: one("push") },
    "*": { asked: [one("*")], opens: ALL, granted: one("*") },
    "pull,push,delete": { asked: [one("pull,push,delete")], opens: ALL, granted: one("pull,push,delete") },
    "two scopes, one denied": {
      asked: [one("pull,push"), one("pull", NAMES.R2)],
      opens: ["pull", "push"],
      granted: one("pull,push"),
    },
    "two scopes in one parameter": {
      asked: [`${one("pull", NAMES.R2)} ${one("pull")}`],
      opens: ["pull"],
      granted: one("pull"),
    },
    "one repository twice": { asked: [one("pull"), one("push")], opens: ["pull", "push"], granted: one("pull,push") },
    "a name with port": nothing(one("pull,push,delete", `h:5000/${name}`)),
    // Trust data has no action of its own to delete.
    "the trust data of the repository": {
      ...{ asked: [one("pull,push,delete", `${host}/${name}`)], opens: [] },
      granted: one("pull,push", `${host}/${name}`),
    },
    "*, of the trust data": { asked: [one("*", `${host}/${name}`)], opens: [], granted: one("*", `${host}/${name}`) },
    "repository(plugin)": nothing(`repository(plugin):${name}:pull`),
    "the catalog": { asked: ["registry:catalog:*"], opens: [], granted: "registry:catalog:*" },
    "a type in upper case": nothing(`Repository:${name}:pull`),
    "a name in upper case": nothing(one("pull", name.toUpperCase())),
    "an action in upper case": nothing(one("PULL")),
    "an empty name": nothing("repository::pull"),
    "no action": nothing(one("")),
    "an unknown action": nothing(one("admin")),
    "a path upwards": nothing(one("pull", `x/../${name}`)),
    "a path with a dot": nothing(one("pull", `./${name}`)),
    "a slash at the end": nothing(one("pull", `${name}/`)),
    "a glob": nothing(one("pull,push", `${OWNER}/*`)),
    "a pattern": nothing(one("pull,push", ".*")),
    "a pattern that matches, which is a name too": {
      ...{ asked: [one("pull,push", `${OWNER}/a.p`)], opens: [], granted: one("pull,push", `${OWNER}/a.p`) },
    },
    "a percent sign": nothing(one("pull", `${OWNER}%2fapp`)),
  };
}

export async function runScopeCells(report: Report, world: World, host: string): Promise<void> {
  const probe = await new Probe(world, OWNER).prepare();
  await world.makeRepository(`${OWNER}/other`);
  for (const [title, { asked, opens, granted }] of Object.entries(cases(probe.name, host))) {
    await report.quietly(`token for ${title}`, async () => {
      const answer = await ask(world, probe.authorization, asked);
      const { token, scope }: { token: string; scope: string } = JSON.parse(answer.body.toString());
      if (granted !== undefined && scope !== granted) throw new Error(`granted "${scope}" instead of "${granted}"`);
      await probe.mustOpen(opens, { authorization: bearer(token) });
    });
  }
  await report.quietly("token for what is repeated: the union of what is granted, not of what is asked", async () => {
    const scopes = [`repository:${NAMES.R2}:pull`, `repository:${NAMES.R2}:push,delete`];
    const answer = await ask(world, basic(USERS.A2, PASSWORD), scopes);
    const { scope }: { scope: string } = JSON.parse(answer.body.toString());
    if (scope !== `repository:${NAMES.R2}:pull`) throw new Error(`granted ${scope}`);
  });
  await report.quietly("token for 10,000 scopes: 400", async () => {
    const form = new URLSearchParams({ grant_type: "password", username: OWNER, password: PASSWORD });
    for (let index = 0; index < 10_000; index++) form.append("scope", `r:${index}:p`);
    const short = `?${"scope=a:b:c&".repeat(200)}`;
    const answers = [
      await world.wire.ask("POST", "/token", { body: form.toString(), type: "application/x-www-form-urlencoded" }),
      await world.wire.ask("GET", `/token${short}`, { authorization: probe.authorization }),
    ];
    const got = answers.map((answer) => `${answer.status} ${codeOf(answer)}`).join();
    // The first is longer than the door lets any form be.
    if (got !== "413 BODY_TOO_LARGE,400 INVALID_REQUEST") throw new Error(got);
  });
  await report.quietly("catalog token of a user without grants: what is public, and nothing else", async () => {
    const authorization = await world.bearer(basic(USERS.A1, PASSWORD), ["registry:catalog:*"]);
    const { body } = await world.wire.must(200, "GET", "/v2/_catalog?n=1000", { authorization });
    const { repositories }: { repositories: string[] } = JSON.parse(body.toString());
    const hidden = [NAMES.R2, NAMES.R3, NAMES.R5, probe.name].filter((name) => repositories.includes(name));
    if (hidden.length > 0 || !repositories.includes(NAMES.R1)) throw new Error(repositories.join());
  });
}

function ask(world: World, authorization: string, scopes: readonly string[]): Promise<Answer> {
  const query = scopes.map((scope) => `scope=${encodeURIComponent(scope)}`).join("&");
  return world.wire.must(200, "GET", `/token?${query}`, { authorization });
}
