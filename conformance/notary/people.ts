/**
 * People behind keys: what docker makes and writes leads to a person. A key of `docker trust key generate` is added and proved
 * by our command line; the id that `docker trust signer add` puts into trust data is then that person's, bare and in a
 * certificate, and nobody else's. The server's own keys are delegated to by docker alike, and lead to nobody.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { RegistryClient } from "../harness/registry-client.ts";
import type { Report } from "../harness/report.ts";
import { launcher, type RunningServer } from "../harness/server.ts";
import { getTool, missingTools, mustRun, type RunResult } from "../harness/tools.ts";
import { ALICE, BOB, openRoom, openTrustServer, type Person, PRIVATE_ORG, type Room } from "./world.ts";

const CLIENTS = ["docker-20.10", "docker-28"];

interface Scene {
  readonly server: RunningServer;
  readonly admin: RegistryClient;
  readonly room: Room;
  readonly docker: string;
  /** Of this client alone, as all names below are. */
  readonly image: string;
}

export async function checkPeople(report: Report): Promise<void> {
  const missing = missingTools(["openssl", ...CLIENTS]);
  if (missing.length > 0) return report.skip("people behind keys", `${missing.join(", ")} not found`);
  const { server, admin, stop } = await openTrustServer({ keys: "ed25519", challenge: "bearer" });
  try {
    for (const docker of CLIENTS) {
      const room = openRoom(server);
      const image = `${server.host}/${PRIVATE_ORG}/people-${docker}`;
      await checkClient(report, { server, admin, room, docker, image });
      room.remove();
    }
  } finally {
    await stop();
  }
}

async function checkClient(report: Report, scene: Scene): Promise<void> {
  const { docker, room } = scene;
  const { alice, bob } = room.people;
  const signer = `ann-with-${docker.replace(".", "-")}`;
  const check = (what: string, run: () => Promise<void>) => report.check(`${docker}: ${what}`, run);
  await check("docker trust key generate, then goldseal key add: proved", async () => {
    await mustPrint(alice.run(docker, ["trust", "key", "generate", signer]), /generated and loaded private key/);
    await mustPrint(goldseal(scene, alice, ["key", "add", `${signer}.pub`]), /is added and proved/);
  });
  await check("nobody else gets that key", async () => {
    const taken = await goldseal(scene, bob, ["key", "add", `${signer}.pub`]);
    if (taken.status !== 1 || !taken.stderr.includes("409 key-taken")) throw new Error(textOf(taken));
  });
  await check("docker trust signer add: the delegation's key id leads to its person", async () => {
    await mustDelegate(scene, signer, `${signer}.pub`);
    await mustLead(scene, await delegatedKey(scene, signer), ALICE.name);
  });
  await check("a certificate's key leads to its person by the id that docker gives it", async () => {
    await makeCertificate(room.folder);
    await mustPrint(goldseal(scene, bob, ["key", "add", "cert.pem", "--key", "key.pem"]), /is added and proved/);
    await mustDelegate(scene, "bert", "cert.pem");
    await mustLead(scene, await delegatedKey(scene, "bert"), BOB.name);
    await mustPrint(goldseal(scene, bob, ["key", "remove", "cert"]), /removed key cert/);
    await mustLead(scene, await delegatedKey(scene, "bert"), undefined);
  });
  await check("docker delegates to the server's own keys, which lead to nobody", async () => {
    for (const { role, keyId, publicKey } of await signersOf(scene)) {
      const name = role.slice("targets/".length);
      writeFileSync(join(room.folder, `${name}.pem`), publicKey);
      await mustDelegate(scene, name, `${name}.pem`);
      if ((await delegatedKey(scene, name)) !== keyId) throw new Error(`${role} has another key than ${keyId}`);
      await mustLead(scene, keyId, undefined);
    }
  });
}

/** Our command line, as the person and with their docker folder. */
function goldseal({ server }: Scene, who: Person, args: readonly string[]): Promise<RunResult> {
  const { name, password } = who.home.endsWith(ALICE.name) ? ALICE : BOB;
  const env = { GOLDSEAL_PASSWORD: password, GOLDSEAL_ADMIN_PASSWORD: "" };
  const own = ["--url", server.url, "--ca", server.caPath, "--as", name];
  return who.run("node", [launcher, ...args, ...own], { env });
}

async function mustDelegate({ docker, room, image }: Scene, signer: string, file: string): Promise<void> {
  const { alice } = room.people;
  await mustPrint(
    alice.run(docker, ["trust", "signer", "add", "--key", file, signer, image]),
    /Successfully added signer/,
  );
}

async function mustPrint(running: Promise<RunResult>, expected: RegExp): Promise<void> {
  const result = await running;
  if (result.status !== 0 || !expected.test(result.stdout + result.stderr)) throw new Error(textOf(result));
}

const textOf = ({ status, stdout, stderr }: RunResult): string => `it exited ${status}:\n${stdout}${stderr}`;

interface Targets {
  readonly signed: {
    readonly delegations: { readonly roles: readonly { readonly name: string; readonly keyids: readonly string[] }[] };
  };
}

/** As every reader of the trust data sees it. */
async function delegatedKey({ admin, image }: Scene, signer: string): Promise<string> {
  const { status, body } = await admin.ask(`/v2/${image}/_trust/tuf/targets.json`);
  if (status !== 200) throw new Error(`targets.json: ${status} ${body}`);
  const { signed }: Targets = JSON.parse(body.toString());
  const [keyId] = signed.delegations.roles.find(({ name }) => name === `targets/${signer}`)?.keyids ?? [];
  if (keyId === undefined) throw new Error(`there is no delegation targets/${signer}:\n${body}`);
  return keyId;
}

/** @param user undefined: to nobody */
async function mustLead({ admin }: Scene, keyId: string, user: string | undefined): Promise<void> {
  const { status, body } = await admin.ask(`/api/v1/orgs/${PRIVATE_ORG}/keys/${keyId}`);
  const found: unknown = status === 200 ? JSON.parse(body.toString()).user : undefined;
  if (found !== user || (user === undefined && status !== 404))
    throw new Error(`${keyId} should lead to ${user ?? "nobody"}: ${status} ${body}`);
}

interface SignerWire {
  readonly role: string;
  readonly keyId: string;
  readonly publicKey: string;
}

async function signersOf({ admin }: Scene): Promise<readonly SignerWire[]> {
  const { status, body } = await admin.ask(`/api/v1/orgs/${PRIVATE_ORG}/signers`);
  const { signers = [] }: { signers?: SignerWire[] } = JSON.parse(body.toString());
  if (status !== 200 || signers.length !== 2) throw new Error(`signers: ${status} ${body}`);
  return signers;
}

async function makeCertificate(folder: string): Promise<void> {
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "key.pem"];
  await mustRun(getTool("openssl"), ["req", "-x509", ...key, "-out", "cert.pem", "-subj", "/CN=bert", "-days", "30"], {
    cwd: folder,
  });
}
