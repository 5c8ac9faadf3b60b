/** From a developer's push to the gold image, with real clients, and what becomes of it when the tester's key is gone. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Dockerd } from "../clients/dockerd.ts";
import { getTool, mustRun } from "../harness/tools.ts";
import { type CosignVersion, cosignSign } from "./cosign.ts";
import { ownCosignKey, ownDockerKey, publicHalf } from "./keys.ts";
import type { Json, Machine } from "./machines.ts";
import { must, mustFail, until, type World } from "./world.ts";

/** In the engine, with nothing but a file: each tag gets another one. */
const baseOf = (tag: string): string => `goldseal-story-base:${tag}`;
/** How the tester signs, by tag. */
const ROUNDS = { "1.4": "goldseal trust", "1.5": "docker trust", "1.6": "cosign v2", "1.7": "cosign v3" } as const;
type Tag = keyof typeof ROUNDS;

export async function makeBases({ socket }: Dockerd): Promise<void> {
  const temp = mkdtempSync(join(tmpdir(), "goldseal-story-image-"));
  try {
    for (const tag of [...Object.keys(ROUNDS), "test"]) {
      writeFileSync(join(temp, "readme.txt"), `what is released as ${tag}\n`);
      await mustRun("tar", ["-C", temp, "-cf", join(temp, "image.tar"), "readme.txt"]);
      await mustRun(getTool("docker-20.10"), ["--host", socket, "import", join(temp, "image.tar"), baseOf(tag)]);
    }
  } finally {
    rmSync(temp, { recursive: true });
  }
}

/** One step builds on those before it, so the first that goes wrong ends the story. */
export async function tellStory(world: World): Promise<void> {
  const steps = stepsOf(world);
  for (const [index, [name, run]] of steps.entries()) {
    const title = `story, ${world.docker}: ${index + 1}/${steps.length} ${name}`;
    if (!(await world.report.check(title, run))) return;
  }
}

type Step = readonly [name: string, run: () => Promise<void>];

function stepsOf(world: World): Step[] {
  const { people } = world;
  return [
    ["an administrator sets the rules", () => setRules(world)],
    ["quinn and rita make keys, and prove that they hold them", () => makeKeys(world)],
    ["an administrator founds the trust data of qa/app, and lets quinn and the server sign", () => foundTrust(world)],
    ...(Object.keys(ROUNDS) as Tag[]).flatMap((tag) => roundOf(world, tag)),
    ["oz does not get ops/app:test, which nobody signed, and reads why", () => refuseUnsigned(world)],
    ["what was gold stays what it was", () => keepGold(world)],
    ["quinn's keys are removed", () => removeKeys(people.admin, people.quinn)],
    ["5 s later that is on record, without anybody reading", () => mustBeLost(world)],
    ["oz gets nothing of it any more, and reads why", () => refuseAll(world)],
    ["the history shows it all, from the push to the loss", () => showHistory(world)],
  ];
}

const GOLD: Readonly<Record<Tag, string>> = { "1.4": "gold", "1.5": "gold-1.5", "1.6": "gold-1.6", "1.7": "gold-1.7" };

async function setRules({ people: { admin } }: World): Promise<void> {
  for (const repository of ["dev/app", "qa/app", "ops/app"])
    await must(admin.goldseal(`repository create ${repository}`));
  const moves = { rules: [{ field: "tag", operator: "starts", values: ["1."] }], targetRepository: "qa/app" };
  await admin.put("orgs/dev/repositories/app/promotion-policies/to-qa", moves);
  const gates = { approvals: [{ team: "ops/release", k: 1 }], require: [{ team: "qa/testers", k: 1 }] };
  for (const [name, operator, tagTemplate] of [
    ["gold", "equals", "gold"],
    ["others", "not-one-of", "gold-%n"],
  ] as const) {
    const rules = [{ field: "tag", operator, values: ["1.4"] }];
    await admin.put(`orgs/qa/repositories/app/promotion-policies/${name}`, {
      ...{ ...gates, rules, tagTemplate, targetRepository: "ops/app" },
    });
  }
  await admin.put("orgs/ops/repositories/app/immutable-tags", { patterns: ["gold*"] });
  await must(admin.goldseal("policies set ops gold enforce --require qa/testers@qa/{name} --environment prod"));
  await must(admin.goldseal("policies list ops"), /gold +enforce +pull +\*\* +one person of team qa\/testers/);
}

