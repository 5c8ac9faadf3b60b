/** Promotions, many at once, while the server dies again and again. */
import { join } from "node:path";
import { EmbeddedWorld } from "../crash/embedded-world.ts";
import type { Plan } from "../crash/plan.ts";
import { Random } from "../crash/random.ts";
import { Violation } from "../crash/violation.ts";
import { checkDestination, countFiles } from "./checks.ts";
import { type Image, INDEX, pushImage, putManifest } from "./images.ts";
import { rest, untilAnswered } from "./rest.ts";

export interface Bounds {
  readonly promotions: number;
  readonly kills: number;
  readonly seed: string;
}

const SOURCES = 6;
const DESTINATIONS = 10;
const TAGS = 8;
/** Pushes to a repository whose policy promotes them, on the side. */
const PUSHES = 60;
const LAYERS = 5;
const FAILPOINTS = [
  ...["promotion.afterCopy", "promotion.afterTarget", "promotion.beforeCommit", "promotion.afterCommit"],
  ...["promotion.afterTake", "promotion.beforeDequeue"],
];

export interface Figures {
  /** Ids of those that were answered with 201. */
  readonly acknowledged: number;
  readonly done: number;
  readonly kills: number;
  readonly reached: ReadonlySet<string>;
  /** Of pushes that a policy promoted. */
  readonly followed: number;
}

/** @throws Violation */
export async function promoteUnderKills(folder: string, { promotions, kills, seed }: Bounds): Promise<Figures> {
  const random = new Random(seed);
  const world = new EmbeddedWorld(folder);
  await world.start(undefined);
  const images = await prepare(world);
  const before = countFiles(join(folder, "data", "blobs"));
  const ids: number[] = [];
  const working = Promise.all([
    ...Array.from({ length: promotions }, (_, index) => promoteOne(world, index, ids)),
    ...Array.from({ length: PUSHES }, (_, index) => pushOne(world, index)),
  ]);
  const state = { isOver: false };
  const ended = working.finally(() => {
    state.isOver = true;
  });
  ended.catch(() => undefined);
  const struck = await strike(world, { random, kills, isOver: () => state.isOver });
  await ended;
  await untilFollowed(world);
  const figures = await checkAll(world, { images, ids, before, folder });
  await world.stop();
  return { ...figures, ...struck };
}

/** Returns the images by digest. */
async function prepare({ client }: EmbeddedWorld): Promise<ReadonlyMap<string, Image>> {
  for (const org of ["dev", "ops"]) await rest(client, [201], "PUT", `orgs/${org}`, {});
  const images = new Map<string, Image>();
  for (let index = 0; index < SOURCES; index++) {
    const image = await pushImage(client, `dev/app${index}`, "v1", LAYERS);
    images.set(image.digest, image);
  }
  const image = await pushImage(client, "dev/auto", "base", LAYERS);
  images.set(image.digest, image);
  await rest(client, [201], "PUT", "orgs/ops/repositories/auto", { visibility: "private" });
  const rules = [{ field: "tag", operator: "starts", values: ["v"] }];
  const policy = { targetRepository: "ops/auto", rules };
  await rest(client, [201], "PUT", "orgs/dev/repositories/auto/promotion-policies/next", policy);
  return images;
}

async function promoteOne(world: EmbeddedWorld, index: number, ids: number[]): Promise<void> {
  const source = `dev/app${index % SOURCES}:v1`;
  const destination = `ops/app${index % DESTINATIONS}:t${Math.floor(index / DESTINATIONS) % TAGS}`;
  const { body } = await untilAnswered(() => rest(world.client, [201], "POST", "promotions", { source, destination }));
  ids.push(Number(body.id));
}

/** The same image under a new tag, by an index of its own for each third push. */
async function pushOne(world: EmbeddedWorld, index: number): Promise<void> {
  await untilAnswered(async () => {
    const { body } = await world.client.expect([200], "GET", "/v2/dev/auto/manifests/base");
    await putManifest(world.client, "dev/auto", `v${index}`, body, INDEX);
  });
}

interface Striking {
  readonly random: Random;
  readonly kills: number;
  readonly isOver: () => boolean;
}

async function strike(world: EmbeddedWorld, { random, kills, isOver }: Striking) {
  const reached = new Set<string>();
  let count = 0;
  for (; count < kills && !isOver(); count++) {
    const plan = planOf(count, random);
    await world.kill();
    await world.start(plan);
    const { failpoint } = await world.strike(plan);
    if (failpoint !== undefined) reached.add(failpoint);
  }
  if (count > 0) {
    await world.kill();
    await world.start(undefined);
  }
  return { kills: count, reached };
}

/** Each failpoint has its turn; now and then everything dies at once, PostgreSQL too. */
function planOf(count: number, random: Random): Plan {
  if (count % 4 === 3) return { kind: "server+postgres", afterMs: random.between(200, 1500) };
  const name = FAILPOINTS[(count - Math.floor(count / 4)) % FAILPOINTS.length] ?? "";
  return {
    kind: "failpoint",
    name,
    pass: random.between(1, name.includes("ake") || name.includes("Dequeue") ? 2 : 20),
  };
}

const FOLLOW_MS = 120_000;

/** Every push that was answered is promoted in the end. */
async function untilFollowed(world: EmbeddedWorld): Promise<void> {
  const until = performance.now() + FOLLOW_MS;
  for (;;) {
    const { body } = await world.client
      .expect([200], "GET", "/v2/ops/auto/tags/list?n=1000")
      .catch(() => ({ body: undefined }));
    const tags: string[] = body === undefined ? [] : (JSON.parse(body.toString()).tags ?? []);
    if (tags.filter((tag) => /^v\d+$/.test(tag)).length === PUSHES) return;
    if (performance.now() > until)
      throw new Violation("LOSS", `of ${PUSHES} pushes ${tags.length} were promoted: ${tags.join()}`);
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

interface Ended {
  readonly images: ReadonlyMap<string, Image>;
  readonly ids: readonly number[];
  readonly before: number;
  readonly folder: string;
}

async function checkAll(world: EmbeddedWorld, { images, ids, before, folder }: Ended) {
  const repositories = Array.from({ length: DESTINATIONS }, (_, index) => `ops/app${index}`);
  const done = new Set<number>();
  for (const repository of repositories)
    for (const { id } of await checkDestination(world.client, repository, images)) done.add(id);
  const followed = (await checkDestination(world.client, "ops/auto", images)).length;
  const lost = ids.filter((id) => !done.has(id));
  if (lost.length > 0) throw new Violation("LOSS", `promotions ${lost.join()} were acknowledged, and are not done`);
  await world.checkStore();
  const after = countFiles(join(folder, "data", "blobs"));
  if (after !== before) throw new Violation("TORN", `the blob store had ${before} files and has ${after}`);
  if (followed !== PUSHES) throw new Violation("TORN", `${PUSHES} pushes were promoted ${followed} times`);
  return { acknowledged: ids.length, done: done.size, followed };
}
