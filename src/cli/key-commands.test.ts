import { generateKeyPairSync } from "node:crypto";
import { copyFile, mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { publicUrl } from "../orgs/test-server.ts";
import { openWithPassphrase, readStoredKey } from "./docker-keys/folder.ts";
import { Passphrases } from "./docker-keys/passphrases.ts";
import { toPublicPem } from "./docker-keys/signing-key.ts";
import { useCli } from "./test-cli.ts";

const { goldseal, server } = useCli();

/** Made by docker 28 (alice; carol is RSA) and docker 20.10 (bob). */
const DATA = join(import.meta.dirname, "docker-keys", "testing", "data");
const PASSPHRASE = { DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE: "repopass123" };

let folder: string;
let files: Readonly<Record<string, string>>;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "goldseal-key-commands-"));
  await mkdir(join(folder, "docker", "trust", "private"), { recursive: true });
  const stored = await Promise.all((await readdir(DATA)).map((name) => readStoredKey(join(DATA, name))));
  files = Object.fromEntries(stored.map(({ role, path }) => [role, path]));
  const silent = { stdin: process.stdin, stdout: process.stdout, stderr: process.stderr };
  for (const role of ["alice", "bob", "carol"]) {
    const { key } = await openWithPassphrase(await readStoredKey(fileOf(role)), new Passphrases(PASSPHRASE, silent));
    await writeFile(join(folder, `${role}.pub`), toPublicPem(key, role));
  }
});
afterAll(() => rm(folder, { recursive: true }));

beforeEach(async () => {
  await server().database.query("", "truncate user_keys, key_owners, user_key_challenges");
  const trust = join(folder, "docker", "trust", "private");
  for (const name of await readdir(trust)) await rm(join(trust, name));
});

function fileOf(role: string): string {
  const path = files[role];
  if (path === undefined) throw new Error(`there is no key of ${role}`);
  return path;
}

/** The private halves that this person has at this machine. */
async function hold(...roles: readonly string[]): Promise<void> {
  for (const role of roles)
    await copyFile(fileOf(role), join(folder, "docker", "trust", "private", fileOf(role).slice(DATA.length + 1)));
}

const env = { GOLDSEAL_PASSWORD: "alice's password", DOCKER_CONFIG: "", HOME: "/nonexistent", ...PASSPHRASE };

function asAlice(line: string, more: Parameters<typeof goldseal>[1] = {}) {
  const own = { ...env, DOCKER_CONFIG: join(folder, "docker"), ...more.env };
  return goldseal(`${line} --as alice`, { ...more, env: own });
}

const SERVER = `--server ${publicUrl}`;
const list = async () => (await asAlice("key list")).out;

