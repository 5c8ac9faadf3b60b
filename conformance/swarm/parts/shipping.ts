/** Goldseal ships itself: its own image is built, pushed to itself, signed, and deployed by its own bridge. */
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { copyFileSync, mkdirSync, readFileSync } from "node:fs";
import { connect, createServer, type Server } from "node:net";
import { join } from "node:path";
import { ANN } from "../../clients/world.ts";
import { startPostgres } from "../../harness/postgres.ts";
import type { Report } from "../../harness/report.ts";
import { startS3Server } from "../../harness/s3-servers.ts";
import { projectRoot } from "../../harness/server.ts";
import { findTool, getTool, mustRun } from "../../harness/tools.ts";
import { askEngine, until } from "../lab/engine.ts";
import { equal, running } from "../looking.ts";
import type { World } from "../world.ts";

const REPOSITORY = "ann/goldseal";
const ADMIN = "admin:shipped-admin-1";
const PORT = 18_443;
const SECRETS = ["goldseal-settings", "goldseal-master.key", "goldseal-s3"] as const;

export async function shipping(world: World, report: Report): Promise<void> {
  const missing = ["buildah", "debootstrap", "skopeo", "minio"].filter((tool) => findTool(tool) === undefined);
  if (missing.length > 0) return report.skip("shipping", `${missing.join(", ")} not found`);
  const archive = join(world.folder, "goldseal-image.tar");
  let id = "";
  await report.check("shipping: the image is built from scratch", async () => {
    const printed = await mustRun(join(projectRoot, "deploy", "build-image"), [archive], { timeoutSeconds: 600 });
    id = /^(sha256:[0-9a-f]{64}) /.exec(printed)?.[1] ?? "";
    if (id === "") throw new Error(printed);
  });
  if (id === "") return;
  const [postgres, s3] = [await startPostgres(), await startS3Server("minio")];
  const relays = await Promise.all([relay(world, postgres.url), relay(world, s3.endpoint)]);
  try {
    const [database, bucket] = relays.map(({ host }) => host);
    await makeSecrets(world, `postgres://goldseal@${database}/postgres`, s3.url("shipped", `http://${bucket}`), s3.env);
    await checkShipped(report, world, { archive, id });
  } finally {
    await world.change("service.remove", { name: "goldseal" }).catch(() => undefined);
    for (const { server } of relays) server.close();
    await Promise.all([postgres.close(), s3.stop()]);
  }
}

interface Shipped {
  readonly archive: string;
  /** Of the image, as it was built. */
  readonly id: string;
}

async function checkShipped(report: Report, world: World, { archive, id }: Shipped): Promise<void> {
  let digest = "";
  await report.check("shipping: pushed to Goldseal, signed, and nothing else than what was built", async () => {
    digest = await push(world, archive);
    const manifest = JSON.parse(await world.api("GET", `/v2/${REPOSITORY}/manifests/${digest}`));
    equal(manifest.config.digest, id);
    await world.api("PUT", `/api/v1/orgs/${REPOSITORY.replace("/", "/repositories/")}`, '{"visibility":"public"}');
    await world.goldseal("trust", "init", `${world.server.host}/${REPOSITORY}`);
    await world.sign("1", REPOSITORY);
    world.pinAlso(REPOSITORY);
    await world.setPolicy({ secrets: [...SECRETS] });
    await world.stopBridge();
    await world.startBridge();
  });
  await report.check("shipping: two replicas of it run, by the digest that was signed, and are healthy", async () => {
    const { last } = await world.deploy(spec(world));
    equal(last, { outcome: { kind: "deployed", pinned: world.pin(digest, REPOSITORY) } });
    const found = await running(world, "goldseal");
    equal(
      found.map(({ image }) => image),
      [world.pin(digest, REPOSITORY), world.pin(digest, REPOSITORY)],
    );
    for (const { node, id: container } of found) await mustBeHealthy(world, node, container);
  });
  await report.check("shipping: what is pushed to one replica is pulled from the other", async () => {
    const nodes = (await running(world, "goldseal")).map(({ node }) => world.lab.node(node).ip);
    const [one = "", two = ""] = nodes;
    const path = (ip: string, more: string): string => `http://${ip}:${PORT}/v2/admin/x/${more}`;
    const bytes = randomBytes(1000).toString("hex");
    const hash = (await mustRun("sha256sum", [], { input: bytes })).slice(0, 64);
    const curl = (...args: readonly string[]) => mustRun("curl", ["-sS", "--fail-with-body", "-u", ADMIN, ...args]);
    await curl(
      "-X",
      "POST",
      "-H",
      "content-type: application/octet-stream",
      "--data-binary",
      bytes,
      path(one, `blobs/uploads/?digest=sha256:${hash}`),
    );
    equal(await curl(path(two, `blobs/sha256:${hash}`)), bytes);
  });
}

