import { beforeAll, describe, expect, it } from "vitest";
import { PUBLIC_URL } from "../../testing/open-test-app.ts";
import { HOST, type Machine, pushImage, useTrustLab } from "../trust/testing/trust-lab.ts";

const lab = useTrustLab();
let admin: Machine;
let alice: Machine;

beforeAll(async () => {
  [admin, alice] = [lab.openMachine("admin"), lab.openMachine("alice")];
  for (const line of ["org create acme", "member add acme alice", "team create acme qa alice"])
    expect(await admin.goldseal(line)).toMatchObject({ status: 0 });
});

describe("goldseal policies", () => {
  it("sets, lists, shows, changes the mode of, and removes a policy", async () => {
    const rule = "--repositories app,team/* --require qa:1@acme/{name},*=either --applies pull,promotion --needs-tag";
    const set = await admin.goldseal(`policies set acme gold warn ${rule} --environment prod --timestamp-age 48h`);
    expect(set).toMatchObject({ status: 0, err: "policy gold of acme is in mode warn\n" });

    const enforce = await admin.goldseal("policies set acme gold enforce");
    const list = await admin.goldseal("policies list acme");
    const shown = await admin.goldseal("policies show acme gold --json");
    const [json] = (await admin.goldseal("policies list acme --json")).out.split("\n");

    expect(enforce).toMatchObject({ status: 0, err: "policy gold of acme is in mode enforce\n" });
    expect(list.out).toBe(
      "gold  enforce  pull,promotion  app,team/*  one person of team qa with their own key, in the trust data of acme/{name}; one person or the server\n",
    );
    expect(JSON.parse(shown.out)).toEqual({
      ...{ name: "gold", mode: "enforce", repositories: ["app", "team/*"], applies: ["pull", "promotion"] },
      ...{ environment: "prod", maxTimestampAge: "48h", needsTag: true },
      require: [
        { team: "qa", k: 1, class: "client-key", gun: "acme/{name}" },
        { k: 1, class: "either" },
      ],
    });
    expect(JSON.parse(json ?? "")).toEqual(JSON.parse(shown.out));
    expect((await admin.goldseal("policies show acme gold")).out).toMatch(
      /^mode +enforce\n[\s\S]*\nsigned by +one person of team qa with their own key, in [\s\S]*\nsigned by +one person or the server\n$/m,
    );
    const removed = await admin.goldseal("policies remove acme gold");
    expect(removed).toMatchObject({ status: 0, err: "removed policy gold of acme\n" });
    expect(await admin.goldseal("policies list acme")).toMatchObject({ status: 0, out: "" });
  });

  it.each([
    ["no rule for a new policy", "set acme new enforce", 2, "--require says it, such as --require acme/qa"],
    ["another change without the rules", "set acme new enforce --repositories app", 2, "--require says it"],
    ["a mode that is none", "set acme new on --require qa", 2, "a mode is off, warn or enforce"],
    ["a rule it cannot read", "set acme new warn --require qa=maybe", 2, "is not like acme/qa"],
    ["a team that is not there", "set acme new warn --require none", 1, "there is no team acme/none"],
    ["what is not there", "remove acme none", 1, "404 not-found"],
  ])("refuses %s", async (_what, line, status, why) => {
    expect(await admin.goldseal(`policies ${line}`)).toMatchObject({ status, err: expect.stringContaining(why) });
  });

  it("are for those who administer all of the organization", async () => {
    expect(await alice.goldseal("policies set acme mine off --require qa")).toMatchObject({
      ...{ status: 1, out: "" },
      err: expect.stringContaining("403 forbidden"),
    });
  });
});

describe("goldseal policies set --dry-run", () => {
  it("lists what would be refused now, and changes nothing", async () => {
    const place = { app: lab.app(), as: "admin", repository: "acme/dry" };
    const digest = await pushImage(place, "1");

    const tried = await admin.goldseal("policies set acme dry enforce --repositories dry --require qa --dry-run");
    const other = await admin.goldseal(
      "policies set acme dry enforce --repositories none --require qa --dry-run --json",
    );

    expect(tried).toMatchObject({
      status: 0,
      out: `acme/dry:1  ${digest} must be signed by one person of team qa with their own key, and is by nobody; one of them signs it with: goldseal trust sign ${HOST}/acme/dry:1\n`,
      err: "policy dry of acme would refuse 1 of 1 tags; nothing is changed\n",
    });
    expect(other).toMatchObject({ out: "", err: expect.stringContaining("would refuse 0 of 0 tags") });
    expect(await admin.goldseal("policies list acme")).toMatchObject({ out: "" });
  });
});

describe("goldseal policies verdict", () => {
  it("says who signed an image, what is missing and what counts for nothing", async () => {
    const [app, repository] = [lab.app(), "acme/app"];
    const digest = await pushImage({ app, as: "admin", repository }, "1");
    await pushImage({ app, as: "admin", repository }, "2");
    expect(await admin.goldseal("policies set acme gold enforce --require qa")).toMatchObject({ status: 0 });
    expect(await admin.goldseal("grant set acme/app qa admin")).toMatchObject({ status: 0 });
    const before = await alice.goldseal("policies verdict acme/app:1");
    expect(await alice.goldseal(`trust init ${HOST}/acme/app`)).toMatchObject({ status: 0 });
    expect(await alice.goldseal(`trust sign ${HOST}/acme/app:1`)).toMatchObject({ status: 0 });

    const unproved = await alice.goldseal("policies verdict acme/app:1");
    const proved = await alice.goldseal(`key add alice --server ${PUBLIC_URL}`);
    const json = await alice.goldseal(`policies verdict acme/app@${digest} --json`);
    const after = await alice.goldseal("policies verdict acme/app:1");

    const must = `must be signed by one person of team qa with their own key, and is by nobody`;
    expect(before.out).toBe(
      `acme/app:1 ${digest}\npolicy gold (enforce): refused\n  ${digest} ${must}; one of them signs it with: goldseal trust sign ${HOST}/acme/app:1\n`,
    );
    expect(unproved.out).toMatch(
      /\nnot counted: signed by the stranger's key [0-9a-f]{64} \(tuf\) as .*: it is by a key/,
    );
    expect(proved).toMatchObject({ status: 0 });
    const [, allowed, signed] = after.out.split("\n");
    expect(allowed).toMatch(/^policy gold \(enforce\): allowed until 20\d\d-/);
    expect(signed).toBe(`signed by alice (tuf) as ${HOST}/acme/app:1 in targets/alice`);
    expect(JSON.parse(json.out)).toMatchObject({ digest, tag: null, image: true, verdicts: [{ allowed: true }] });
    expect((await alice.goldseal("policies verdict acme/app:2")).out).toContain(" is by nobody");
  });

  it.each([
    ["no tag", "acme/app", 2, "which one? acme/app:TAG"],
    ["another registry's image", "other.test/acme/app:1", 2, "other.test is not the registry that is asked"],
    ["what is not there", "acme/app:none", 1, "404 not-found"],
  ])("refuses %s", async (_what, image, status, why) => {
    expect(await alice.goldseal(`policies verdict ${image}`)).toMatchObject({
      status,
      err: expect.stringContaining(why),
    });
  });
});
