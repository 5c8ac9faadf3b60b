import { copyFile, mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, beforeEach, describe, expect, it } from "vitest";
import { PUBLIC_URL } from "../../testing/open-test-app.ts";
import { findPrivateKey } from "../docker-keys/key-file.ts";
import { generateSigningKey, sealKey, toPublicPem } from "../docker-keys/signing-key.ts";
import { type Machine, useTrustLab } from "../trust/testing/trust-lab.ts";

const lab = useTrustLab();
let admin: Machine;
let alice: Machine;
let bob: Machine;

/** A key such as docker trust key generate makes, proved where somebody owns it. */
async function makeKey(
  { folder, goldseal }: Machine,
  name: string,
  options: { owned?: boolean } = {},
): Promise<string> {
  const key = generateSigningKey();
  await mkdir(join(folder, "trust", "private"), { recursive: true });
  const path = join(folder, "trust", "private", `${key.key.id}.key`);
  await writeFile(path, sealKey(key, "repopass123", name, undefined));
  await writeFile(join(folder, `${name}.pub`), toPublicPem(key.key, name));
  if (options.owned !== false)
    expect(await goldseal(`key add ${name} --server ${PUBLIC_URL}`)).toMatchObject({ status: 0 });
  return key.key.id;
}

const keys: Record<string, string> = {};
beforeAll(async () => {
  [admin, alice, bob] = [lab.openMachine("admin"), lab.openMachine("alice"), lab.openMachine("bob")];
  for (const line of [
    "org create acme",
    "member add acme alice bob",
    "team create acme qa alice bob",
    "team create acme ops alice",
  ])
    expect(await admin.goldseal(line)).toMatchObject({ status: 0 });
  keys.alice = await makeKey(alice, "alice");
  keys.bob = await makeKey(bob, "bob");
});
beforeEach(async () => {
  await lab.app().database.query("", "truncate bridge_policies");
});

const PROD =
  "--environment prod --images ops/*,gold/** --require acme/qa:2@qa/{name},* --rights acme/ops=deploy --operators alice --timestamp-age 48h";

async function draft(name: string, options = PROD): Promise<string> {
  const { status, out, err } = await admin.goldseal(`policy draft ${options}`.trimEnd());
  expect([status, err]).toEqual([0, ""]);
  const path = join(lab.openMachine("files").folder, name);
  await mkdir(join(path, ".."), { recursive: true });
  await writeFile(path, out);
  return path;
}

const signedBy = async (path: string, ...people: readonly Machine[]): Promise<string> => {
  const signed = path.replace(/\.json$/, ".dsse.json");
  for (const [index, { goldseal }] of people.entries())
    expect(await goldseal(`policy sign ${index === 0 ? path : signed}`)).toMatchObject({ status: 0 });
  return signed;
};

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
      keys: { [keys.alice ?? ""]: { user: "alice" }, [keys.bob ?? ""]: { user: "bob" } },
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
      `  orders by         alice (key ${keys.alice?.slice(0, 12)})`,
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

