/**
 * Real docker trust, notary and goldseal trust sign one image in a real Goldseal; the trust data is kept as vectors for
 * `src/trust`: `node bin/goldseal.mjs run conformance/trust/make-tuf-vectors.ts`. The private keys are thrown away.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { sha256 } from "../harness/registry-client.ts";
import { projectRoot } from "../harness/server.ts";
import type { RunResult } from "../harness/tools.ts";
import { BASE_IMAGE, makeBaseImage, openEngine, openRoom, openTrustServer, PRIVATE_ORG } from "../notary/world.ts";

const OUTPUT = join(projectRoot, "src", "trust", "testing", "data", "tuf.json");
const DOCKER = "docker-20.10";

const { server, admin, stop } = await openTrustServer({ keys: "ed25519", challenge: "bearer" });
const engine = await openEngine();
const room = openRoom(server);
try {
  await makeBaseImage(engine);
  const { alice } = room.people;
  const docker = (...args: readonly string[]) => must(alice.run(DOCKER, ["--host", engine.socket, ...args]));
  const trustDir = join(alice.home, ".docker", "trust");
  const image = (client: string): string => `${server.host}/${PRIVATE_ORG}/${client}`;
  for (const client of ["docker", "notary", "goldseal"]) {
    await docker("tag", BASE_IMAGE, `${image(client)}:1.4`);
    await docker("push", `${image(client)}:1.4`);
  }
  const { body: manifest, headers } = await admin.manifest(`${PRIVATE_ORG}/docker`, "1.4");

  await docker("trust", "key", "generate", "alice");
  await docker("trust", "signer", "add", "--key", "alice.pub", "alice", image("docker"));
  await docker("trust", "sign", `${image("docker")}:1.4`);

  const notary = (...args: readonly string[]) => must(alice.notary(args, { trustDir }));
  await notary("init", "-p", image("notary"));
  await notary("key", "rotate", image("notary"), "snapshot", "-r");
  await notary("delegation", "add", "-p", image("notary"), "targets/alice", "alice.pub", "--all-paths");
  const [length, hex] = [String(manifest.length), sha256(manifest).slice("sha256:".length)];
  await notary("addhash", "-p", "--roles", "targets/alice", image("notary"), "1.4", length, "--sha256", hex);

  await must(alice.goldseal(["trust", "init", image("goldseal")]));
  await must(alice.goldseal(["trust", "sign", `${image("goldseal")}:1.4`]));

  const sets = [];
  for (const client of ["docker", "notary", "goldseal"]) sets.push({ client, files: await filesOf(image(client)) });
  const made = {
    at: new Date().toISOString(),
    authority: server.host,
    org: PRIVATE_ORG,
    alice: readFileSync(join(room.folder, "alice.pub"), "utf8"),
    mediaType: headers["content-type"],
    manifest: manifest.toString("base64"),
    sets,
  };
  writeFileSync(OUTPUT, `${JSON.stringify(made, undefined, 1)}\n`);
  console.log(`${sets.length} collections kept in ${OUTPUT}`);
} finally {
  room.remove();
  await engine.stop();
  await stop();
}

async function must(running: Promise<RunResult>): Promise<void> {
  const { status, stdout, stderr } = await running;
  if (status !== 0) throw new Error(`it exited ${status}:\n${stdout}${stderr}`);
}

/** The current file of every role that there is. */
async function filesOf(gun: string): Promise<Record<string, string>> {
  const files: Record<string, string> = {};
  for (const role of ["root", "timestamp", "snapshot", "targets", "targets/alice", "targets/releases"]) {
    const { status, body } = await admin.ask(`/v2/${gun}/_trust/tuf/${role}.json`);
    if (status === 200) files[role] = body.toString("base64");
  }
  return files;
}
