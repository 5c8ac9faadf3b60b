/**
 * Real cosign, v2 and v3, signs in a real Goldseal; what it pushed is kept as vectors for `src/trust`:
 * `node bin/goldseal.mjs run conformance/trust/make-cosign-vectors.ts`. The private keys are thrown away.
 */
import { generateKeyPairSync, type KeyObject } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { RegistryClient, sha256 } from "../harness/registry-client.ts";
import { projectRoot, type RunningServer, startServer } from "../harness/server.ts";
import { getTool, mustRun } from "../harness/tools.ts";

const OUTPUT = join(projectRoot, "src", "trust", "testing", "data", "cosign.json");
const MANIFEST = "application/vnd.oci.image.manifest.v1+json";
const INDEX = "application/vnd.oci.image.index.v1+json";
const CONFIG = "application/vnd.oci.image.config.v1+json";

const KEYS: Readonly<Record<string, () => { publicKey: KeyObject; privateKey: KeyObject }>> = {
  p256: () => generateKeyPairSync("ec", { namedCurve: "prime256v1" }),
  mallory: () => generateKeyPairSync("ec", { namedCurve: "prime256v1" }),
  p384: () => generateKeyPairSync("ec", { namedCurve: "secp384r1" }),
  rsa: () => generateKeyPairSync("rsa", { modulusLength: 2048 }),
  ed25519: () => generateKeyPairSync("ed25519"),
};

/** One push: who signs what how. `about` is what the command is given. */
interface Signing {
  readonly name: string;
  readonly by: readonly string[];
  readonly about: "image" | "index";
  readonly args: readonly string[];
}

const SIGN = ["sign", "--yes", "--tlog-upload=false"];
const ATTEST = ["attest", "--yes", "--tlog-upload=false", "--type", "custom", "--predicate", "predicate.json"];

const SIGNINGS: readonly Signing[] = [
  ...["p256", "p384", "rsa", "ed25519"].map((key) => ({ name: key, by: [key], about: "image" as const, args: SIGN })),
  { name: "two signers", by: ["p256", "mallory"], about: "image", args: SIGN },
  { name: "index", by: ["p256"], about: "index", args: SIGN },
  { name: "index and children", by: ["p256"], about: "index", args: [...SIGN, "--recursive"] },
  {
    name: "annotated",
    by: ["p256"],
    about: "image",
    args: [...SIGN, "-a", "commit=abc", "--record-creation-timestamp"],
  },
  { name: "certificate", by: ["p256"], about: "image", args: [...SIGN, "--certificate", "p256.crt"] },
  { name: "attestation", by: ["p256"], about: "image", args: ATTEST },
];

interface Content {
  readonly mediaType: string;
  readonly bytes: Buffer;
}

const base64 = (bytes: Buffer): string => bytes.toString("base64");
const json = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));

class World {
  readonly server: RunningServer;
  readonly client: RegistryClient;
  readonly folder: string;
  /** Child first, as it must be pushed. */
  readonly images: Readonly<Record<"image" | "index", Content>>;
  readonly #config = json({ architecture: "amd64", os: "linux", rootfs: { type: "layers", diff_ids: [] }, config: {} });

