/** What an operator and a client see of damage, over two replicas. */
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { type RegistryClient, sha256 } from "../harness/registry-client.ts";
import type { Report } from "../harness/report.ts";
import { launcher, projectRoot } from "../harness/server.ts";
import { findTool, getTool, mustRun, type RunResult, run } from "../harness/tools.ts";
import { checkImage, type Image, makeImage, pushBlob, pushImage } from "../replicas/image.ts";
import { ADMIN, ORGANIZATION, type Replica, type World } from "./world.ts";

const WAIT_MS = 60_000;
/** Four groups of blobs that are hashed at once, and a rest. */
const BLOBS = 270;
const AT_ONCE = 10;
/** The failpoint's first pass is the comparison of sizes. */
const KILLED_AT = "fsck.afterBatch:4";

export async function checkWorld(report: Report, world: World): Promise<void> {
  const { backend } = world;
  if (findTool("crane") === undefined) report.skip(`${backend}: damage and crane`, "crane not found");
  else {
    await report.check(`${backend}: a flipped bit is found, pulls are told, and the next crane push heals it`, () =>
      healByCrane(world),
    );
    await report.check(
      `${backend}: a layer that is gone is found by the crane pull that needs it, and a push heals it`,
      () => findByPull(world),
    );
  }
  await report.check(`${backend}: docker's push heals a blob that a manifest needs, while fsck --all goes on`, () =>
    healWhileChecking(world),
  );
  await report.check(`${backend}: a check whose process is killed goes on in another replica`, () =>
    killChecker(world),
  );
  await report.check(`${backend}: of two replicas one scrubs, and when it is killed the other goes on`, () =>
    killScrubber(world),
  );
}

async function healByCrane(world: World): Promise<void> {
  const { first, second, damage, folder } = world;
  const image = makeImage(300_000);
  const repository = `${ORGANIZATION}/crane`;
  await pushImage(first.client, repository, "v1", image);
  const crane = await signInCrane(world);
  const layout = join(folder, "layout");
  const name = `${first.host}/${repository}:v1`;
  expectExit(await crane("pull", "--format=oci", name, layout), 0);
  const digest = layerOf(image);
  await damage.flip(digest);

  expectExit(await second.goldseal("fsck", "--all", "--repair"), 1, `${digest} +digest +quarantined`);
  expectExit(await crane("blob", `${first.host}/${repository}@${digest}`), 1, "damaged and were set aside");
  expectExit(await askDoctor(world), 1, `WRONG +quarantine +1 damaged: blob ${digest} of ${repository}`);
  expectExit(await crane("push", layout, name), 0);

  await checkImage(second.client, repository, "v1", image);
  expectExit(await first.goldseal("fsck", "--all"), 0, " 0 findings");
}

/** Nobody has checked anything: the first who wants it is told. */
async function findByPull(world: World): Promise<void> {
  const { first, second, damage, folder } = world;
  const image = makeImage(300_000);
  const repository = `${ORGANIZATION}/pulled`;
  await pushImage(first.client, repository, "v1", image);
  const crane = await signInCrane(world);
  const name = `${first.host}/${repository}:v1`;
  const layout = join(folder, "pulled");
  expectExit(await crane("pull", "--format=oci", name, layout), 0);
  const digest = layerOf(image);
  await damage.remove(digest);

  expectExit(await crane("pull", "--format=oci", name, join(folder, "again")), 1, "damaged and were set aside");
  const { status } = await second.client.ask(`/v2/${repository}/blobs/${digest}`, { method: "HEAD" });
  same("HEAD at the other replica", status, 404);
  expectExit(await askDoctor(world), 1, `WRONG +quarantine +1 damaged: blob ${digest} of ${repository}`);
  expectExit(await first.goldseal("fsck"), 1, `${digest} +quarantined`);
  expectExit(await crane("push", layout, name), 0);

  await checkImage(second.client, repository, "v1", image);
  expectExit(await first.goldseal("fsck", "--all"), 0, " 0 findings");
}

/** Returns what runs it. */
async function signInCrane({ first, folder }: World): Promise<(...args: string[]) => Promise<RunResult>> {
  const env = { DOCKER_CONFIG: join(folder, "docker") };
  const login = ["auth", "login", first.host, "-u", ADMIN.name, "-p", ADMIN.password];
  await mustRun(getTool("crane"), login, { env });
  return (...args) => run(getTool("crane"), args, { env });
}

function askDoctor({ env, folder }: World): Promise<RunResult> {
  return run("node", [launcher, "doctor"], { cwd: projectRoot, env: { ...env, GOLDSEAL_DATA: folder } });
}

async function healWhileChecking({ first, second, damage }: World): Promise<void> {
  const repository = `${ORGANIZATION}/busy`;
  const images = Array.from({ length: 12 }, () => makeImage(50_000));
  for (const [index, image] of images.entries()) await pushImage(first.client, repository, `v${index}`, image);
  for (const image of images) await damage.flip(layerOf(image));
  const checks = (async () => {
    for (let round = 0; round < 3; round++) await first.goldseal("fsck", "--all", "--repair");
  })();
  let done = false;
  void checks.finally(() => {
    done = true;
  });
  // As clients do: asked for, and sent where it is not there.
  while (!done) {
    for (const [index, image] of images.entries()) await pushAsDocker(second.client, repository, `v${index}`, image);
  }
  await checks;
  for (const [index, image] of images.entries()) {
    await pushAsDocker(second.client, repository, `v${index}`, image);
    await checkImage(first.client, repository, `v${index}`, image);
  }
  expectExit(await first.goldseal("fsck", "--all"), 0, " 0 findings");
}

