import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { type Lab, openLab, pushImage } from "./testing/lab.ts";

let lab: Lab;

beforeAll(async () => {
  lab = await openLab();
  for (const user of ["dora", "quin", "pete"]) await lab.addUser(user);
  await lab.join("dev", "builders", "dora", { on: "*", level: "admin" });
  await lab.join("dev", "pushers", "pete", { on: "*", level: "read-write" });
  await lab.join("qa", "keepers", "quin", { on: "*", level: "admin" });
});

afterAll(async () => {
  expect(lab.app.errors()).toEqual([]);
  await lab[Symbol.asyncDispose]();
});

const policyPath = (source: string, name: string) => {
  const [org, repo] = source.split("/");
  return `orgs/${org}/repositories/${repo}/promotion-policies/${name}`;
};
const setPolicy = (source: string, name: string, terms: object, as = "admin") =>
  lab.rest("PUT", policyPath(source, name), { as, body: terms });
const eventually = (repository: string, tag: string, digest: string | undefined) =>
  vi.waitFor(async () => expect(await lab.tagDigest(repository, tag)).toBe(digest), { timeout: 60_000, interval: 100 });
const idle = () =>
  vi.waitFor(async () => expect(await lab.app.database.query("", "select id from promotion_queue")).toEqual([]), {
    timeout: 60_000,
    interval: 50,
  });
const promotionsOf = async (source: string) =>
  (await lab.must(200, "GET", `promotions?source=${source}`)).promotions as Record<string, unknown>[];

