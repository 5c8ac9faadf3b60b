import { beforeAll, describe, expect, it } from "vitest";
import { useLab } from "./testing/lab.ts";
import { goldPolicy } from "./testing/policy.ts";

const { lab } = useLab();

beforeAll(async () => {
  await lab().user("carol");
  await lab().must("PUT", "orgs/ops/members/carol", { role: "owner" });
  await lab().must("PUT", "orgs/qa/members/alice", { role: "member" });
  await lab().must("PUT", "orgs/ops/teams/gold/grants/*", { level: "admin" });
  await lab().user("audrey");
  await lab().must("PUT", "users/audrey", { roles: ["auditor"] });
});

const put = (name: string, body: object, as = "admin", headers = {}) =>
  lab().rest("PUT", `orgs/ops/policies/${name}`, body, as, headers);

describe("PUT …/policies/{policy}", () => {
  it("makes it, answers it with all that was left out, and replaces it under If-Match", async () => {
    const made = await put("first", { repositories: ["app"], mode: "warn", require: [{ k: 1 }] });
    const etag = String(made.headers.etag);
    const [other, same] = [
      await put("first", goldPolicy("app"), "admin", { "if-match": '"1"' }),
      await put("first", goldPolicy("app"), "admin", { "if-match": etag }),
    ];
    const read = await lab().rest("GET", "orgs/ops/policies/first");

    expect([made.status, made.body]).toEqual([
      201,
      {
        ...{ name: "first", repositories: ["app"], applies: ["pull"], mode: "warn", needsTag: false },
        require: [{ k: 1, class: "client-key" }],
      },
    ]);
    expect([other.status, other.body.code, same.status]).toEqual([412, "precondition-failed", 200]);
    expect(read.body.require).toEqual([{ team: "gold", k: 1, class: "client-key" }]);
    expect(read.headers.etag).not.toBe(etag);
  });

  it.each<[string, object, RegExp]>([
    ["a field that it does not know", { ...goldPolicy("app"), block: true }, /block/],
    ["no rule", { ...goldPolicy("app"), require: [] }, /require/],
    ["no repository", { ...goldPolicy("app"), repositories: [] }, /repositories/],
    ["a pattern that is none", { ...goldPolicy("app"), repositories: ["App"] }, /image pattern/],
    ["a pattern that begins with the organization", { ...goldPolicy("ops/app") }, /below ops: app, not ops\/app/],
    ["a mode that is none", { ...goldPolicy("app"), mode: "block" }, /mode/],
    ["an age that is none", { ...goldPolicy("app"), maxTimestampAge: "2 days" }, /maxTimestampAge/],
    ["an occasion that is none", { ...goldPolicy("app"), applies: ["deploy"] }, /applies/],
    ["a team that is not there", { ...goldPolicy("app"), require: [{ team: "golden", k: 1 }] }, /no team ops\/golden/],
    ["a GUN in nobody's name", { ...goldPolicy("app"), require: [{ k: 1, gun: "x{name}/x" }] }, /no organization/],
    ["a GUN where nobody is", { ...goldPolicy("app"), require: [{ k: 1, gun: "none/x" }] }, /no organization none/],
  ])("refuses %s", async (_what, body, why) => {
    const { status, body: problem } = await put("bad", body);

    expect([status, problem.code, problem.detail]).toEqual([400, "invalid-request", expect.stringMatching(why)]);
    expect((await lab().rest("GET", "orgs/ops/policies/bad")).status).toBe(404);
  });

  it("refuses names that are no policy's, and what is no organization", async () => {
    const statuses = [
      (await put("Bad", goldPolicy("app"))).status,
      (await lab().rest("PUT", "orgs/none/policies/gold", { ...goldPolicy("app"), require: [{ k: 1 }] })).status,
      (await lab().rest("DELETE", "orgs/ops/policies/none")).status,
    ];

    expect(statuses).toEqual([400, 404, 404]);
  });

  it("is for owners and for who administers everything, and looks like nothing to others", async () => {
    const statusesOf = async (method: string, path: string, body?: object) => {
      const statuses: number[] = [];
      for (const as of ["admin", "carol", "alice", "audrey", "bob"])
        statuses.push((await lab().rest(method, path, body, as)).status);
      return statuses;
    };
    await lab().must("PUT", "orgs/ops/members/bob", { role: "member" });
    const asMember = await statusesOf("GET", "orgs/ops/policies");
    await lab().must("DELETE", "orgs/ops/members/bob");

    expect(asMember).toEqual([200, 200, 200, 200, 403]);
    expect(await statusesOf("GET", "orgs/ops/policies")).toEqual([200, 200, 200, 200, 404]);
    expect(await statusesOf("PUT", "orgs/ops/policies/mine", goldPolicy("x"))).toEqual([201, 200, 200, 403, 404]);
    expect(await statusesOf("DELETE", "orgs/ops/policies/mine")).toEqual([204, 404, 404, 403, 404]);
  });

  it("takes a user's own, and looks where its sender belongs only", async () => {
    const rows = (row: object) => ({ ...goldPolicy("app"), require: [{ k: 1, ...row }] });
    const [own, foreign] = [{ team: "qa/testers", gun: "qa/{name}" }, { team: "ops/gold" }];
    const statusesOf = async (as: string) => [
      (await lab().rest("PUT", `orgs/${as}/policies/mine`, rows(own), as)).status,
      (await lab().rest("PUT", `orgs/${as}/policies/mine`, rows(foreign), as)).status,
      (await lab().rest("PUT", `orgs/${as}/policies/mine`, rows({ gun: "ops/{name}" }), as)).status,
      (await lab().rest("PUT", `orgs/${as}/policies/mine`, rows({ team: "ops/none" }), as)).status,
    ];

    expect(await statusesOf("alice")).toEqual([201, 200, 200, 400]);
    expect(await statusesOf("bob")).toEqual([201, 400, 400, 400]);
    const hidden = await lab().rest("PUT", "orgs/bob/policies/mine", rows(foreign), "bob");
    const missing = await lab().rest("PUT", "orgs/bob/policies/mine", rows({ team: "none/gold" }), "bob");
    expect(hidden.body.detail.replaceAll("ops/", "none/")).toBe(missing.body.detail);
  });

  it("has an end, and goes with its organization", async () => {
    await lab().app.addOrg("many");
    const off = { repositories: ["app"], mode: "off", require: [{ k: 1 }] };
    await lab().app.database.query(
      "",
      "insert into policies (org, name, mode, document) select 'many', 'p' || n, 'off', $1 from generate_series(10, 72) n",
      [JSON.stringify(off)],
    );
    const statuses = [];
    for (const name of ["last", "more", "last"]) {
      const { status, body } = await lab().rest("PUT", `orgs/many/policies/${name}`, off);
      statuses.push([status, body.code]);
    }
    await lab().must("DELETE", "orgs/many");

    expect(statuses).toEqual([
      [201, undefined],
      [409, "too-many-policies"],
      [200, undefined],
    ]);
    expect(await lab().app.database.query("", "select 1 from policies where org = 'many'")).toEqual([]);
  });

  it("lists by name, page by page", async () => {
    for (const name of ["p1", "p2", "p3"]) await put(name, { ...goldPolicy("nothing"), mode: "off" });

    const page = (await lab().must("GET", "orgs/ops/policies?after=p0&limit=2")).body;
    const rest = (await lab().must("GET", `${page.next.replace("/api/v1/", "")}`)).body;

    expect(page.policies.map(({ name }: { name: string }) => name)).toEqual(["p1", "p2"]);
    expect(rest.policies.map(({ name }: { name: string }) => name)).toEqual(["p3"]);
  });
});
