import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import type { Machine } from "../trust/testing/trust-lab.ts";
import { makeKey, PROD, usePolicyLab } from "./testing/policy-lab.ts";

const lab = usePolicyLab();
const { keys, draft, signedBy } = lab;
let admin: Machine;
let alice: Machine;
let bob: Machine;
beforeAll(() => {
  [admin, alice, bob] = [lab.machineOf("admin"), lab.machineOf("alice"), lab.machineOf("bob")];
});

describe("goldseal policy", () => {
  it("goes from the registry's people to a policy that two of them signed, and back", async () => {
    const path = await draft("first.json");
    expect(JSON.parse(await readFile(path, "utf8"))).toMatchObject({
      version: 1,
      environments: {
        prod: {
          images: ["ops/*", "gold/**"],
          require: [
            { team: "acme/qa", k: 2, class: "client-key", gun: "qa/{name}" },
            { k: 1, class: "client-key" },
          ],
          maxTimestampAge: "48h",
          operators: [keys.alice],
          rights: { "acme/ops": "deploy" },
        },
      },
      teams: { "acme/ops": ["alice"], "acme/qa": ["alice", "bob"] },
      keys: { [keys.alice]: { user: "alice" }, [keys.bob]: { user: "bob" } },
    });

    const signed = await signedBy(path, alice, bob);
    const push = await admin.goldseal(`policy push ${signed}`);

    expect(push).toMatchObject({ status: 0, err: "policy version 1, signed by alice, bob, is handed in\n" });
    const shown = await alice.goldseal("policy show");
    expect(shown.out.split("\n")).toEqual([
      expect.stringMatching(/^policy version 1, until 20\d\d-/),
      expect.stringMatching(/^document sha256:[0-9a-f]{64}$/),
      `signed by alice, key ${keys.alice}`,
      `signed by bob, key ${keys.bob}`,
      "environment prod",
      "  images            ops/*, gold/**",
      "  signed by         2 people of team acme/qa with their own key, in the trust data of qa/{name}",
      "                    one person with their own key",
      "  freshness         signed by the registry not more than 2 d ago",
      `  orders by         alice (key ${keys.alice.slice(0, 12)})`,
      "  services may set  nothing beside their image",
      "  rights            team acme/ops may view, operate and deploy",
      "team acme/ops: alice",
      "team acme/qa: alice, bob",
      `key ${keys.alice}: alice`,
      `key ${keys.bob}: bob`,
      "",
    ]);
    expect((await bob.goldseal(`policy show ${signed}`)).out).toBe(shown.out);
    const json = JSON.parse((await alice.goldseal("policy show --json")).out);
    expect(json).toMatchObject({
      version: 1,
      signers: [
        { user: "alice", good: true },
        { user: "bob", good: true },
      ],
    });
    expect(await admin.goldseal(`policy push ${signed}`)).toMatchObject({
      err: expect.stringContaining("there already"),
    });
  });

  it("drafts the next version from the one of now, with the people of now, and says what it changes", async () => {
    expect(await admin.goldseal(`policy push ${await signedBy(await draft("one.json"), alice)}`)).toMatchObject({
      status: 0,
    });
    await admin.goldseal("team remove acme ops alice");
    await admin.goldseal("team add acme ops bob");

    const next = await draft("two.json", "--environment test --images ** --require *");
    const diff = await alice.goldseal(`policy diff ${next}`);

    const same = await alice.goldseal(`policy diff ${next} ${next}`);
    await admin.goldseal("team remove acme ops bob");
    await admin.goldseal("team add acme ops alice");
    expect(diff.out.split("\n").sort()).toEqual([
      "",
      "alice leaves team acme/ops",
      "bob joins team acme/ops",
      "environment test is new: see goldseal policy show",
      expect.stringMatching(/^expires is 20.* instead of 20/),
      "version is 2 instead of 1",
    ]);
    expect(same).toMatchObject({ status: 0, out: "", err: `${next} and ${next} say the same\n` });
    const lines = (await alice.goldseal(`policy diff ${next} --json`)).out.trimEnd().split("\n");
    expect(lines.map((line) => JSON.parse(line).path)).toContainEqual(["teams", "acme/ops", "bob"]);
  });

  it("says of every kind of change what it means", async () => {
    const path = await draft("old.json");
    const document = JSON.parse(await readFile(path, "utf8"));
    const { prod } = document.environments;
    prod.images = ["ops/*"];
    prod.require[0].k = 1;
    prod.operators = [keys.bob];
    prod.rights = { "acme/ops": "view", "acme/qa": "operate" };
    prod.specLimits = { command: true };
    delete prod.maxTimestampAge;
    document.teams["acme/dev"] = ["bob"];
    const changed = path.replace("old.json", "new.json");
    await writeFile(changed, JSON.stringify(document));

    const { out } = await alice.goldseal(`policy diff ${path} ${changed}`);

    expect(out.trimEnd().split("\n").sort()).toEqual([
      "environment prod NO LONGER asks for signatures of 2 people of team acme/qa with their own key, in the trust data of qa/{name}",
      "environment prod asks for signatures of one person of team acme/qa with their own key, in the trust data of qa/{name}",
      "environment prod: gold/** no longer runs there",
      "environment prod: maxTimestampAge is gone; it was 48h",
      `environment prod: orders by alice's key ${keys.alice} no longer count`,
      `environment prod: orders by bob's key ${keys.bob} count`,
      "environment prod: specLimits command is new: true",
      "environment prod: team acme/ops may view instead of deploy",
      "environment prod: team acme/qa may operate",
      "team acme/dev is new: bob",
    ]);
  });
});