describe("a promotion policy", () => {
  it("moves what is pushed to where the pusher may do nothing, under the tag of its template", async () => {
    await lab.push("dev/app", "0", "zero");
    const rules = [
      { field: "tag", operator: "starts", values: ["v"] },
      { field: "tag", operator: "not-one-of", values: ["v-no"] },
    ];
    await setPolicy("dev/app", "next", { rules, targetRepository: "qa/app", tagTemplate: "%n-rc" });

    const digest = await lab.push("dev/app", "v1", "one", "pete");
    await lab.push("dev/app", "v-no", "two", "pete");
    await lab.push("dev/app", "w1", "three", "pete");

    await eventually("qa/app", "v1-rc", digest);
    await idle();
    expect(await lab.tagDigest("qa/app", "v-no-rc")).toBeUndefined();
    const [promotion, ...others] = await promotionsOf("dev/app");
    expect(promotion).toMatchObject({ state: "done", policy: "next", askedBy: "pete", digest });
    expect(others).toEqual([]);
    expect((await lab.app.ask("GET", "/v2/qa/app/tags/list", { as: "pete" })).status).toBe(404);
  });

  it("does nothing until whoever administers the target agrees, to just these terms", async () => {
    await lab.push("dev/asked", "0", "zero");
    await lab.push("qa/asked", "0", "zero");
    const set = await setPolicy("dev/asked", "next", { targetRepository: "qa/asked" }, "dora");
    expect(set).toMatchObject({ status: 201, body: { acceptedBy: null } });
    await lab.push("dev/asked", "v1", "one", "pete");
    expect(await promotionsOf("dev/asked")).toEqual([]);
    const offers = await lab.must(200, "GET", "orgs/qa/repositories/asked/promotion-offers", { as: "quin" });
    const [{ id, version }] = offers.offers as [{ id: number; version: string }];
    const answer = `orgs/qa/repositories/asked/promotion-offers/${id}/acceptance`;

    await setPolicy("dev/asked", "next", { targetRepository: "qa/asked", tagTemplate: "gold" }, "dora");
    expect((await lab.rest("PUT", answer, { as: "quin", body: { version } })).body.code).toBe("precondition-failed");
    expect((await lab.rest("PUT", answer, { as: "dora", body: { version } })).status).toBe(404);
    await setPolicy("dev/asked", "next", { targetRepository: "qa/asked" }, "dora");
    const again = await lab.must(200, "GET", "orgs/qa/repositories/asked/promotion-offers", { as: "quin" });
    const [offer] = again.offers as [{ version: string }];
    await lab.must(204, "PUT", answer, { as: "quin", body: { version: offer.version } });
    const digest = await lab.push("dev/asked", "v2", "two", "pete");
    await eventually("qa/asked", "v2", digest);

    const changed = await setPolicy("dev/asked", "next", { targetRepository: "qa/asked", tagTemplate: "x" }, "dora");
    expect(changed.body.acceptedBy).toBeNull();
    const off = await setPolicy("dev/asked", "next", {
      targetRepository: "qa/asked",
      tagTemplate: "x",
      enabled: false,
    });
    expect(off.body.acceptedBy).toBe("admin");
    const on = await setPolicy("dev/asked", "next", { targetRepository: "qa/asked", tagTemplate: "x" }, "dora");
    expect(on.body.acceptedBy).toBe("admin");
    await lab.must(204, "DELETE", answer, { as: "quin" });
    expect((await lab.must(200, "GET", policyPath("dev/asked", "next"), { as: "dora" })).acceptedBy).toBeNull();
  });

  it("covers what somebody asks for who has no right at the target, and only that", async () => {
    await lab.push("dev/covered", "0", "zero");
    await lab.push("qa/covered", "0", "zero");
    const rules = [{ field: "tag", operator: "one-of", values: ["v1"] }];
    await lab.push("dev/covered", "v1", "one");
    await lab.push("dev/covered", "v2", "two");
    await setPolicy("dev/covered", "next", { rules, targetRepository: "qa/covered" });
    const ask = (source: string, destination: string) =>
      lab.rest("POST", "promotions", { as: "dora", body: { source, destination } });

    expect((await ask("dev/covered:v2", "qa/covered")).body.code).toBe("forbidden");
    expect((await ask("dev/covered:v1", "qa/covered:other")).body.code).toBe("forbidden");
    expect((await ask("dev/covered:v1", "qa/covered")).body).toMatchObject({ state: "done", policy: "next" });
  });

  it("follows another one, and no circle twice", async () => {
    for (const name of ["dev/chain", "qa/chain", "ops/chain"]) await lab.push(name, "0", "zero");
    await setPolicy("dev/chain", "next", { targetRepository: "qa/chain" });
    await setPolicy("qa/chain", "next", { targetRepository: "ops/chain", tagTemplate: "gold" });
    await setPolicy("ops/chain", "back", { targetRepository: "dev/chain", tagTemplate: "%n-back" });

    const digest = await lab.push("dev/chain", "v1", "one", "pete");

    await eventually("ops/chain", "gold", digest);
    await eventually("dev/chain", "gold-back", digest);
    await idle();
    expect((await promotionsOf("dev/chain")).length).toBe(1);
    expect((await promotionsOf("ops/chain")).length).toBe(1);
  });

  it("does what a process that died left behind, once", async () => {
    await lab.push("dev/late", "0", "zero");
    await lab.push("qa/late", "0", "zero");
    await setPolicy("dev/late", "next", { targetRepository: "qa/late" });
    const digest = await lab.push("dev/late", "v1", "one", "pete");
    await eventually("qa/late", "v1", digest);
    await idle();

    const text = `insert into promotion_queue (repository_id, tag, digest)
      select id, 'v1', $1 from repositories where name = 'dev/late'`;
    await lab.app.database.query("", text, [digest]);
    await idle();

    expect((await promotionsOf("dev/late")).length).toBe(1);
  });

  it("that cannot be kept leaves the reason, and tries again with the next push", async () => {
    await lab.push("dev/stuck", "0", "zero");
    await lab.push("qa/stuck", "v1", "zero");
    await lab.must(200, "PUT", "orgs/qa/repositories/stuck/immutable-tags", { body: { patterns: ["v*"] } });
    await setPolicy("dev/stuck", "next", { targetRepository: "qa/stuck" });

    await lab.push("dev/stuck", "v1", "one", "pete");
    await vi.waitFor(
      async () => expect((await promotionsOf("dev/stuck"))[0]).toMatchObject({ state: "failed" }),
      60_000,
    );
    expect((await promotionsOf("dev/stuck"))[0]?.reason).toContain("immutable");

    await lab.must(200, "PUT", "orgs/qa/repositories/stuck/immutable-tags", { body: { patterns: [] } });
    const digest = await lab.push("dev/stuck", "v1", "two", "pete");
    await eventually("qa/stuck", "v1", digest);
  });

  it.each([
    ["a template with an unknown code", { targetRepository: "qa/app", tagTemplate: "%n-%Q" }],
    ["a template that makes no tag", { targetRepository: "qa/app", tagTemplate: "%n %Y" }],
    ["a team without its organization", { targetRepository: "qa/app", approvals: [{ team: "qa", k: 1 }] }],
    [
      "a field that there is not",
      { targetRepository: "qa/app", rules: [{ field: "cve", operator: "equals", values: ["1"] }] },
    ],
    ["no repository", { targetRepository: "QA" }],
    ["what leads nowhere", { targetRepository: "dev/app" }],
  ])("is refused with %s", async (_what, terms) => {
    expect((await setPolicy("dev/app", "bad", terms)).body.code).toBe("invalid-request");
  });

  it("does not tell by its answer whether there is such a target", async () => {
    await lab.push("ops/hidden", "0", "zero");
    const there = await setPolicy("dev/app", "one", { targetRepository: "ops/hidden" }, "dora");
    const missing = await setPolicy("dev/app", "two", { targetRepository: "ops/missing" }, "dora");

    const comparable = ({ status, body }: typeof there) => [
      status,
      { ...body, name: "", targetRepository: "", setAt: "" },
    ];
    expect(comparable(there)).toEqual(comparable(missing));
  });
});

describe("a signature that comes after the push", () => {
  it("of cosign, by tag or as a referrer, is a reason to look again", async () => {
    const digest = await lab.push("dev/later", "v1", "one");
    await setPolicy("dev/later", "next", { targetRepository: "qa/later" });
    await lab.push("qa/later", "0", "zero");

    await pushImage({ app: lab.app, as: "pete", repository: "dev/later" }, `${digest.replace(":", "-")}.sig`, "sig");

    await eventually("qa/later", "v1", digest);
  });
});
