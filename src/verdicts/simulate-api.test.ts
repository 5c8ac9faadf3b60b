import { beforeAll, describe, expect, it } from "vitest";
import { useLab } from "./testing/lab.ts";
import { goldPolicy, putPolicy } from "./testing/policy.ts";

const { lab } = useLab();

beforeAll(async () => {
  const image = await lab().push("ops/app", "v1");
  await lab().sign(await lab().found("ops/app"), "alice", "v1", image);
  await lab().put("ops/app", "v2", image.bytes.toString(), "application/vnd.oci.image.manifest.v1+json");
  await lab().put(
    "ops/app",
    `sha256-${"11".repeat(32)}.sig`,
    image.bytes.toString(),
    "application/vnd.oci.image.manifest.v1+json",
  );
  for (const repository of ["ops/deep/app", "ops/web", "qa/app"]) await lab().push(repository, "v1");
});

const simulate = (body: object, query = "", as = "admin") =>
  lab().rest("POST", `orgs/ops/policies/planned/simulate${query}`, body, as);

describe("POST …/policies/{policy}/simulate", () => {
  it("names what the policy would refuse now, and why, and changes nothing", async () => {
    const { status, body } = await simulate(goldPolicy("**", { mode: "off" }));

    const named = body.refused.map(
      ({ repository, tag }: { repository: string; tag: string }) => `${repository}:${tag}`,
    );
    expect([status, body.judged, named]).toEqual([200, 4, ["ops/app:v2", "ops/deep/app:v1", "ops/web:v1"]]);
    expect(body.refused[1].missing).toEqual([expect.stringMatching(/must be signed by one person of team gold/)]);
    expect(body.next).toBeUndefined();
    expect((await lab().rest("GET", "orgs/ops/policies/planned")).status).toBe(404);
    expect((await lab().app.ask("GET", "/v2/ops/web/manifests/v1", { as: "admin" })).headers.warning).toBeUndefined();
  });

  it("looks at the repositories that it covers, and goes on after a tag", async () => {
    const [some, after] = [await simulate(goldPolicy("*")), await simulate(goldPolicy("**"), "?after=ops/app:v2")];

    expect([some.body.judged, some.body.refused.length]).toEqual([3, 2]);
    expect([after.body.judged, after.body.refused.length]).toEqual([2, 2]);
  });

  it("refuses what no policy may say, and whoever may make none", async () => {
    const answers = [
      await simulate(goldPolicy("**", { require: [{ team: "none", k: 1 }] })),
      await simulate({ ...goldPolicy("**"), mode: "hard" }),
      await simulate(goldPolicy("**"), "?after=app"),
      await simulate(goldPolicy("**"), "", "alice"),
      await simulate(goldPolicy("**"), "", "bob"),
    ];

    expect(answers.map(({ status }) => status)).toEqual([400, 400, 400, 403, 404]);
  });

  it("needs no policy to be there, nor minds one", async () => {
    await putPolicy(lab(), "planned", goldPolicy("app"));

    expect((await simulate(goldPolicy("web"))).body.refused).toHaveLength(1);
  });
});