function spec(world: World): object {
  const own = { uid: "10001", gid: "10001", mode: 0o400 };
  return {
    ...{ name: "goldseal", image: world.image("1", REPOSITORY), replicas: 2, maxPerNode: 1, readOnly: true },
    env: {
      ...{ GOLDSEAL_TLS: "off", GOLDSEAL_WORKERS: "1", GOLDSEAL_PUBLIC_URL: "https://shipped.example.org" },
      GOLDSEAL_MASTER_KEY_FILE: "/run/secrets/goldseal-master.key",
      AWS_SHARED_CREDENTIALS_FILE: "/run/secrets/goldseal-s3",
    },
    secrets: [
      { source: SECRETS[0], target: "/opt/goldseal/goldseal.yaml", ...own },
      ...SECRETS.slice(1).map((source) => ({ source, ...own })),
    ],
    ports: [{ target: 5443, published: PORT, mode: "host" }],
    mounts: ["/var/lib/goldseal", "/tmp"].map((target) => ({ type: "tmpfs", target })),
    capabilities: { drop: ["ALL"] },
  };
}

/** skopeo copies the archive as it is; the layers get their digests there. */
async function push(world: World, archive: string): Promise<string> {
  const certificates = join(world.folder, "certificates");
  mkdirSync(certificates, { recursive: true });
  copyFileSync(world.server.caPath, join(certificates, "ca.crt"));
  const file = join(world.folder, "digest");
  const args = ["--dest-cert-dir", certificates, "--dest-creds", `${ANN.name}:${ANN.password}`, "--digestfile", file];
  const to = `docker://${world.image("1", REPOSITORY)}`;
  await mustRun(getTool("skopeo"), ["copy", "--quiet", ...args, `docker-archive:${archive}`, to], {
    timeoutSeconds: 300,
  });
  return readFileSync(file, "utf8").trim();
}

/** As its own health check finds, and nobody's root. */
async function mustBeHealthy(world: World, node: string, id: string): Promise<void> {
  const look = async () =>
    (await askEngine(world.lab.node(node).socketPath, "GET", `/containers/${id}/json`)) as {
      readonly State: { readonly Health?: { readonly Status: string } };
      readonly Config: { readonly User: string };
    };
  equal((await look()).Config.User, "10001:10001");
  await until(`${id} is healthy`, async () => (await look()).State.Health?.Status === "healthy");
}

async function makeSecrets(
  world: World,
  database: string,
  blobs: string,
  keys: Readonly<Record<string, string>>,
): Promise<void> {
  const settings = { GOLDSEAL_DATABASE_URL: database, GOLDSEAL_BLOBS: blobs, GOLDSEAL_ADMIN_PASSWORD: ADMIN.slice(6) };
  const contents = {
    "goldseal-settings": JSON.stringify(settings),
    "goldseal-master.key": `k1 ${randomBytes(32).toString("base64")}\n`,
    "goldseal-s3": `[default]\naws_access_key_id = ${keys.AWS_ACCESS_KEY_ID}\naws_secret_access_key = ${keys.AWS_SECRET_ACCESS_KEY}\n`,
  };
  for (const [name, text] of Object.entries(contents)) {
    const body = { Name: name, Data: Buffer.from(text).toString("base64") };
    await askEngine(world.lab.node("m1").socketPath, "POST", "/secrets/create", body);
  }
}

/** What listens on this machine's loopback, for the nodes too. */
async function relay(world: World, url: string): Promise<{ readonly host: string; readonly server: Server }> {
  const { hostname, port } = new URL(url);
  const server = createServer((near) => {
    const far = connect(Number(port), hostname);
    near.on("error", () => far.destroy()).pipe(far);
    far.on("error", () => near.destroy()).pipe(near);
  });
  server.listen(0, world.lab.gateway);
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return { host: `${world.lab.gateway}:${address.port}`, server };
}
