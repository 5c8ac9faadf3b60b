/** Nothing depends on which replica answers: uploads, tags, rights, tokens, the key ring. */
import { randomBytes } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { freePort } from "../harness/port.ts";
import { RegistryClient, sha256 } from "../harness/registry-client.ts";
import type { Report } from "../harness/report.ts";
import { startServer } from "../harness/server.ts";
import { checkImage, makeImage, pathOf, pushBlob, pushImage, pushManifest, same, step } from "./image.ts";
import { ADMIN, mustAnswer, ORGANIZATION, type World } from "./world.ts";

const MIB = 1024 * 1024;
const TAG_MOVES = 200;

export async function checkSharing(report: Report, world: World): Promise<void> {
  await report.check("an upload begun on one replica goes on at the others, chunk by chunk", () => travel(world));
  await report.check(`a tag moved on one replica is moved on all: ${TAG_MOVES} moves`, () => moveTags(world));
  await report.check("what is deleted on one replica is gone from all", () => deleteEverywhere(world));
  await report.check("a right taken away on one replica is gone at the next write on another", () => revoke(world));
  await report.check("a token of one replica is good on all, also after the signing key was changed", () =>
    tokens(world),
  );
  await report.check("a replica with another key ring refuses to start and says why", () => wrongRing(world));
}

async function travel({ replicas }: World): Promise<void> {
  const repository = `${ORGANIZATION}/travel`;
  const at = (turn: number): RegistryClient => replicas[turn % replicas.length]?.direct as RegistryClient;
  const bytes = randomBytes(7 * MIB + 321);
  let location = await step(at(0), `/v2/${repository}/blobs/uploads/`, { method: "POST", expected: 202 });
  const chunk = 300_007;
  for (let turn = 1, start = 0; start < bytes.length; turn++, start += chunk) {
    const body = bytes.subarray(start, start + chunk);
    const headers = { "content-range": `${start}-${start + body.length - 1}` };
    location = await step(at(turn), location, { method: "PATCH", headers, body, expected: 202 });
    const status = await at(turn + 1).ask(pathOf(location));
    same("upload status elsewhere", `${status.status} ${status.headers.range}`, `204 0-${start + body.length - 1}`);
  }
  const joint = location.includes("?") ? "&" : "?";
  const digest = sha256(bytes);
  await step(at(1), `${location}${joint}digest=${digest}`, { method: "PUT", expected: 201 });
  for (const { direct } of replicas) {
    same("bytes", sha256((await direct.ask(`/v2/${repository}/blobs/${digest}`)).body), digest);
  }
}

async function moveTags({ replicas }: World): Promise<void> {
  const repository = `${ORGANIZATION}/tags`;
  const images = [makeImage(100), makeImage(100), makeImage(100)];
  const [first] = replicas;
  if (!first) throw new Error("no replica");
  for (const image of images) for (const blob of image.blobs) await pushBlob(first.direct, repository, blob);
  for (let move = 0; move < TAG_MOVES; move++) {
    const image = images[move % images.length];
    const writer = replicas[move % replicas.length];
    if (!image || !writer) throw new Error("no image");
    await pushManifest(writer.direct, repository, "moving", image);
    const answers = await Promise.all(replicas.map(({ direct }) => direct.manifest(repository, "moving", "HEAD")));
    for (const { headers } of answers) same(`move ${move}`, headers["docker-content-digest"], image.digest);
  }
}

async function deleteEverywhere({ replicas }: World): Promise<void> {
  const repository = `${ORGANIZATION}/deleted`;
  const image = makeImage(1000);
  const [one, two, three] = replicas;
  if (!one || !two || !three) throw new Error("three replicas are needed");
  await pushImage(one.direct, repository, "1", image);
  await checkImage(two.direct, repository, "1", image);
  await step(two.direct, `/v2/${repository}/manifests/${image.digest}`, { method: "DELETE", expected: 202 });
  for (const { direct } of replicas) same("status", (await direct.manifest(repository, "1")).status, 404);
  for (const blob of image.blobs) {
    await step(three.direct, `/v2/${repository}/blobs/${sha256(blob)}`, { method: "DELETE", expected: 202 });
    for (const { direct } of replicas) {
      same("status", (await direct.ask(`/v2/${repository}/blobs/${sha256(blob)}`)).status, 404);
    }
  }
}

async function revoke({ client, replicas }: World): Promise<void> {
  const ann = { name: "ann", password: "ann-secret-12" };
  const team = `/api/v1/orgs/${ORGANIZATION}/teams/dev`;
  await mustAnswer(client, "/api/v1/users/ann", 201, JSON.stringify({ password: ann.password }));
  await mustAnswer(client, `/api/v1/orgs/${ORGANIZATION}/members/ann`, 201, '{"role":"member"}');
  await mustAnswer(client, team, 201);
  await mustAnswer(client, `${team}/members/ann`, 201);
  await mustAnswer(client, `/api/v1/orgs/${ORGANIZATION}/repositories/revoked`, 201, '{"visibility":"private"}');
  const clients = replicas.map(({ port }) => new RegistryClient({ url: `http://127.0.0.1:${port}`, caPath: "" }, ann));
  for (let round = 0; round < 10; round++) {
    const [giver, user] = [replicas[round % 3], clients[(round + 1) % 3]];
    if (!giver || !user) throw new Error("three replicas are needed");
    await mustAnswer(giver.direct, `${team}/grants/*`, 201, '{"level":"read-write","extra":[]}');
    await pushImage(user, `${ORGANIZATION}/revoked`, "1", makeImage(100));
    await step(giver.direct, `${team}/grants/*`, { method: "DELETE", expected: 204 });
    const { status } = await user.ask(`/v2/${ORGANIZATION}/revoked/blobs/uploads/`, { method: "POST" });
    same("a push without a right", status, 403);
  }
  for (const user of clients) user.close();
}

async function tokens({ replicas }: World): Promise<void> {
  const repository = `${ORGANIZATION}/tokens`;
  for (const issuer of replicas) {
    const token = await fetchToken(issuer.direct, repository);
    for (const { port } of replicas) {
      const headers = { authorization: `Bearer ${token}` };
      const answer = await fetch(`http://127.0.0.1:${port}/v2/${repository}/blobs/uploads/`, {
        method: "POST",
        headers,
      });
      same("a push by token", answer.status, 202);
    }
    await step(issuer.direct, "/api/v1/token-keys/rotate", { method: "POST", expected: 201 });
  }
}

async function fetchToken(client: RegistryClient, repository: string): Promise<string> {
  const { body } = await client.ask(`/token?scope=repository:${repository}:pull,push`);
  return (JSON.parse(body.toString()) as { token: string }).token;
}

async function wrongRing({ folder, env }: World): Promise<void> {
  const data = join(folder, "wrong-ring");
  mkdirSync(data);
  const keys = join(folder, "wrong.key");
  writeFileSync(keys, `k1 ${randomBytes(32).toString("base64")}\n`, { mode: 0o600 });
  const wrong = { ...env(data, await freePort()), GOLDSEAL_MASTER_KEY_FILE: keys };
  const complaint = await startServer({ data, env: wrong }).then(
    async (server) => {
      await server.stop();
      throw new Error("it started");
    },
    (error: unknown) => String(error),
  );
  if (!complaint.includes("the master key file does not belong to this database")) throw new Error(complaint);
  if (complaint.includes(ADMIN.password)) throw new Error("a password is in what it printed");
}