async function makeKeys({ people: { quinn, rita } }: World): Promise<void> {
  await ownDockerKey(quinn, "quinn");
  await ownCosignKey(quinn, "cosign");
  await ownDockerKey(rita, "rita");
}

async function foundTrust({ server, people: { admin, quinn } }: World): Promise<void> {
  const image = `${server.host}/qa/app`;
  await must(admin.goldseal(`trust init ${image}`), /targets\/goldseal-promote/);
  await must(admin.run("tee", ["quinn.pub"], publicHalf(quinn, "quinn")));
  await must(admin.docker(`trust signer add --key quinn.pub quinn ${image}`), /Successfully added signer/);
}

function roundOf(world: World, tag: Tag): Step[] {
  const { server, people, docker } = world;
  const { dan, quinn, rita, oz } = people;
  const image = (org: string, as: string = tag): string => `${server.host}/${org}/app:${as}`;
  return [
    [
      `dan pushes dev/app:${tag}, and may do no more`,
      async () => {
        await must(dan.docker(`tag ${baseOf(tag)} ${image("dev")}`));
        await must(dan.docker(`push ${image("dev")}`), /digest: sha256:/);
        await must(dan.docker(`tag ${baseOf(tag)} ${image("qa")}`));
        await mustFail(dan.docker(`push ${image("qa")}`), /denied/);
      },
    ],
    [`it is promoted to qa/app:${tag} by itself`, () => mustArrive(world, "qa/app", tag)],
    [`quinn pulls it`, async () => void (await must(quinn.docker(`pull ${image("qa")}`), /Downloaded|up to date/))],
    [`quinn signs it with ${ROUNDS[tag]}`, () => sign(world, tag, image("qa"))],
    [
      `it waits for an approval, and quinn cannot give it`,
      async () => {
        const id = await findPending(world, tag);
        await mustFail(oz.docker(`pull ${image("ops", GOLD[tag])}`), /not found|manifest unknown|unknown/i);
        await mustFail(quinn.goldseal(`approve ${id}`), /ops\/release|not-found|forbidden/);
      },
    ],
    [
      `rita approves with her key, and it is ops/app:${GOLD[tag]}`,
      async () => {
        await must(rita.goldseal(`approve ${await findPending(world, tag)}`));
        await mustArrive(world, "ops/app", GOLD[tag]);
      },
    ],
    [
      `oz pulls ops/app:${GOLD[tag]} with ${docker} under enforce: the same digest as dan pushed`,
      async () => {
        await must(oz.docker(`pull ${image("ops", GOLD[tag])}`), new RegExp(await digestOf(dan, "dev/app", tag)));
      },
    ],
  ];
}

async function sign({ people: { quinn } }: World, tag: Tag, image: string): Promise<void> {
  const how = ROUNDS[tag];
  if (how === "goldseal trust") await must(quinn.goldseal(`trust sign ${image}`), /^signed /);
  else if (how === "docker trust") await must(quinn.docker(`trust sign ${image}`), /Successfully signed/);
  else {
    const digest = await digestOf(quinn, "qa/app", tag);
    const named = `${image.slice(0, image.lastIndexOf(":"))}@${digest}`;
    await must(cosignSign(quinn, how.slice("cosign ".length) as CosignVersion, { key: "cosign", image: named }));
  }
}

async function digestOf(who: Machine, repository: string, tag: string): Promise<string> {
  const { status, headers } = await who.direct.manifest(repository, tag, "HEAD");
  if (status !== 200) throw new Error(`${repository}:${tag} is ${status} for ${who.name}`);
  return String(headers["docker-content-digest"]);
}