describe("goldseal policy draft", () => {
  it("reads a template, and knows teams of no organization only with their members", async () => {
    const path = join(alice.folder, "template.yaml");
    const text = "environments:\n  prod:\n    images: [ops/*]\n    require: [{team: board, k: 1}]\n";
    await writeFile(path, text);
    const without = await admin.goldseal(`policy draft --from ${path}`);
    await writeFile(path, `${text}teams: {board: [bob], acme/ops: []}\nusers: [alice]\n`);

    const { out } = await admin.goldseal(`policy draft --from ${path}`);

    expect(without).toMatchObject({ status: 1, out: "", err: expect.stringContaining("team board: name it with its") });
    const { teams, keys: listed } = JSON.parse(out);
    expect(teams).toEqual({ "acme/ops": ["alice"], board: ["bob"] });
    expect(Object.keys(listed).sort()).toEqual([keys.alice, keys.bob].sort());
  });

  it("keeps where services are placed, and what is done with what is not trusted any more", async () => {
    const [path, wrong] = ["placed.yaml", "wrong.yaml"].map((name) => join(alice.folder, name)) as [string, string];
    const rules = { require: ["node.labels.tier==prod"], inject: ["node.role!=manager"], usernsOnly: true };
    const prod = { images: ["ops/*"], require: [{ k: 1 }], onTrustLost: "freeze", onUnmanaged: "remove" };
    const write = (file: string, placement: object) =>
      writeFile(file, JSON.stringify({ environments: { prod: { ...prod, placement } }, users: ["alice"] }));
    await write(path, rules);
    await write(wrong, { require: ["node.label.tier==prod"] });

    const { out } = await admin.goldseal(`policy draft --from ${path}`);

    const document = JSON.parse(out);
    expect(document.environments.prod).toMatchObject({ ...prod, placement: rules });
    const [before, after] = [join(alice.folder, "before.json"), join(alice.folder, "after.json")];
    await writeFile(before, out);
    document.environments.prod.placement = { require: [], inject: [...rules.inject, "node.labels.disk==ssd"] };
    await writeFile(after, JSON.stringify(document));
    const shown = (await alice.goldseal(`policy show ${before}`)).out;
    for (const line of [
      "  placed            services must ask for node.labels.tier==prod",
      "                    services get node.role!=manager",
      "                    only on nodes with user namespaces",
      "  trust lost        what runs: freeze",
      "  unmanaged         what runs: remove",
    ])
      expect(shown.split("\n")).toContain(line);
    expect((await alice.goldseal(`policy diff ${before} ${after}`)).out.trimEnd().split("\n").sort()).toEqual([
      "environment prod: placement usernsOnly is gone; it was true",
      "environment prod: services get node.labels.disk==ssd",
      "environment prod: services no longer have to ask for node.labels.tier==prod",
    ]);
    expect(await admin.goldseal(`policy draft --from ${wrong}`)).toMatchObject({
      ...{ status: 1, out: "" },
      err: expect.stringContaining("placement.require.0: a constraint is KEY==VALUE"),
    });
  });

  it.each([
    ["no environment", "", 2, "has no policy yet; say what runs where"],
    ["no images", "--environment prod --require *", 2, "--images"],
    ["a rule it cannot read", "--environment prod --images ** --require :2", 2, "is not like acme/qa"],
    [
      "more people than have keys",
      "--environment prod --images ** --require acme/ops:2",
      1,
      "asks for 2 of team acme/ops",
    ],
    ["a team that is not there", "--environment prod --images ** --require acme/none", 1, "not-found"],
    [
      "an operator without a key",
      "--environment prod --images ** --require * --operators admin",
      1,
      "admin has no proved key",
    ],
    ["a right that is none", "--environment prod --images ** --require * --rights acme/qa=rule", 1, "rights"],
  ])("refuses %s, and prints nothing", async (_what, options, status, why) => {
    expect(await admin.goldseal(`policy draft ${options}`.trimEnd())).toMatchObject({
      ...{ status, out: "" },
      err: expect.stringContaining(why),
    });
  });

  it("says who has no key that counts", async () => {
    await admin.goldseal("team create acme dev bob");
    const { err } = await admin.goldseal(
      "policy draft --environment prod --images ** --require acme/dev --rights acme/dev=view",
    );
    expect(err).toBe("");

    await lab.app().database.query("", "update user_keys set removed_at = now() where name = 'alice'");
    const without = await admin.goldseal(
      "policy draft --environment prod --images ** --require * --rights acme/ops=view",
    );
    await lab.app().database.query("", "update user_keys set removed_at = null");

    expect(without).toMatchObject({ status: 0, err: expect.stringMatching(/without a proved key.*: alice\n$/) });
  });

  it("lists no key that nobody has proved", async () => {
    const elsewhere = lab.openMachine("bob");
    const claimed = await makeKey(elsewhere, "claimed", { owned: false });
    const path = join(elsewhere.folder, "claimed.pub");
    expect(await bob.goldseal(`key add ${path}`)).toMatchObject({ err: expect.stringContaining("unproven") });

    const { keys: listed } = JSON.parse(await readFile(await draft("unproven.json"), "utf8"));

    expect(Object.keys(listed)).not.toContain(claimed);
    expect(await bob.goldseal("key remove claimed")).toMatchObject({ status: 0 });
  });

  it("is not for those who may not see whose keys there are", async () => {
    expect(await alice.goldseal(`policy draft ${PROD}`)).toMatchObject({ status: 1, out: "" });
  });
});