describe("goldseal key add", () => {
  it.each([
    ["alice", "ecdsa"],
    ["bob", "ecdsa"],
    ["carol", "rsa"],
  ])("adds docker's %s.pub and proves it with the private key in docker's folder", async (role, algorithm) => {
    await hold("alice", "bob", "carol");

    const { status, err } = await asAlice(`key add ${join(folder, `${role}.pub`)} ${SERVER}`);

    expect([status, err]).toEqual([0, `key ${role} of alice is added and proved\n`]);
    const id = fileOf(role).slice(DATA.length + 1, -".key".length);
    expect(await list()).toMatch(new RegExp(`^${role} +proved +${id} +${algorithm} +20`));
  });

  it("finds a key by the name that docker gave it, with the passphrase of the terminal", async () => {
    await hold("alice", "bob");
    const typed = ["wrong one\r", "repopass123\r"];

    const { status, err } = await asAlice(`key add bob ${SERVER}`, {
      typed,
      env: { DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE: undefined },
    });

    expect(status).toBe(0);
    expect(err).toContain("key bob of alice is added and proved");
    expect(err).not.toContain("repopass123");
  });

  it("takes a private key, wherever it lies, for its public half", async () => {
    const { status, err } = await asAlice(`key add ${fileOf("bob")} --name token ${SERVER}`);

    expect([status, err]).toEqual([0, "key token of alice is added and proved\n"]);
  });

  it("leaves a key unproven whose private half is elsewhere, and says what to do", async () => {
    const { status, err } = await asAlice(`key add ${join(folder, "alice.pub")} ${SERVER}`);

    expect([status, err]).toEqual([
      0,
      "key alice of alice is added and unproven: it counts for nobody yet.\nWhere its private half is, run goldseal key prove alice\n",
    ]);
    expect(await list()).toMatch(/^alice +unproven /);
  });

  it("sends nothing without the passphrase, or with the private half of another key", async () => {
    await hold("alice");
    const path = join(folder, "alice.pub");

    const closed = await asAlice(`key add ${path} ${SERVER}`, {
      env: { DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE: "wrong" },
    });
    const other = await asAlice(`key add ${path} --key ${fileOf("bob")} ${SERVER}`);

    expect([closed.status, other.status]).toEqual([1, 1]);
    expect(closed.err).toContain("DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE is not its passphrase");
    expect(other.err).toContain("is another one than");
    expect(await list()).toBe("");
  });

  it("signs for no server but the one that it talks to", async () => {
    await hold("alice");

    const { status, err } = await asAlice(`key add ${join(folder, "alice.pub")}`);

    expect(status).toBe(1);
    expect(err).toContain(`calls itself ${publicUrl}; the key is not proved`);
    expect(await list()).toMatch(/^alice +unproven /);
  });

  it("says what is wrong with a file", async () => {
    const { privateKey } = generateKeyPairSync("x25519");
    await writeFile(join(folder, "odd.pub"), "ssh-ed25519 AAAA alice@host\n");
    await writeFile(join(folder, "odd.key"), privateKey.export({ format: "pem", type: "pkcs8" }));

    const errors = [
      (await asAlice(`key add ${join(folder, "odd.pub")}`)).err,
      (await asAlice(`key add ${join(folder, "odd.key")}`)).err,
      (await asAlice(`key add ${join(folder, "docker")}`)).err,
    ];

    expect(errors[0]).toContain("odd.pub: not PEM of a PUBLIC KEY");
    expect(errors[1]).toContain("x25519 is no kind of key");
    expect(errors[2]).toContain("there is neither a file");
  });

  it("asks for the password, where there is only the token of a login", async () => {
    const home = { ...env, GOLDSEAL_PASSWORD: undefined, GOLDSEAL_ADMIN_PASSWORD: undefined, HOME: folder };
    await asAlice("login", { env: { HOME: folder } });

    const { status, err } = await goldseal(`key add ${join(folder, "alice.pub")}`, { env: home });

    expect(status).toBe(2);
    expect(err).toContain("no password for alice");
  });
});

describe("goldseal key prove, remove and who", () => {
  it("prove a key that was added elsewhere, lead from its id to the person, and remove it", async () => {
    await asAlice(`key add ${join(folder, "alice.pub")} ${SERVER}`);
    const missing = await asAlice(`key prove alice ${SERVER}`);
    const proved = await asAlice(`key prove alice --key ${fileOf("alice")} ${SERVER}`);
    await goldseal("org create lab");
    await goldseal("member add lab alice");
    await goldseal("team create lab qa");
    await goldseal("team add lab qa alice");
    const id = fileOf("alice").slice(DATA.length + 1, -".key".length);

    const who = await goldseal(`key who lab ${id}`);
    const ofAdmin = await goldseal("key list --user alice");
    const removed = await goldseal(`key remove ${id} --user alice`);

    expect([missing.status, proved.status, removed.status]).toEqual([1, 0, 0]);
    expect(missing.err).toContain("is not in docker's folder; name it with --key");
    expect(who.out).toMatch(/^alice +qa +20/);
    expect(ofAdmin.out).toMatch(/^alice +proved/);
    expect([await list(), (await goldseal(`key who lab ${id}`)).status]).toEqual(["", 1]);
    expect((await asAlice("key remove alice")).err).toContain("alice has no key alice");
  });
});
