import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { withoutRecord } from "../testing/without-record.ts";
import type { Approval } from "../trust/approval.ts";
import { addPen, type Lab, openLab, type Pen } from "./testing/lab.ts";

let lab: Lab;
let pens: Record<string, Pen>;
const clock = { offsetMs: 0 };

beforeAll(async () => {
  lab = await openLab(() => new Date(Date.now() + clock.offsetMs));
  for (const user of ["dora", "olga", "omar", "otto", "stan", "vera"]) await lab.addUser(user);
  await lab.join("dev", "builders", "dora", { on: "*", level: "admin" });
  await lab.join("ops", "release", "dora");
  for (const user of ["olga", "omar"]) await lab.join("ops", "release", user);
  await lab.join("ops", "security", "otto");
  await lab.join("dev", "readers", "vera", { on: "*", level: "read-only" });
  pens = Object.fromEntries(
    await Promise.all(
      ["dora", "olga", "omar", "otto", "stan", "vera"].map(async (user) => [user, await addPen(lab, user)]),
    ),
  );
});

afterAll(async () => {
  expect(lab.app.errors()).toEqual([]);
  await lab[Symbol.asyncDispose]();
});

interface Asked {
  readonly id: number;
  readonly digest: string;
  readonly approval: Approval;
}

let count = 0;

/** A promotion that waits for these approvals. */
async function ask(approvals: object[] = [{ team: "ops/release", k: 1 }]): Promise<Asked> {
  const name = `app${++count}`;
  await lab.push(`ops/${name}`, "0", "before");
  const digest = await lab.push(`dev/${name}`, "v1", `image ${name}`);
  await lab.must(201, "PUT", `orgs/dev/repositories/${name}/promotion-policies/gold`, {
    body: { targetRepository: `ops/${name}`, tagTemplate: "gold", approvals },
  });
  const body = { source: `dev/${name}:v1`, destination: `ops/${name}` };
  const { id } = await lab.must(202, "POST", "promotions", { as: "dora", body });
  const approval = {
    ...{ promotion: Number(id), digest, tag: "gold" },
    ...{ source: `registry.test/dev/${name}`, destination: `registry.test/ops/${name}` },
  };
  return { id: Number(id), digest, approval };
}

const approve = (asked: Asked, user: string, change: Partial<Approval> = {}, pen = pens[user]) =>
  lab.rest("POST", `promotions/${asked.id}/approvals`, { as: user, body: pen?.sign({ ...asked.approval, ...change }) });
const goldOf = ({ approval }: Asked) => lab.tagDigest(approval.destination.replace("registry.test/", ""), "gold");

describe("POST promotions/{id}/approvals", () => {
  it("does the promotion with the last approval that is asked for, and says so in the statement", async () => {
    const asked = await ask([
      { team: "ops/release", k: 2 },
      { team: "ops/security", k: 1 },
    ]);

    expect((await approve(asked, "olga")).body).toMatchObject({ state: "pending", approvals: [{ user: "olga" }] });
    expect((await approve(asked, "otto")).body.state).toBe("pending");
    expect(await goldOf(asked)).toBeUndefined();
    const { status, body } = await approve(asked, "omar");

    expect([status, body.state]).toEqual([200, "done"]);
    expect(await goldOf(asked)).toBe(asked.digest);
    const { statement } = await lab.must(200, "GET", `promotions/${asked.id}`);
    const { envelope } = statement as { envelope: string };
    const { payload } = JSON.parse(Buffer.from(envelope, "base64").toString());
    const { predicate } = JSON.parse(Buffer.from(payload, "base64").toString());
    expect(predicate.approvers.map(({ user }: { user: string }) => user)).toEqual(["olga", "otto", "omar"]);
    expect(predicate.required.approvals).toEqual([
      { team: "ops/release", k: 2 },
      { team: "ops/security", k: 1 },
    ]);
  });

  it.each<[string, string, Partial<Approval>, string | undefined, number, string]>([
    ["whoever asked", "dora", {}, undefined, 403, "own-asking"],
    ["somebody in none of the teams", "vera", {}, undefined, 403, "not-an-approver"],
    ["somebody who may see nothing of it", "stan", {}, undefined, 404, "not-found"],
    ["another person's key", "olga", {}, "omar", 400, "bad-approval"],
    ["a statement about another image", "olga", { digest: `sha256:${"0".repeat(64)}` }, undefined, 400, "bad-approval"],
    ["a statement about another tag", "olga", { tag: "silver" }, undefined, 400, "bad-approval"],
    ["a statement for another server", "olga", { destination: "staging.test/ops/app" }, undefined, 400, "bad-approval"],
    ["a statement for another source", "olga", { source: "registry.test/dev/other" }, undefined, 400, "bad-approval"],
    ["a statement of another asking", "olga", { promotion: 999_999 }, undefined, 400, "bad-approval"],
  ])("refuses %s", async (_what, user, change, pen, status, code) => {
    const asked = await ask();

    const answer = await approve(asked, user, change, pens[pen ?? user]);

    expect([answer.status, answer.body.code]).toEqual([status, code]);
    expect(await goldOf(asked)).toBeUndefined();
  });

  it("refuses what is signed as something else, a key that is not proved or was removed, and the same person twice", async () => {
    const asked = await ask([{ team: "ops/release", k: 2 }]);
    const send = (body: unknown) => lab.rest("POST", `promotions/${asked.id}/approvals`, { as: "olga", body });

    expect((await send(pens.olga?.sign(asked.approval, "application/vnd.in-toto+json"))).body.code).toBe(
      "bad-approval",
    );
    const spare = await addPen(lab, "olga");
    const signed = spare.sign(asked.approval);
    await lab.must(204, "DELETE", `users/olga/keys/${spare.spki}`, { as: "olga" });
    expect((await send(signed)).body.code).toBe("bad-approval");
    expect((await approve(asked, "olga")).status).toBe(200);
    expect((await approve(asked, "olga")).body.code).toBe("already-approved");
    expect((await lab.must(200, "GET", `promotions/${asked.id}`)).state).toBe("pending");
  });

  it("counts nobody who left the team, or whose key was removed, by the time it is done", async () => {
    const asked = await ask([{ team: "ops/release", k: 2 }]);
    await lab.addUser("oleg");
    await lab.join("ops", "release", "oleg");
    pens.oleg = await addPen(lab, "oleg");
    await approve(asked, "oleg");
    await lab.must(204, "DELETE", "orgs/ops/teams/release/members/oleg");

    expect((await approve(asked, "olga")).body.state).toBe("pending");
    expect((await approve(asked, "omar")).body.state).toBe("done");
  });

  it("and its record are there together or not at all", async () => {
    const asked = await ask([{ team: "ops/release", k: 2 }]);

    const results = await withoutRecord(lab.app.database, async () => [
      await approve(asked, "olga"),
      await lab.rest("POST", `promotions/${asked.id}/rejection`, { as: "olga", body: {} }),
    ]);

    expect(results.map(({ status }) => status)).toEqual([507, 507]);
    expect(await lab.must(200, "GET", `promotions/${asked.id}`)).toMatchObject({ state: "pending", approvals: [] });
  });
});