async function pushAsDocker(client: RegistryClient, repository: string, tag: string, image: Image): Promise<void> {
  for (const blob of image.blobs) {
    const path = `/v2/${repository}/blobs/${sha256(blob)}`;
    const { status } = await client.ask(path, { method: "HEAD" });
    if (status === 404) await pushBlob(client, repository, blob);
    else if (status !== 200) throw new Error(`HEAD ${path} answered ${status}`);
  }
  const headers = { "content-type": "application/vnd.oci.image.manifest.v1+json" };
  const put = await client.ask(`/v2/${repository}/manifests/${tag}`, { method: "PUT", headers, body: image.manifest });
  // Set aside between the question and the manifest: the client is told so, and pushes again.
  const isTold = put.status === 400 && String(put.body).includes("MANIFEST_BLOB_UNKNOWN");
  if (put.status !== 201 && !isTold) throw new Error(`PUT ${repository}:${tag} answered ${put.status}: ${put.body}`);
}

async function killChecker({ first, second, damage }: World): Promise<void> {
  const repository = `${ORGANIZATION}/many`;
  const blobs = Array.from({ length: BLOBS }, () => randomBytes(2_000));
  for (let from = 0; from < BLOBS; from += AT_ONCE) {
    const some = blobs.slice(from, from + AT_ONCE);
    await Promise.all(some.map((blob) => pushPatiently(second.client, repository, blob)));
  }
  const digests = blobs.map(sha256).sort();
  const damaged = [digests[0], digests.at(-1)].map(String);
  for (const digest of damaged) await damage.flip(digest);
  await first.stop();
  await first.start({ GOLDSEAL_FAILPOINT: KILLED_AT });

  const broken = await first.goldseal("fsck", "--all");
  if (broken.status === 0) throw new Error("the check survived its process");
  const before = await latestRun(second);
  if (before.state !== "running" || before.stage !== "hashing") throw new Error(`it is ${JSON.stringify(before)}`);
  const { stdout, status } = await second.goldseal("fsck", "--all", "--json");
  const run = JSON.parse(stdout);

  same("id", run.id, before.id);
  same("exit status", status, 1);
  same("blobs", run.objects, run.totalObjects);
  same(
    "found",
    run.findings
      .map(({ name }: { name: string }) => name)
      .sort()
      .join(),
    damaged.join(),
  );
  await first.kill();
  await first.start();
  expectExit(await first.goldseal("fsck", "--all", "--repair"), 1);
}

/** Where the disk of the database is busy with other things the answer is 503: try again in a moment, as clients do. */
async function pushPatiently(client: RegistryClient, repository: string, blob: Buffer): Promise<void> {
  for (const end = Date.now() + WAIT_MS; ; await wait(1_000)) {
    try {
      return await pushBlob(client, repository, blob);
    } catch (error) {
      if (!/answered 503/.test(String(error)) || Date.now() > end) throw error;
    }
  }
}

async function killScrubber({ first, second }: World): Promise<void> {
  // An object counts as 64 KiB at least: forty a second.
  for (const replica of [first, second])
    expectExit(await replica.goldseal("scrub", "--rate", "2560KiB", "--every", "0"), 0, "2.5 MiB/s");
  const scrubs = async (replica: Replica): Promise<boolean> => (await scrubbed(replica)) > 20;
  // Whoever comes by in the very moment: each looks once a minute whether somebody is at it.
  await until("one scrubs", async () => (await scrubs(first)) || (await scrubs(second)));
  const [one, other] = (await scrubs(first)) ? [first, second] : [second, first];
  same("scrubbed by the other", await scrubbed(other), 0);
  const before = await scrubState(other);
  await one.kill();

  await until("the other one goes on", async () => {
    // For a moment the dead one's session may still be at it.
    expectExit(await other.goldseal("scrub", "--every", "0"), 0);
    return scrubs(other);
  });

  const after = await scrubState(other);
  if (after.objects <= before.objects) throw new Error(`${before.objects} objects, then ${after.objects}`);
  // It went on with the oldest, not from the start.
  if (after.oldestAt < before.oldestAt) throw new Error(`oldest ${before.oldestAt}, then ${after.oldestAt}`);
  expectExit(await other.goldseal("scrub", "--rate", "off"), 0, "off");
  await one.start();
}

async function scrubbed({ client }: Replica): Promise<number> {
  const { body } = await client.ask("/metrics");
  return Number(/^goldseal_scrub_objects_total (\d+)/m.exec(String(body))?.[1] ?? 0);
}

async function scrubState({ client }: Replica): Promise<{ objects: number; oldestAt: string }> {
  return JSON.parse(String((await client.ask("/api/v1/scrub")).body));
}

async function latestRun({ client }: Replica): Promise<{ id: number; state: string; stage: string }> {
  return JSON.parse(String((await client.ask("/api/v1/fsck")).body)).runs[0];
}

async function until(what: string, condition: () => Promise<boolean>): Promise<void> {
  for (const end = Date.now() + WAIT_MS; Date.now() < end; await wait(50)) if (await condition()) return;
  throw new Error(`${what}: not within ${WAIT_MS / 1000} s`);
}

/** The digest of its layer. */
function layerOf({ blobs }: Image): string {
  return sha256(blobs[1] ?? "");
}

export function same(what: string, found: unknown, expected: unknown): void {
  if (found !== expected) throw new Error(`${what}: ${String(found)}, not ${String(expected)}`);
}

export function expectExit({ status, stdout, stderr }: RunResult, expected: number, says = ""): void {
  const text = `${stdout}${stderr}`;
  if (status !== expected || !new RegExp(says).test(text))
    throw new Error(`exit status ${status}, not ${expected}, or it does not say /${says}/:\n${text}`);
}
