import { createPublicKey, generateKeyPairSync } from "node:crypto";
import { copyFile, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { verifySignature } from "../../notary/tuf/key.ts";
import { CliError } from "../errors.ts";
import { DockerKeys, dockerTrustFolder, openWithPassphrase, readStoredKey } from "./folder.ts";
import { Passphrases } from "./passphrases.ts";
import { generateSigningKey, signWith, toPublicPem, toSigningKey } from "./signing-key.ts";

/** Made by the programs themselves; the last one by notary 0.3, in the encryption of its time. */
const DATA = join(import.meta.dirname, "testing", "data");
const [ROOT, ALICE, CAROL, BOB, LEGACY] = (await readdir(DATA)).map((name) => name.replace(".key", "")) as [
  string,
  string,
  string,
  string,
  string,
];
const ENV = {
  DOCKER_CONTENT_TRUST_ROOT_PASSPHRASE: "rootpass123",
  DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE: "repopass123",
};
const MESSAGE = Buffer.from("what is signed");

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "goldseal-keys-"));
});
afterEach(() => rm(folder, { recursive: true }));

/** @param typed at a terminal; undefined: there is none */
function passphrases(env: Record<string, string> = ENV, typed?: string[]): Passphrases {
  const stdin = Object.assign(new PassThrough(), { isTTY: typed !== undefined });
  const stderr = new PassThrough();
  stderr.on("data", (chunk: Buffer) => chunk.toString().endsWith(": ") && stdin.write(`${typed?.shift()}\n`));
  return new Passphrases(env, { stdin, stdout: new PassThrough(), stderr });
}

async function withFiles(...ids: readonly string[]): Promise<void> {
  await mkdir(join(folder, "private"));
  for (const id of ids) await copyFile(join(DATA, `${id}.key`), join(folder, "private", `${id}.key`));
}

describe("dockerTrustFolder", () => {
  it.each([
    [{ DOCKER_CONFIG: "/etc/d", HOME: "/home/a" }, "/etc/d/trust"],
    [{ HOME: "/home/a" }, "/home/a/.docker/trust"],
  ])("of %j is %s", (env, expected) => {
    expect(dockerTrustFolder(env)).toBe(expected);
  });

  it("says what is missing without either", () => {
    expect(() => dockerTrustFolder({})).toThrow("neither DOCKER_CONFIG nor HOME is set");
  });
});

