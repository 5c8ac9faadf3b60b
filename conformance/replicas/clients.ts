/** Behind nginx every client is still one of its own: who guesses passwords stops nobody else, and networks are the clients'. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { freePort } from "../harness/port.ts";
import { type Credentials, RegistryClient, sha256 } from "../harness/registry-client.ts";
import type { Report } from "../harness/report.ts";
import { startServer } from "../harness/server.ts";
import { makeImage, pushBlob, same } from "./image.ts";
import { startNginx, until } from "./nginx.ts";
import { ADMIN, mustAnswer, ORGANIZATION, type World } from "./world.ts";

const GUESSES = 10;
const [STRANGER, HONEST, FAR] = ["127.0.0.2", "127.0.0.3", "127.0.0.4"];
const EVE: Credentials = { name: "eve", password: "a-guess-of-eves" };
const READER: Credentials = { name: "reader", password: "reader-secret-12" };

export async function checkClients(report: Report, world: World): Promise<void> {
  await report.check("a stranger's wrong passwords through nginx stop nobody else's sign-in through it", () =>
    guess(world),
  );
  if (world.env("", 0).GOLDSEAL_BLOBS?.startsWith("s3:"))
    await report.check("a replica behind nginx sends clients of one network to the bucket, others not", () =>
      redirect(world),
    );
  else report.skip("redirect by client network behind nginx", "needs --blobs s3");
}

/** The stranger also writes the header himself, another address each time. */
async function guess({ nginx }: World): Promise<void> {
  const stranger = new RegistryClient(nginx, EVE, STRANGER);
  const late = new RegistryClient(nginx, ADMIN, STRANGER);
  const honest = new RegistryClient(nginx, ADMIN, HONEST);
  try {
    for (let n = 0; n < GUESSES; n++) {
      const headers = { "x-forwarded-for": `198.51.100.${n}` };
      same(`guess ${n}`, (await stranger.ask("/v2/", { headers })).status, 401);
    }
    same("the stranger's next guess", (await stranger.ask("/v2/")).status, 429);
    same("a right password from there", (await late.ask("/v2/")).status, 429);
    same("a sign-in from elsewhere", (await honest.ask("/v2/")).status, 200);
    // Refusals are on record a moment after they were answered.
    await until(async () => (await sourcesOf(honest)).length > GUESSES);
    same("sources on record", [...new Set(await sourcesOf(honest))].join(), STRANGER);
  } finally {
    for (const client of [stranger, late, honest]) client.close();
  }
}

async function sourcesOf(client: RegistryClient): Promise<string[]> {
  const { body } = await client.ask(`/api/v1/audit?actor=${EVE.name}`);
  const { entries } = JSON.parse(body.toString()) as { entries: { source: string }[] };
  return entries.map(({ source }) => source);
}

async function redirect({ client, folder, env }: World): Promise<void> {
  const repository = `${ORGANIZATION}/redirected`;
  const [, layer] = makeImage(100_000).blobs;
  if (layer === undefined) throw new Error("no layer");
  await pushBlob(client, repository, layer);
  const [data, port] = [join(folder, "redirecting"), await freePort()];
  mkdirSync(data);
  const server = await startServer({ data, env: { ...env(data, port), GOLDSEAL_BLOB_REDIRECT: `${HONEST}/32` } });
  const nginx = await startNginx(join(folder, "nginx-redirecting"), await freePort(), [port]);
  const [near, far] = [HONEST, FAR].map((from) => new RegistryClient(nginx, READER, from));
  try {
    await mustAnswer(client, `/api/v1/users/${READER.name}`, 201, JSON.stringify({ password: READER.password }));
    await mustAnswer(client, `/api/v1/orgs/${ORGANIZATION}/repositories/redirected`, 200, '{"visibility":"public"}');
    const path = `/v2/${repository}/blobs/${sha256(layer)}`;
    same("in the network", (await near?.ask(path))?.status, 307);
    same("elsewhere", (await far?.ask(path))?.status, 200);
  } finally {
    for (const reader of [near, far]) reader?.close();
    await nginx.stop();
    await server.stop();
  }
}