describe("a promotion that waits", () => {
  it("is asked for once, and keeps its image", async () => {
    const asked = await ask();
    const name = asked.approval.source.replace("registry.test/", "");

    const again = await lab.rest("POST", "promotions", {
      as: "dora",
      body: { source: `${name}:v1`, destination: asked.approval.destination.replace("registry.test/", "") },
    });

    expect(again.body.code).toBe("already-asked");
    const pins = await lab.app.database.query("", "select kind from pins where digest = $1", [asked.digest]);
    expect(pins).toEqual([{ kind: "promotion" }]);
  });

  it("is superseded once its tag is another image: what was approved is not what would be promoted", async () => {
    const asked = await ask([{ team: "ops/release", k: 2 }]);
    await approve(asked, "olga");
    await lab.push(asked.approval.source.replace("registry.test/", ""), "v1", "something else");

    const late = await approve(asked, "omar");

    expect([late.body.state ?? late.body.code]).toContain(late.status === 200 ? "superseded" : "not-pending");
    expect((await lab.must(200, "GET", `promotions/${asked.id}`)).state).toBe("superseded");
    expect(await goldOf(asked)).toBeUndefined();
  });

  it("is superseded once its policy asks for something else", async () => {
    const asked = await ask();
    const repo = asked.approval.source.split("/").at(-1);
    await lab.must(200, "PUT", `orgs/dev/repositories/${repo}/promotion-policies/gold`, {
      body: { targetRepository: `ops/${repo}`, tagTemplate: "gold", approvals: [{ team: "ops/release", k: 3 }] },
    });

    expect((await approve(asked, "olga")).body.state).toBe("superseded");
    expect(await goldOf(asked)).toBeUndefined();
  });

  it("can be rejected by whoever may approve it or asked for it, not by others, and not twice", async () => {
    const [one, two, three] = [await ask(), await ask(), await ask()];
    const reject = (asked: Asked, as: string) =>
      lab.rest("POST", `promotions/${asked.id}/rejection`, { as, body: { reason: "not today" } });

    expect((await reject(one, "olga")).body).toMatchObject({
      state: "rejected",
      reason: "rejected by olga: not today",
    });
    expect((await reject(two, "dora")).body.state).toBe("rejected");
    expect((await reject(three, "stan")).status).toBe(404);
    expect((await reject(one, "omar")).body.code).toBe("not-pending");
    expect((await approve(one, "omar")).body.code).toBe("not-pending");
    expect(await lab.app.database.query("", "select 1 from pins where digest = $1", [one.digest])).toEqual([]);
  });

  it("expires", async () => {
    const asked = await ask();
    clock.offsetMs = 7 * 86_400_000 + 1000;
    try {
      expect((await approve(asked, "olga")).body.code).toBe("not-pending");
    } finally {
      clock.offsetMs = 0;
    }
    expect(await goldOf(asked)).toBeUndefined();
  });
});