/** The very digest that was pushed. */
async function mustArrive({ people: { dan, admin } }: World, repository: string, tag: string): Promise<void> {
  const source = (Object.entries(GOLD).find(([, gold]) => gold === tag)?.[0] ?? tag) as Tag;
  const wanted = await digestOf(dan, "dev/app", source);
  await until(`${repository}:${tag}`, 60, async () => {
    const { status, headers } = await admin.direct.manifest(repository, tag, "HEAD");
    return status === 200 && headers["docker-content-digest"] === wanted ? true : undefined;
  });
}

/** What waits for the approval of the tag. */
async function findPending({ people: { rita } }: World, tag: Tag): Promise<number> {
  return until(`a promotion of qa/app:${tag} that waits`, 60, async () => {
    const { promotions } = await rita.rest("GET", "promotions?state=pending&destination=ops%2Fapp");
    return promotions.find(({ destination }: Json) => destination.tag === GOLD[tag])?.id;
  });
}

async function refuseUnsigned({ server, people: { admin, oz } }: World): Promise<void> {
  const image = `${server.host}/ops/app:test`;
  await must(admin.docker(`tag ${baseOf("test")} ${image}`));
  await must(admin.docker(`push ${image}`), /digest: sha256:/);
  await mustFail(
    oz.docker(`pull ${image}`),
    /is refused by policy gold of ops: .*must be signed by one person of team qa\/testers/,
  );
}

async function keepGold({ server, people: { admin } }: World): Promise<void> {
  const image = `${server.host}/ops/app:gold`;
  await must(admin.docker(`tag ${baseOf("test")} ${image}`));
  await mustFail(admin.docker(`push ${image}`), /denied|immutable/);
}

async function removeKeys(admin: Machine, quinn: Machine): Promise<void> {
  const { keys } = await admin.rest("GET", `users/${quinn.name}/keys`);
  for (const { name } of keys) await must(admin.goldseal(`key remove ${name} --user ${quinn.name}`));
}

/** Kinds of what happened to the digest that dan pushed under the tag, and by whom. */
async function historyOf({ people: { admin, dan } }: World, tag: Tag): Promise<Json[]> {
  const digest = await digestOf(dan, "dev/app", tag);
  const { history } = await admin.rest("GET", `history?digest=${digest}`);
  return history;
}

async function mustBeLost(world: World): Promise<void> {
  for (const tag of Object.keys(ROUNDS) as Tag[])
    await until(`the loss of trust in ${tag}`, 5, async () => {
      const lost = (await historyOf(world, tag)).some(
        ({ kind, repository }) => kind === "refused" && repository === "ops/app",
      );
      return lost ? true : undefined;
    });
}

async function refuseAll({ server, people: { oz } }: World): Promise<void> {
  for (const tag of Object.values(GOLD))
    await mustFail(oz.docker(`pull ${server.host}/ops/app:${tag}`), /is refused by policy gold of ops: /);
}

async function showHistory(world: World): Promise<void> {
  const { people, server } = world;
  for (const tag of Object.keys(ROUNDS) as Tag[]) {
    const entries = await historyOf(world, tag);
    const told = entries.map(
      ({ kind, repository, by, teams }) => `${kind} ${repository} ${by.join("+")} ${teams.join("+")}`,
    );
    const [signed, done] = ["signed qa/app quinn qa/testers", ["approved", "promoted ops/app", "refused ops/app"]];
    const wanted = ["pushed dev/app dan", "promoted qa/app", signed, ...done];
    let from = 0;
    for (const one of wanted) {
      const at = told.findIndex((entry, index) => index >= from && entry.startsWith(one));
      if (at < 0) throw new Error(`${tag}: there is no "${one}" after ${from} of\n${told.join("\n")}`);
      from = at;
    }
  }
  for (const tag of [GOLD["1.4"], GOLD["1.7"]])
    await must(
      people.admin.goldseal(`history ${server.host}/ops/app:${tag}`),
      /pushed[\s\S]*signed +qa\/app(:1\.\d)? +quinn \(qa\/testers\)[\s\S]*promoted[\s\S]*refused/,
    );
}
