import { describe, expect, it } from "vitest";
import { type Ask, basic, bearer } from "./test-server.ts";
import { as, useTokenLab } from "./test-token-lab.ts";

const lab = useTokenLab();
const { rest, must, tokenOf } = lab;

async function makeRobot(name: string, ...grants: { scope: string; actions: string[] }[]) {
  const { secret } = await must("PUT", `orgs/lab/robots/${name}`, { grants });
  return basic(`lab+${name}`, secret);
}

const OPERATIONS = {
  list: ["GET", "tags/list"],
  pull: ["GET", "manifests/x"],
  push: ["PUT", "tags/list"],
  untag: ["DELETE", "tags/list"],
  delete: ["DELETE", "blobs/x"],
  sign: ["POST", "sign"],
  promote: ["POST", "promote"],
  admin: ["POST", "admin"],
} as const;

async function allowed(headers: Ask["headers"], repository: string): Promise<string> {
  const entries = Object.entries(OPERATIONS).map(async ([name, [method, rest]]) => {
    const { status } = await lab.server().send(method, `/v2/${repository}/${rest}`, { headers: { ...headers } });
    return status === 200 ? [name] : [];
  });
  return (await Promise.all(entries)).flat().join(" ");
}

const list = (headers: Ask["headers"], repository = "lab/app") =>
  lab
    .server()
    .send("GET", `/v2/${repository}/tags/list`, { headers: { ...headers } })
    .then(({ status }) => status);

