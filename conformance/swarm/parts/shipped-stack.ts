/** `deploy/stack.yml` as an operator fills it in: its secrets, and what is outside of the Swarm (database, bucket, name). */
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { connect, createServer, type Server } from "node:net";
import { dirname, join } from "node:path";
import { type RunningPostgres, startPostgres } from "../../harness/postgres.ts";
import { type S3Server, startS3Server } from "../../harness/s3-servers.ts";
import { projectRoot } from "../../harness/server.ts";
import { certify, serverFor } from "../lab/authority.ts";
import { askEngine } from "../lab/engine.ts";
import { makeAllowKey } from "../plug-in-process.ts";
import { BRIDGE } from "../world/people.ts";
import type { World } from "../world.ts";

export const ADMIN = { name: "admin", password: "shipped-admin-1" };
/** In the file; clients of the deployed registry have the switch's address instead, where a balancer stands before the replicas. */
const [NAME, BLOBS] = ["registry.example.org", "s3://goldseal/blobs?endpoint=https://s3.example.org&region=eu-1"];
const TLS_PORT = 443;

export class ShippedStack {
  /** The file, with this world's names. */
  readonly file: string;
  /** Of all its certificates: a PEM file. */
  readonly ca: string;
  readonly #world: World;
  readonly #postgres: RunningPostgres;
  readonly #s3: S3Server;
  readonly #relays: readonly Relay[];

  private constructor(world: World, parts: { postgres: RunningPostgres; s3: S3Server; relays: Relay[] }) {
    [this.#world, this.#postgres, this.#s3, this.#relays] = [world, parts.postgres, parts.s3, parts.relays];
    this.file = join(world.folder, "stack.yml");
    this.ca = join(authorityOf(world), "ca.crt");
  }

  /** @param image what runs of it, by tag */
  static async prepare(world: World, image: string): Promise<ShippedStack> {
    const [postgres, s3] = [await startPostgres(), await startS3Server("minio")];
    const relays = await Promise.all([postgres.url, s3.endpoint].map((url) => relay(world.lab.gateway, 0, [url])));
    const [database = "", bucket = ""] = relays.map(({ host }) => host);
    const replicas = world.lab.nodes.map(({ ip }) => `tcp://${ip}:${TLS_PORT}`);
    relays.push(await relay(world.lab.gateway, TLS_PORT, replicas));
    const stack = new ShippedStack(world, { postgres, s3, relays });
    const text = readFileSync(join(projectRoot, "deploy", "stack.yml"), "utf8")
      .replaceAll(new RegExp(`image: ${NAME}/\\S+`, "g"), `image: ${image}`)
      .replaceAll(`https://${NAME}`, `https://${world.lab.gateway}`)
      .replaceAll(BLOBS, s3.url("shipped", `http://${bucket}`));
    writeFileSync(stack.file, text);
    await stack.#makeSecrets(database);
    await world.docker("node", "update", "--label-add", "goldseal-bridge=yes", "m1");
    return stack;
  }

  async close(): Promise<void> {
    for (const { server } of this.#relays) server.close();
    await Promise.all([this.#postgres.close(), this.#s3.stop()]);
  }

  /** What docs/deploying.md lists: by name, what is in it. */
  async #makeSecrets(database: string): Promise<void> {
    const { lab, folder, officer } = this.#world;
    const authority = authorityOf(this.#world);
    const ips = [lab.gateway, ...lab.nodes.map(({ ip }) => ip)].map((ip) => `IP:${ip}`);
    const tls = await certify(authority, "registry", serverFor(ips.join(",")));
    const bridgeTls = await certify(authority, "bridge-listener", serverFor("DNS:bridge"));
    const engines = { cert: join(authority, "bridge.crt"), key: join(authority, "bridge.key") };
    const { AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY } = this.#s3.env;
    const settings = {
      GOLDSEAL_DATABASE_URL: `postgres://goldseal@${database}/postgres`,
      GOLDSEAL_ADMIN_PASSWORD: ADMIN.password,
    };
    const read = (path: string): string => readFileSync(path, "utf8");
    const contents: Readonly<Record<string, string>> = {
      "goldseal-settings": JSON.stringify(settings),
      "goldseal-master.key": `k1 ${randomBytes(32).toString("base64")}\n`,
      "goldseal-tls.crt": read(tls.cert),
      "goldseal-tls.key": read(tls.key),
      "goldseal-s3": `[default]\naws_access_key_id = ${AWS_ACCESS_KEY_ID}\naws_secret_access_key = ${AWS_SECRET_ACCESS_KEY}\n`,
      "goldseal-bridge.yaml": JSON.stringify(this.#bridgeFile(officer.spki)),
      "goldseal-bridge-password": `${BRIDGE.password}\n`,
      "goldseal-bridge-ca.crt": read(this.ca),
      "goldseal-bridge-tls.crt": read(bridgeTls.cert),
      "goldseal-bridge-tls.key": read(bridgeTls.key),
      "goldseal-relay": `${randomBytes(24).toString("hex")}\n`,
      "goldseal-engines-ca.crt": read(this.ca),
      "goldseal-engines.crt": read(engines.cert),
      "goldseal-engines.key": read(engines.key),
      "goldseal-allow.key": read(makeAllowKey(folder).own),
    };
    for (const [name, text] of Object.entries(contents)) {
      const body = { Name: name, Data: Buffer.from(text).toString("base64") };
      await askEngine(lab.node("m1").socketPath, "POST", "/secrets/create", body);
    }
  }

  #bridgeFile(policyKey: string): object {
    const { lab } = this.#world;
    const secret = (name: string): string => `/run/secrets/goldseal-${name}`;
    const files = { ca: secret("engines-ca.crt"), cert: secret("engines.crt"), key: secret("engines.key") };
    const engines = Object.fromEntries(lab.nodes.map(({ name, tls }) => [name, { url: tls?.url, ...files }]));
    return {
      ...{ registry: `https://${lab.gateway}`, ca: secret("engines-ca.crt") },
      ...{ account: { name: BRIDGE.name, passwordFile: secret("bridge-password") }, allowKey: secret("allow.key") },
      ...{ engine: engines.m1, engines, store: "/var/lib/goldseal", listen: "0.0.0.0:5444" },
      ...{ tls: { cert: secret("bridge-tls.crt"), key: secret("bridge-tls.key") } },
      ...{ relay: { secretFile: secret("relay") }, policyKeys: { threshold: 1, keys: [policyKey] } },
      pins: [{ gun: `${lab.gateway}/ops/*`, rootKeys: ["0".repeat(64)] }],
    };
  }
}

/** Where the lab's own CA is. */
const authorityOf = ({ lab }: World): string => dirname(lab.node("m1").tls?.ca ?? "");

interface Relay {
  readonly host: string;
  readonly server: Server;
}

/** What listens there takes each connection to the next of `urls`, over those where nobody listens. */
async function relay(host: string, port: number, urls: readonly string[]): Promise<Relay> {
  let next = 0;
  const server = createServer(async (near) => {
    near.on("error", () => near.destroy());
    for (let tries = 0; tries < urls.length; tries++) {
      const { hostname, port } = new URL(urls[next++ % urls.length] ?? "");
      const far = connect(Number(port), hostname);
      const isOpen = await once(far, "connect").then(
        () => true,
        () => false,
      );
      if (!isOpen) continue;
      near.on("error", () => far.destroy()).pipe(far);
      far.on("error", () => near.destroy()).pipe(near);
      return;
    }
    near.destroy();
  });
  server.listen(port, host);
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return { host: `${host}:${address.port}`, server };
}