  constructor(server: RunningServer, folder: string) {
    this.server = server;
    this.folder = folder;
    this.client = new RegistryClient(server, server.admin);
    const config = { mediaType: CONFIG, digest: sha256(this.#config), size: this.#config.length };
    const image = json({ schemaVersion: 2, mediaType: MANIFEST, config, layers: [] });
    const child = { mediaType: MANIFEST, digest: sha256(image), size: image.length };
    const manifests = [{ ...child, platform: { architecture: "amd64", os: "linux" } }];
    const index = json({ schemaVersion: 2, mediaType: INDEX, manifests });
    this.images = { image: { mediaType: MANIFEST, bytes: image }, index: { mediaType: INDEX, bytes: index } };
  }

  async must(method: string, path: string, contentType: string, body: Buffer): Promise<void> {
    const { status, body: answer } = await this.client.ask(path, {
      method,
      headers: { "content-type": contentType },
      body,
    });
    if (status !== 201 && status !== 200) throw new Error(`${method} ${path} was answered ${status}: ${answer}`);
  }

  async push(repository: string): Promise<void> {
    const upload = `/v2/${repository}/blobs/uploads/?digest=${sha256(this.#config)}`;
    await this.must("POST", upload, "application/octet-stream", this.#config);
    for (const [tag, { mediaType, bytes }] of Object.entries(this.images)) {
      await this.must("PUT", `/v2/${repository}/manifests/${tag}`, mediaType, bytes);
    }
  }

  async cosign(version: string, args: readonly string[]): Promise<void> {
    await mustRun(getTool(`cosign-${version}`), args, {
      cwd: this.folder,
      env: { COSIGN_PASSWORD: "x", HOME: this.folder },
      timeoutSeconds: 60,
    });
  }

  /** Every manifest of signatures, with its layers: those under cosign's tags, and the referrers. */
  async collect(repository: string): Promise<object[]> {
    const read = async (path: string) =>
      JSON.parse((await this.client.ask(`/v2/${repository}/${path}`)).body.toString());
    const { tags } = (await read("tags/list")) as { tags: string[] };
    const found = tags.filter((tag) => tag.startsWith("sha256-"));
    for (const { bytes } of Object.values(this.images)) {
      const { manifests } = (await read(`referrers/${sha256(bytes)}`)) as { manifests: { digest: string }[] };
      found.push(...manifests.map(({ digest }) => digest));
    }
    return Promise.all(found.map((reference) => this.#signature(repository, reference)));
  }

  async #signature(repository: string, reference: string): Promise<object> {
    const { body } = await this.client.manifest(repository, reference);
    const { layers } = JSON.parse(body.toString()) as { layers: { digest: string }[] };
    const blobs = layers.map(async ({ digest }) => {
      const answer = await this.client.ask(`/v2/${repository}/blobs/${digest}`);
      return [digest, base64(answer.body)] as const;
    });
    return { foundAs: reference, manifest: base64(body), blobs: Object.fromEntries(await Promise.all(blobs)) };
  }
}

async function makeKeys(world: World): Promise<Record<string, string>> {
  const spkis: Record<string, string> = {};
  for (const [name, generate] of Object.entries(KEYS)) {
    const { publicKey, privateKey } = generate();
    const pem = join(world.folder, `${name}.pem`);
    writeFileSync(pem, privateKey.export({ format: "pem", type: "pkcs8" }));
    // cosign reads RSA and EC keys from their own PEM forms, and Ed25519 from PKCS #8.
    await world.cosign("v2", ["import-key-pair", "--key", pem, "--output-key-prefix", name]);
    spkis[name] = base64(publicKey.export({ format: "der", type: "spki" }));
  }
  const pem = join(world.folder, "p256.pem");
  await mustRun("openssl", [
    "req",
    "-x509",
    "-key",
    pem,
    "-subj",
    "/CN=ci",
    "-days",
    "3650",
    "-out",
    join(world.folder, "p256.crt"),
  ]);
  writeFileSync(join(world.folder, "predicate.json"), "{}");
  return spkis;
}

async function sign(world: World, version: string, signing: Signing, repository: string): Promise<object> {
  const { host, admin, caPath } = world.server;
  const auth = ["--registry-username", admin.name, "--registry-password", admin.password, "--registry-cacert", caPath];
  const offline = version === "v3" ? ["--use-signing-config=false"] : [];
  await world.push(repository);
  for (const key of signing.by) {
    const image = `${host}/${repository}@${sha256(world.images[signing.about].bytes)}`;
    await world.cosign(version, [...signing.args, ...offline, "--key", `${key}.key`, ...auth, image]);
  }
  const { name, by, about } = signing;
  return { version, name, by, about, signatures: await world.collect(repository) };
}

/** `sign-blob` of the manifest: a bundle with a message signature, which nobody pushes. */
async function signBlob(world: World): Promise<string> {
  writeFileSync(join(world.folder, "manifest.json"), world.images.image.bytes);
  const offline = ["--tlog-upload=false", "--use-signing-config=false"];
  await world.cosign("v3", [
    "sign-blob",
    "--yes",
    ...offline,
    "--key",
    "p256.key",
    "--bundle",
    "blob.bundle",
    "manifest.json",
  ]);
  return base64(readFileSync(join(world.folder, "blob.bundle")));
}

const folder = mkdtempSync(join(tmpdir(), "goldseal-cosign-"));
const server = await startServer({ workers: 1 });
const world = new World(server, folder);
try {
  await world.must("PUT", "/api/v1/orgs/lab", "application/json", json({}));
  const keys = await makeKeys(world);
  const pushes: object[] = [];
  for (const version of ["v2", "v3"]) {
    for (const [index, signing] of SIGNINGS.entries()) {
      pushes.push(await sign(world, version, signing, `lab/${version}-${index}`));
    }
  }
  const images = Object.fromEntries(Object.entries(world.images).map(([name, { bytes }]) => [name, base64(bytes)]));
  const made = { by: ["cosign v2.6.5", "cosign v3.1.3"], keys, images, pushes, messageBundle: await signBlob(world) };
  writeFileSync(OUTPUT, `${JSON.stringify(made, undefined, 1)}\n`);
  console.log(`${pushes.length + 1} signings kept in ${OUTPUT}`);
} finally {
  world.client.close();
  await server.stop();
  rmSync(folder, { recursive: true });
}