describe("keys that docker and notary made", () => {
  it("are listed by what they are for, and nothing else is", async () => {
    await withFiles(ROOT, ALICE, BOB);
    await writeFile(join(folder, "private", "notes.txt"), "-----BEGIN PRIVATE KEY-----");
    await writeFile(join(folder, "private", "broken.key"), "no key");

    const keys = await new DockerKeys(folder, passphrases()).list();

    expect(keys.map(({ keyId, role, gun }) => [keyId, role, gun])).toEqual([
      [ROOT, "root", undefined],
      [ALICE, "alice", undefined],
      [BOB, "bob", undefined],
    ]);
  });

  it.each([
    ["notary's root", ROOT, ENV, "ecdsa"],
    ["docker 28", ALICE, ENV, "ecdsa"],
    ["docker 28, an RSA key loaded", CAROL, ENV, "rsapss"],
    ["docker 20.10", BOB, ENV, "ecdsa"],
    ["notary 0.3", LEGACY, { DOCKER_CONTENT_TRUST_ROOT_PASSPHRASE: "password" }, "ecdsa"],
  ])("open, carry their name, and sign: %s", async (_who, id, env, method) => {
    await withFiles(id);
    const keys = new DockerKeys(folder, passphrases(env));
    const [stored] = await keys.list();

    const key = await keys.open(stored as never);

    expect(key.key.id).toBe(id);
    const signature = signWith(key, MESSAGE);
    expect(signature.method).toBe(method);
    expect(verifySignature(key.key, method, MESSAGE, signature.sig)).toBe(true);
    expect(verifySignature(key.key, method, Buffer.from("another"), signature.sig)).toBe(false);
  });

  it("are refused under another key's name", async () => {
    await withFiles(ALICE);
    await copyFile(join(DATA, `${ALICE}.key`), join(folder, "private", `${BOB}.key`));
    const keys = new DockerKeys(folder, passphrases());

    const stored = await keys.find(BOB);

    await expect(keys.open(stored as never)).rejects.toThrow(`holds the key ${ALICE}`);
  });

  it("open from any place by a path", async () => {
    await copyFile(join(DATA, `${ALICE}.key`), join(folder, "my.pem"));

    const key = await openWithPassphrase(await readStoredKey(join(folder, "my.pem")), passphrases());

    expect(key.key.id).toBe(ALICE);
    await expect(readStoredKey(join(folder, "none.pem"))).rejects.toThrow(CliError);
    await writeFile(join(folder, "cert.pem"), "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    await expect(readStoredKey(join(folder, "cert.pem"))).rejects.toThrow("is no private key");
  });
});

describe("passphrases", () => {
  it("that are wrong in the environment end it, naming the variable", async () => {
    await withFiles(ALICE);
    const keys = new DockerKeys(folder, passphrases({ DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE: "wrong" }));

    await expect(keys.find(ALICE).then((key) => keys.open(key as never))).rejects.toThrow(
      `the key of alice ${ALICE} does not open: DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE is not its passphrase`,
    );
  });

  it("are asked for at a terminal, three times at most, and once for all keys of a kind", async () => {
    await withFiles(ALICE, BOB);
    const keys = new DockerKeys(folder, passphrases({}, ["wrong", "wrong again", " repopass123 "]));
    for (const stored of await keys.list()) expect((await keys.open(stored)).key.id).toBe(stored.keyId);

    const impatient = new DockerKeys(folder, passphrases({}, ["1", "2", "3", "repopass123"]));
    await expect(impatient.find(ALICE).then((key) => impatient.open(key as never))).rejects.toThrow("what was typed");
  });

  it("without a terminal are asked for by the name of the variable", async () => {
    await withFiles(ROOT);
    const keys = new DockerKeys(folder, passphrases({}));

    await expect(keys.find(ROOT).then((key) => keys.open(key as never))).rejects.toThrow(
      "set DOCKER_CONTENT_TRUST_ROOT_PASSPHRASE, or run this at a terminal",
    );
  });

  it.each([
    ["too short", ["seven77", "seven77"], "at least 8 characters"],
    ["typed differently", ["longenough1", "longenough2"], "the two passphrases differ"],
  ])("for a new key are refused: %s", async (_what, typed, message) => {
    const keys = new DockerKeys(folder, passphrases({}, typed));

    await expect(keys.add(generateSigningKey(), { role: "dora", gun: undefined })).rejects.toThrow(message);
    expect(await readdir(folder)).toEqual([]);
  });
});

describe("a key that goldseal made", () => {
  it.each([
    ["ecdsa", generateSigningKey()],
    ["rsa", toSigningKey(generateKeyPairSync("rsa", { modulusLength: 3072 }).privateKey)],
  ])("%s: lies where docker looks, for its owner only, and reads back", async (_type, key) => {
    const path = await new DockerKeys(folder, passphrases()).add(key, { role: "targets", gun: "reg:5000/lab/app" });

    expect(path).toBe(join(folder, "private", `${key.key.id}.key`));
    expect((await stat(join(folder, "private"))).mode & 0o777).toBe(0o700);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect(await readFile(path, "utf8")).toMatch(
      /^-----BEGIN ENCRYPTED PRIVATE KEY-----\ngun: reg:5000\/lab\/app\nrole: targets\n\n[A-Za-z0-9+/=\n]+-----END ENCRYPTED PRIVATE KEY-----\n$/,
    );
    const keys = new DockerKeys(folder, passphrases());
    const [stored] = await keys.list();
    expect(stored).toMatchObject({ role: "targets", gun: "reg:5000/lab/app", keyId: key.key.id });
    expect((await keys.open(stored as never)).privateKey.equals(key.privateKey)).toBe(true);
  });

  it("has docker's cipher in its DER", async () => {
    const key = generateSigningKey();
    const path = await new DockerKeys(folder, passphrases()).add(key, { role: "root", gun: undefined });

    const [made, docker] = await Promise.all([readStoredKey(path), readStoredKey(join(DATA, `${ROOT}.key`))]);

    // Salt, IV and what they encrypt differ, and its length; every other byte is docker's.
    const shape = (der: Buffer) => [der.subarray(3, 35), der.subarray(43, 62), der.subarray(78, 80)];
    expect(shape(made.der)).toEqual(shape(docker.der));
  });

  it("has a public half as docker trust key generate writes it", async () => {
    const key = generateSigningKey();

    const pem = toPublicPem(key.key, "alice");

    expect(pem).toMatch(/^-----BEGIN PUBLIC KEY-----\nrole: alice\n\nMFkw/);
    expect(createPublicKey(pem.replace("role: alice\n\n", "")).equals(createPublicKey(key.privateKey))).toBe(true);
  });

  it.each([
    ["a short modulus", generateKeyPairSync("rsa", { modulusLength: 1024 }).privateKey, "an RSA key of 1024 bits"],
    ["another curve", generateKeyPairSync("ec", { namedCurve: "secp256k1" }).privateKey, "not a key on P-256"],
    ["a kind that only agrees", generateKeyPairSync("x25519").privateKey, "x25519 is no kind of key"],
  ])("is not made of %s", (_what, privateKey, message) => {
    expect(() => toSigningKey(privateKey)).toThrow(message);
  });
});
