/** Lists: the catalog, referrers, and what else could name somebody or something that is hidden. */
import type { Report } from "../harness/report.ts";
import type { Stage } from "./cells.ts";
import { digestOf, IMAGE, INDEX, indexOf, MANIFEST } from "./content.ts";
import { ACTORS, type ActorId } from "./oracle.ts";
import { visibleTo } from "./special-cells.ts";
import { type Answer, type Ask, basic, codeOf, toComparable } from "./wire.ts";
import { HOARD, NAMES, ORG, OTHER, PASSWORD, RENAMED, SOURCES, shortName, USERS } from "./world.ts";

/** Before anything is there but what the world was made with: each actor's whole catalog, exactly. */
export async function runCatalogCells(report: Report, stage: Stage): Promise<void> {
  for (const actor of ACTORS.filter((each) => each !== "A12")) {
    const names = expectedCatalog(actor);
    for (const mode of ["basic", "bearer"] as const) {
      await report.quietly(`catalog of ${actor} (${mode}): exactly what it may list, however it is paged`, async () => {
        const authorization =
          mode === "basic"
            ? stage.credentials.password(actor)
            : await stage.credentials.fresh(actor, ["registry:catalog:*"]);
        for (const n of [1, 2, 100]) mustEqual(await readCatalog(stage, { authorization }, n), toPages(names, n));
        // Names after one that is hidden are the names after one that is missing.
        const after = async (last: string) =>
          (await stage.world.wire.must(200, "GET", `/v2/_catalog?last=${last}`, { authorization })).body.toString();
        mustEqual([await after(NAMES.R2)], [await after(`${NAMES.R2}!`)]);
      });
    }
  }
}

function expectedCatalog(actor: ActorId): string[] {
  const whole = ["A6", "A7", "A8", "A14", "A15"].includes(actor) ? [RENAMED] : [];
  const all = actor === "A14" || actor === "A15" ? [SOURCES.unreadable] : [];
  return [...visibleTo(actor).map((repository) => NAMES[repository]), SOURCES.readable, ...whole, ...all].sort();
}

function toPages(names: readonly string[], n: number): string[] {
  const pages: string[] = [];
  for (let at = 0; at < names.length; at += n) pages.push(names.slice(at, at + n).join());
  return pages;
}

async function readCatalog({ world }: Stage, ask: Ask, n: number): Promise<string[]> {
  const pages: string[] = [];
  for (let path: string | undefined = `/v2/_catalog?n=${n}`; path !== undefined; ) {
    const answer: Answer = await world.wire.must(200, "GET", path, ask);
    const { repositories }: { repositories: string[] } = JSON.parse(answer.body.toString());
    pages.push(repositories.join());
    path = /<([^>]+)>/.exec(String(answer.headers.link ?? ""))?.[1];
  }
  return pages;
}

export async function runReferrerCells(report: Report, { world }: Stage): Promise<void> {
  const [open, shut] = [world.newName("edge"), world.newName("edge")];
  await world.makeRepository(open, "public");
  await world.makeRepository(shut);
  const hidden = indexOf("hidden");
  await world.pushManifest(shut, digestOf(hidden), hidden, INDEX);
  await world.pushManifest(shut, "edge", indexOf("edge", hidden), INDEX);
  const reader = { authorization: basic(USERS.A1, PASSWORD) };
  const owner = { authorization: world.admin };
  const referrers = async (name: string, subject: string, ask: Ask, query = "") => {
    const { body } = await world.wire.must(200, "GET", `/v2/${name}/referrers/${digestOf(subject)}${query}`, ask);
    const { manifests }: { manifests: { digest: string }[] } = JSON.parse(body.toString());
    return manifests.map(({ digest }) => digest);
  };
  await report.quietly("referrers of a private digest, asked for in a public repository: none", async () => {
    mustEqual(await referrers(open, hidden, reader), []);
    mustEqual(await referrers(open, hidden, reader, "?artifactType=application/vnd.test.mark"), []);
  });
  await report.quietly("referrers of one image in two repositories: each has its own", async () => {
    await world.pushManifest(open, "mine", indexOf("mine", hidden), INDEX);
    mustEqual(await referrers(open, hidden, reader), [digestOf(indexOf("mine", hidden))]);
    mustEqual(await referrers(shut, hidden, owner), [digestOf(indexOf("edge", hidden))]);
    const answer = await world.wire.ask("GET", `/v2/${shut}/referrers/${digestOf(hidden)}`, reader);
    mustEqual([answer.status, codeOf(answer)], [404, "NAME_UNKNOWN"]);
  });
  await report.quietly("the fallback tag sha256-… is a tag as any: pushed, read and deleted by who may", async () => {
    const tag = digestOf(IMAGE).replace(":", "-");
    const put = (name: string) =>
      world.wire.ask("PUT", `/v2/${name}/manifests/${tag}`, { ...reader, body: indexOf("fallback"), type: INDEX });
    await world.pushManifest(shut, tag, indexOf("fallback"), INDEX);
    await world.pushManifest(open, tag, indexOf("fallback"), INDEX);
    const answers = [
      await put(open),
      await put(shut),
      await world.wire.ask("GET", `/v2/${open}/manifests/${tag}`, { ...reader, headers: { accept: INDEX } }),
      await world.wire.ask("GET", `/v2/${shut}/manifests/${tag}`, { ...reader, headers: { accept: MANIFEST } }),
      await world.wire.ask("DELETE", `/v2/${open}/manifests/${tag}`, reader),
      await world.wire.ask("DELETE", `/v2/${shut}/manifests/${tag}`, reader),
    ];
    const expected = ["403 DENIED", "403 DENIED", "200 ", "404 NAME_UNKNOWN", "403 DENIED", "403 DENIED"];
    mustEqual(
      answers.map((answer) => `${answer.status} ${codeOf(answer)}`),
      expected,
    );
  });
}

