/** What every notary case shares: servers with their own keys and challenge, people with folders of their own, images. */
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Dockerd, startDockerd } from "../clients/dockerd.ts";
import { type Credentials, RegistryClient } from "../harness/registry-client.ts";
import { launcher, type RunningServer, startServer } from "../harness/server.ts";
import { getTool, mustRun, type RunResult, run } from "../harness/tools.ts";

export const ALICE: Credentials = { name: "alice", password: "alice-secret-1" };
export const BOB: Credentials = { name: "bob", password: "bob-secret-1" };
/** Reads and signs in the private organization, and pushes nothing. */
export const SUE: Credentials = { name: "sue", password: "sue-secret-1" };
/** Private, both own it; and one whose new repositories anybody may read, since notary does not sign in to read. */
export const [PRIVATE_ORG, PUBLIC_ORG] = ["lab", "open"] as const;

export interface Setting {
  readonly keys: "ed25519" | "ecdsa";
  readonly challenge: "bearer" | "basic";
}

export interface TrustServer {
  readonly server: RunningServer;
  readonly admin: RegistryClient;
  stop(): Promise<void>;
}

/** A server with alice, bob and their two organizations, and sue. */
export async function openTrustServer({ keys, challenge }: Setting): Promise<TrustServer> {
  const env = { GOLDSEAL_TRUST_KEYS: keys, GOLDSEAL_AUTH_CHALLENGE: challenge };
  const server = await startServer({ env, workers: 2 });
  const admin = new RegistryClient(server, server.admin);
  try {
    for (const { name, password } of [ALICE, BOB, SUE]) await put(admin, `users/${name}`, { password });
    await put(admin, `orgs/${PRIVATE_ORG}`, {});
    await put(admin, `orgs/${PUBLIC_ORG}`, { defaultVisibility: "public" });
    for (const org of [PRIVATE_ORG, PUBLIC_ORG]) {
      for (const { name } of [ALICE, BOB]) await put(admin, `orgs/${org}/members/${name}`, { role: "owner" });
    }
    await put(admin, `orgs/${PRIVATE_ORG}/members/${SUE.name}`, { role: "member" });
    await put(admin, `orgs/${PRIVATE_ORG}/teams/qa`, {});
    await put(admin, `orgs/${PRIVATE_ORG}/teams/qa/members/${SUE.name}`, {});
    await put(admin, `orgs/${PRIVATE_ORG}/teams/qa/grants/*`, { level: "read-only", extra: ["sign"] });
  } catch (error) {
    await server.stop();
    throw error;
  }
  return {
    server,
    admin,
    stop: async () => {
      admin.close();
      const status = await server.stop();
      if (status !== 0) throw new Error(`the server exited ${status}:\n${server.output().slice(-4000)}`);
    },
  };
}

async function put(admin: RegistryClient, noun: string, body: object): Promise<void> {
  const headers = { "content-type": "application/json" };
  const answer = await admin.ask(`/api/v1/${noun}`, {
    method: "PUT",
    headers,
    body: Buffer.from(JSON.stringify(body)),
  });
  if (answer.status >= 300) throw new Error(`PUT ${noun} was answered ${answer.status}: ${answer.body}`);
}

/** One engine for all docker clients; it takes any certificate of a registry on a loopback address. */
export async function openEngine(): Promise<Dockerd> {
  return startDockerd("/etc/ssl/certs/ca-certificates.crt");
}

/** The name of the small image in the engine. */
export const BASE_IMAGE = "goldseal-notary-base:1";

export async function makeBaseImage({ socket }: Dockerd): Promise<void> {
  const temp = mkdtempSync(join(tmpdir(), "goldseal-notary-image-"));
  try {
    writeFileSync(join(temp, "readme.txt"), "an image that is signed\n");
    await mustRun("tar", ["-C", temp, "-cf", join(temp, "image.tar"), "readme.txt"]);
    await mustRun(getTool("docker-20.10"), ["--host", socket, "import", join(temp, "image.tar"), BASE_IMAGE]);
  } finally {
    rmSync(temp, { recursive: true });
  }
}

/** Passphrases of every kind of key: no client may ask. */
const PASSPHRASES = {
  DOCKER_CONTENT_TRUST_ROOT_PASSPHRASE: "rootpass123",
  DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE: "repopass123",
  NOTARY_ROOT_PASSPHRASE: "rootpass123",
  NOTARY_TARGETS_PASSPHRASE: "repopass123",
  NOTARY_SNAPSHOT_PASSPHRASE: "repopass123",
  NOTARY_DELEGATION_PASSPHRASE: "repopass123",
};

export interface Command {
  readonly env?: Readonly<Record<string, string>>;
  readonly input?: string;
}

/** A person at a machine of their own: home folder, docker's credentials, the CA of the server. */
export interface Person {
  readonly home: string;
  run(program: string, args: readonly string[], command?: Command): Promise<RunResult>;
  /** Never asks: signs in as this person where the server challenges. */
  notary(args: readonly string[], command?: Command & { readonly trustDir?: string }): Promise<RunResult>;
  /** Our own command line. `url` is a way to the server that is not its own address. */
  goldseal(args: readonly string[], command?: Command & { readonly url?: string }): Promise<RunResult>;
}

export interface Room {
  readonly folder: string;
  readonly people: Readonly<Record<"alice" | "bob" | "sue", Person>>;
  remove(): void;
}

/** A fresh folder for each run: clients pin roots. */
export function openRoom({ host, caPath, url }: RunningServer): Room {
  const folder = mkdtempSync(join(tmpdir(), "goldseal-notary-"));
  copyFileSync(caPath, join(folder, "ca.crt"));
  writeFileSync(join(folder, "hello.txt"), "hello\n");
  const openPerson = ({ name, password }: Credentials): Person => {
    const home = join(folder, name);
    const tls = join(home, ".docker", "tls", host);
    mkdirSync(tls, { recursive: true });
    copyFileSync(caPath, join(tls, "ca.crt"));
    const auth = Buffer.from(`${name}:${password}`).toString("base64");
    writeFileSync(join(home, ".docker", "config.json"), JSON.stringify({ auths: { [host]: { auth } } }));
    const own = {
      ...{ ...PASSPHRASES, HOME: home, DOCKER_CONFIG: join(home, ".docker"), NOTARY_AUTH: auth },
      ...{ GOLDSEAL_PASSWORD: password, SSL_CERT_FILE: caPath },
    };
    const start: Person["run"] = (program, args, { env = {}, input = "" } = {}) =>
      run(getTool(program), args, { cwd: folder, env: { ...own, ...env }, input, timeoutSeconds: 120 });
    return {
      home,
      run: start,
      notary: (args, { trustDir = join(home, ".notary"), ...command } = {}) =>
        start("notary", ["-s", url, "--tlscacert", caPath, "-d", trustDir, ...args], command),
      goldseal: (args, { url: way = url, ...command } = {}) =>
        start("node", [launcher, ...args, "--url", way, "--ca", caPath, "--as", name], command),
    };
  };
  return {
    folder,
    people: { alice: openPerson(ALICE), bob: openPerson(BOB), sue: openPerson(SUE) },
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}