describe("goldseal policy sign", () => {
  it("signs once, and keeps what others signed", async () => {
    const signed = await signedBy(await draft("again.json"), alice);
    const before = await readFile(signed);

    const again = await alice.goldseal(`policy sign ${signed}`);

    expect(again).toMatchObject({ status: 0, err: expect.stringContaining("holds your signature already") });
    expect(await readFile(signed)).toEqual(before);
    await bob.goldseal(`policy sign ${signed}`);
    const [one, two] = [before, await readFile(signed)].map((bytes) => JSON.parse(bytes.toString()));
    expect(two).toEqual({ ...one, signatures: [one.signatures[0], expect.objectContaining({ keyid: keys.bob })] });
  });

  it("takes the key that the policy lists, whatever others there are", async () => {
    const machine = lab.openMachine("alice");
    await makeKey(machine, "spare", { owned: false });
    const own = `${keys.alice}.key`;
    await copyFile(join(alice.folder, "trust", "private", own), join(machine.folder, "trust", "private", own));

    const { status, err } = await machine.goldseal(`policy sign ${await draft("spare.json")}`);

    expect([status, err]).toEqual([0, expect.stringContaining(`by alice, key ${keys.alice}\n`)]);
  });

  it("never writes over a file in which others may have signed", async () => {
    const path = await draft("twice.json");
    await signedBy(path, alice);

    const { status, err } = await bob.goldseal(`policy sign ${path}`);

    expect([status, err]).toEqual([1, expect.stringContaining("is there already; to add a signature, sign that file")]);
  });

  it("notices a document that was changed after it was signed", async () => {
    const signed = await signedBy(await draft("changed.json"), alice);
    const envelope = JSON.parse(await readFile(signed, "utf8"));
    const document = JSON.parse(Buffer.from(envelope.payload, "base64").toString());
    document.environments.prod.images = ["**"];
    envelope.payload = Buffer.from(JSON.stringify(document)).toString("base64");
    await writeFile(signed, JSON.stringify(envelope));

    expect((await bob.goldseal(`policy show ${signed}`)).out).toContain("NOT signed by alice");
    expect(await alice.goldseal(`policy sign ${signed}`)).toMatchObject({
      status: 1,
      err: expect.stringContaining("it has been changed"),
    });
    expect(await admin.goldseal(`policy push ${signed}`)).toMatchObject({
      status: 1,
      err: expect.stringContaining("(400 policy-signature)"),
    });
  });

  it("takes the key that is named, by name or file, and asks which where several would do", async () => {
    const path = await draft("named.json");
    const carol = lab.openMachine("carol");
    const [first, second] = [
      await makeKey(carol, "one", { owned: false }),
      await makeKey(carol, "two", { owned: false }),
    ];

    const which = await carol.goldseal(`policy sign ${path}`);
    const named = await carol.goldseal(`policy sign ${path} --key two --output ${path}.two`);
    const file = join(carol.folder, "trust", "private", `${first}.key`);
    const byFile = await bob.goldseal(`policy sign ${path} --key ${file} --output ${path}.one`);

    expect(which).toMatchObject({ status: 1, err: expect.stringContaining("which key? name it with --key") });
    expect([named.status, named.err]).toEqual([
      0,
      expect.stringContaining(`a key that the policy does not list, ${second}`),
    ]);
    expect([byFile.status, byFile.err]).toEqual([0, expect.stringContaining(first)]);
    expect((await readdir(join(path, ".."))).length).toBe(3);
    expect(findPrivateKey(await readFile(file, "latin1"))).toBeDefined();
  });

  it("signs nothing that has ended, and nothing that is no policy", async () => {
    const path = await draft("ended.json");
    const document = JSON.parse(await readFile(path, "utf8"));
    await writeFile(path, JSON.stringify({ ...document, expires: "2020-01-01T00:00:00Z" }));
    const ended = await alice.goldseal(`policy sign ${path}`);
    await writeFile(path, JSON.stringify({ ...document, envirnments: {} }));
    const wrong = await alice.goldseal(`policy sign ${path}`);

    expect([ended.status, ended.err]).toEqual([1, expect.stringContaining("expired at 2020-")]);
    expect([wrong.status, wrong.err]).toEqual([1, expect.stringContaining("envirnments")]);
    expect(await alice.goldseal(`policy sign ${path}.none`)).toMatchObject({ status: 1 });
  });
});

describe("goldseal policy show and push", () => {
  it("say where there is nothing, and that a draft is no policy yet", async () => {
    const path = await draft("draft.json");

    expect(await alice.goldseal("policy show")).toMatchObject({
      status: 1,
      err: expect.stringContaining("has no policy"),
    });
    expect((await alice.goldseal(`policy show ${path}`)).out).toContain("a draft: nobody has signed it\n");
    expect(await admin.goldseal(`policy push ${path}`)).toMatchObject({
      status: 1,
      err: expect.stringContaining("sign it first"),
    });
  });
});