/** What a system administrator does by that right alone is on record, reads too. */
export async function runAuditCells(report: Report, { world }: Stage): Promise<void> {
  for (const [name, actions] of [
    [NAMES.R2, ["list", "pull", "trust-pull"]],
    [NAMES.R3, ["list", "pull", "trust-pull"]],
  ] as const) {
    await report.quietly(`audit: what A14 did in ${name}`, async () => {
      const answer = await world.must(
        200,
        "GET",
        `/api/v1/audit?actor=${USERS.A14}&target=${name}&outcome=done&limit=1000`,
      );
      const { entries }: { entries: { action: string }[] } = JSON.parse(answer.body.toString());
      mustEqual(
        actions.filter((action) => entries.every((entry) => entry.action !== action)),
        [],
      );
    });
  }
}

/** Members see what teams and robots reach, as far as they may see that itself. */
export async function runScopeLists(report: Report, { world, credentials }: Stage): Promise<void> {
  for (const actor of ["A2", "A3", "A4", "A5", "A6", "A7", "A8", "A13", "A14", "A15", "A16"] as const) {
    await report.quietly(`grants and robots as ${actor} sees them name nothing that is hidden`, async () => {
      const ask = await credentials.forRest(actor, "basic");
      const scopes = async (path: string) => {
        const { body } = await world.wire.must(200, "GET", `/api/v1/orgs/${ORG}${path}`, ask);
        const { grants }: { grants: { scope: string }[] } = JSON.parse(body.toString());
        return grants.map(({ scope }) => scope);
      };
      const seen = visibleTo(actor).map((repository) => shortName(NAMES[repository]));
      const of = (names: readonly string[]) => names.filter((name) => seen.includes(name));
      mustEqual(await scopes("/teams/keepers/grants"), of(["one", "two"]));
      mustEqual(await scopes("/robots/pusher"), of(["two"]));
      mustEqual(await scopes("/robots/keep-ded"), of(["ded"]));
    });
  }
}

/** Names of people, organizations, robots and teams that are there and hidden, and ones of the same length that are not. */
export async function runNameCells(report: Report, { world }: Stage): Promise<void> {
  const ask = (path: string, more: Ask = {}) => world.wire.ask("GET", path, more);
  const stranger = { authorization: basic(USERS.A1, PASSWORD) };
  const pairs: readonly (readonly [string, string, string])[] = [
    ["a user", `/api/v1/users/${USERS.A8}`, "/api/v1/users/nix"],
    ["an organization", `/api/v1/orgs/${ORG}`, "/api/v1/orgs/nils"],
    ["members of an organization", `/api/v1/orgs/${HOARD}/members`, "/api/v1/orgs/nadas/members"],
    ["a robot", `/api/v1/orgs/${OTHER}/robots/puller`, `/api/v1/orgs/${OTHER}/robots/nobody`],
    ["a team", `/api/v1/orgs/${ORG}/teams/readers`, `/api/v1/orgs/${ORG}/teams/nothere`],
    ["repositories of an organization", `/api/v1/orgs/${HOARD}/repositories`, "/api/v1/orgs/nadas/repositories"],
    [
      "what another may",
      `/api/v1/explain?user=${USERS.A8}&action=pull&repository=${NAMES.R2}`,
      `/api/v1/explain?user=nix&action=pull&repository=${NAMES.R4}`,
    ],
    [
      "what oneself may",
      `/api/v1/explain?action=pull&repository=${NAMES.R2}`,
      `/api/v1/explain?action=pull&repository=${NAMES.R4}`,
    ],
  ];
  for (const [what, hidden, missing] of pairs) {
    await report.quietly(`${what}: hidden is missing`, async () => {
      const [one, other] = [await ask(hidden, stranger), await ask(missing, stranger)];
      mustEqual([toComparable(one, NAMES.R2)], [toComparable(other, NAMES.R4)]);
    });
  }
  for (const [path, what] of [
    ["/token", "the token service"],
    ["/v2/", "the registry"],
    ["/api/v1/orgs", "REST"],
  ] as const) {
    await report.quietly(
      `sign-in at ${what}: wrong password, unknown user, unknown robot and suspended user are one`,
      async () => {
        const robot = `${ORG}+puller`;
        const tries = [basic(USERS.A2, "wrong password"), basic("nix", "wrong password")];
        tries.push(basic(robot, "wrong password"), basic("lou", PASSWORD));
        const texts: string[] = [];
        for (const authorization of tries)
          texts.push(toComparable(await ask(path, { authorization, from: nextAddress() }), NAMES.R4));
        mustEqual([...new Set(texts)].length === 1 ? [] : texts, []);
        if (!texts[0]?.startsWith("401")) throw new Error(texts[0]);
      },
    );
  }
}

let addresses = 0;
/** One that guessed nothing yet. */
const nextAddress = (): string => `127.0.9.${++addresses}`;

function mustEqual(got: readonly unknown[], expected: readonly unknown[]): void {
  if (JSON.stringify(got) !== JSON.stringify(expected))
    throw new Error(`${got.join("\n")}\ninstead of\n${expected.join("\n")}`);
}