describe("a robot", () => {
  it.each([
    [["pull"], "list pull"],
    [["pull", "push"], "list pull push"],
    [["push"], "push"],
    [["pull", "delete"], "list pull untag delete"],
    [["sign"], "sign"],
    [["promote", "pull"], "list pull promote"],
    [["pull", "push", "delete", "sign", "promote", "create"], "list pull push untag delete sign promote"],
  ])("with %j may %s in its one repository, and nothing elsewhere", async (actions, expected) => {
    const name = `r${actions.join("-")}`.slice(0, 32);
    const robot = await makeRobot(name, { scope: "app", actions });

    expect(await allowed(robot, "lab/app")).toBe(expected);
    expect(await allowed(robot, "lab/teamwork")).toBe("");
    expect(await allowed(robot, "other/app")).toBe("");
  });

  it("signs in at the token service and gets no more than it may, and no identity token", async () => {
    const robot = await makeRobot("signer-in", { scope: "app", actions: ["pull", "push"] });
    const path =
      "/token?offline_token=true&scope=repository:lab/app:pull,push,delete&scope=repository:lab/teamwork:pull";

    const { body } = await lab.server().send("GET", path, { headers: robot });
    const used = await lab.server().send("PUT", "/v2/lab/app/tags/list", { headers: bearer(body.token) });

    expect([body.scope, body.refresh_token]).toEqual(["repository:lab/app:pull,push", undefined]);
    expect(used.body).toEqual({ actor: "lab+signer-in", kind: "robot" });
  });

  it("with a pattern reaches names that begin so, those to come too, and shows them in its catalog", async () => {
    const robot = await makeRobot(
      "patterned",
      { scope: "team/*", actions: ["pull"] },
      { scope: "app", actions: ["pull"] },
    );

    const { body } = await lab.server().send("GET", "/v2/_catalog", { headers: robot });

    expect(body.repositories).toEqual(["lab/app", "lab/team/one", "lab/team/two"]);
    expect(await list(robot, "lab/teamwork")).toBe(404);
  });

  it("makes repositories with create only", async () => {
    const pusher = await makeRobot("pusher", { scope: "*", actions: ["pull", "push"] });
    const maker = await makeRobot("maker", { scope: "new/*", actions: ["pull", "push", "create"] });
    const push = async (headers: Ask["headers"], name: string) =>
      (await lab.server().send("PUT", `/v2/lab/${name}/tags/list`, { headers: { ...headers } })).status;

    expect([await push(pusher, "app"), await push(pusher, "new/a")]).toEqual([200, 403]);
    expect([await push(maker, "new/a"), await push(maker, "app")]).toEqual([200, 403]);
  });

  it("follows its repository when it is renamed, and has nothing of one made anew under the old name", async () => {
    await must("PUT", "orgs/lab/repositories/moving", { visibility: "private" });
    const robot = await makeRobot("follower", { scope: "moving", actions: ["pull"] });
    await must("POST", "orgs/lab/repositories/moving/rename", { name: "lab/moved" });
    const after = [await list(robot, "lab/moved"), await list(robot, "lab/moving")];
    await must("DELETE", "orgs/lab/repositories/moved");
    await must("PUT", "orgs/lab/repositories/moved", { visibility: "private" });

    expect([...after, await list(robot, "lab/moved")]).toEqual([200, 404, 404]);
    expect((await must("GET", "orgs/lab/robots/follower")).grants).toEqual([]);
  });

  it("loses a repository that leaves its organization", async () => {
    await must("PUT", "orgs/lab/repositories/leaving", { visibility: "private" });
    const robot = await makeRobot("left-behind", { scope: "leaving", actions: ["pull"] });

    await must("POST", "orgs/lab/repositories/leaving/rename", { name: "other/left" });

    expect([await list(robot, "other/left"), await list(robot, "lab/leaving")]).toEqual([404, 404]);
  });

  it("ends with its time, its deletion and a rotation, its tokens too; a robot made anew is another", async () => {
    const robot = await makeRobot("ending", { scope: "app", actions: ["pull"] });
    const token = bearer(await tokenOf(robot, "repository:lab/app:pull"));
    const seen = async () => [await list(robot), await list(token)];
    const before = await seen();

    await lab
      .server()
      .database.query("", "update robots set expires_at = now() - interval '1 second' where name = 'ending'");
    const expired = await seen();
    await lab.server().database.query("", "update robots set expires_at = null where name = 'ending'");
    const rotated = await must("POST", "orgs/lab/robots/ending/rotate", {});
    const afterRotation = [...(await seen()), await list(basic("lab+ending", rotated.secret))];
    const late = bearer(await tokenOf(basic("lab+ending", rotated.secret), "repository:lab/app:pull"));
    await must("DELETE", "orgs/lab/robots/ending");
    await makeRobot("ending", { scope: "app", actions: ["pull"] });
    const anew = [await list(basic("lab+ending", rotated.secret)), await list(late)];

    expect([before, expired, afterRotation, anew]).toEqual([
      [200, 200],
      [401, 401],
      [401, 401, 200],
      [401, 401],
    ]);
  });

  it("keeps its secret for as long as a rotation overlaps", async () => {
    const robot = await makeRobot("overlapping", { scope: "app", actions: ["pull"] });
    const token = bearer(await tokenOf(robot, "repository:lab/app:pull"));
    await must("POST", "orgs/lab/robots/overlapping/rotate", { overlapSeconds: 3600 });
    const during = [await list(robot), await list(token)];

    await lab.server().database.query("", "update robot_secrets set expires_at = now() where expires_at is not null");

    expect([...during, await list(robot), await list(token)]).toEqual([200, 200, 401, 401]);
  });

  it("is made, changed and rotated only by who administers all that it may reach", async () => {
    const app = { grants: [{ scope: "app", actions: ["pull"] }] };
    const more = { grants: [{ scope: "teamwork", actions: ["pull"] }] };
    const all = { grants: [{ scope: "*", actions: ["pull"] }] };
    const put = async (who: string, name: string, body: unknown) =>
      (await rest("PUT", `orgs/lab/robots/${name}`, body, as(who))).status;

    expect([await put("member", "of-app", app), await put("keeper", "of-app", app)]).toEqual([403, 201]);
    expect([await put("keeper", "of-app", more), await put("keeper", "of-all", all)]).toEqual([403, 403]);
    expect([await put("owner", "of-all", all), await put("keeper", "of-all", app)]).toEqual([201, 403]);
    const rotate = (who: string) => rest("POST", "orgs/lab/robots/of-all/rotate", {}, as(who));
    expect([(await rotate("keeper")).status, (await rotate("owner")).status]).toEqual([403, 201]);
    expect((await rest("DELETE", "orgs/lab/robots/of-all", undefined, as("keeper"))).status).toBe(403);
    const create = { grants: [{ scope: "app", actions: ["push", "create"] }] };
    expect(await put("keeper", "of-app", create)).toBe(403);
  });

  it("shows its secret once, and lists without it", async () => {
    const made = await rest("PUT", "orgs/lab/robots/shown", { grants: [{ scope: "app", actions: ["pull", "pull"] }] });
    const again = await rest("PUT", "orgs/lab/robots/shown", { grants: [{ scope: "app", actions: ["push"] }] });
    const { text, body } = await rest("GET", "orgs/lab/robots", undefined, as("member"));

    expect([made.status, made.headers["cache-control"], again.status]).toEqual([201, "no-store", 200]);
    expect(made.body).toMatchObject({ username: "lab+shown", grants: [{ scope: "app", actions: ["pull"] }] });
    expect(made.body.secret).toMatch(/^gsb_[\w-]{43}$/);
    expect(body.robots.map(({ name }: { name: string }) => name)).toContain("shown");
    expect(text + again.text).not.toMatch(/gsb_/);
    const rows = await lab.server().database.query("", "select encode(secret_hash, 'escape') as h from robot_secrets");
    expect(JSON.stringify(rows)).not.toContain(made.body.secret.slice(4));
  });

  it("may read in REST what it may list, and nothing else", async () => {
    const { authorization } = await makeRobot("reader", { scope: "app", actions: ["pull"] });
    const secret = Buffer.from(authorization.slice(6), "base64").toString().split(":")[1] ?? "";
    const paths = ["orgs/lab/repositories/app", "orgs/lab/repositories", "orgs/lab", "users", "tokens", "orgs"];

    for (const headers of [bearer(secret), { authorization }]) {
      const answers = await Promise.all(paths.map((path) => rest("GET", path, undefined, headers)));
      expect(answers.map(({ status }) => status)).toEqual([200, 200, 404, 403, 403, 403]);
      expect(answers[1]?.body.repositories).toEqual([{ name: "lab/app", visibility: "private" }]);
    }
  });

  it.each([
    [{ grants: [] }],
    [{ grants: [{ scope: "app", actions: [] }] }],
    [{ grants: [{ scope: "app", actions: ["admin"] }] }],
    [{ grants: [{ scope: "../other/app", actions: ["pull"] }] }],
    [{ grants: [{ scope: "a*b", actions: ["pull"] }] }],
    [{ grants: [{ scope: "app", actions: ["pull"] }], secret: "mine" }],
    [{ grants: [{ scope: "app", actions: ["pull"] }], expiresAt: "2020-01-01T00:00:00Z" }],
  ])("refuses %j", async (body) => {
    const { status, body: problem } = await rest("PUT", "orgs/lab/robots/refused", body);

    expect([status, problem.code]).toEqual([400, "invalid-request"]);
  });
});
