/** Debian's notary-server and notary-signer as their documentation deploys them: two processes, one PostgreSQL. */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import pg from "pg";
import { freePort } from "../../harness/port.ts";
import { type RunningPostgres, startPostgres } from "../../harness/postgres.ts";
import { cacheRoot, getTool, mustRun } from "../../harness/tools.ts";
import { answers, launch, type Server, stop } from "../servers.ts";

export const MIGRATIONS = join(cacheRoot, "go", "notary-migrations@v0.7.0");

export interface NotaryPeer extends Server {
  /** Of what notary-server keeps. */
  readonly databaseUrl: string;
}

/** Without TLS to its clients and without authentication; server and signer speak mutual TLS, which they insist on. */
export async function startNotary(data: string): Promise<NotaryPeer> {
  mkdirSync(data, { recursive: true });
  const tls = await makeCertificate(data);
  // Both programs open as many connections as they have requests, and fail when there are no more.
  const postgres = await startPostgres(["max_connections=500"]);
  const [server, signer] = [await makeDatabase(postgres, "server"), await makeDatabase(postgres, "signer")];
  const [port, signerPort] = [await freePort(), await freePort()];
  writeFileSync(join(data, "signer.json"), JSON.stringify(signerConfig(tls, signerPort, signer)));
  writeFileSync(join(data, "server.json"), JSON.stringify(serverConfig(tls, port, signerPort, server)));
  const start = (program: string, name: string) =>
    launch(getTool(program), ["-config", join(data, `${name}.json`)], {
      log: join(data, `${name}.log`),
      env: { NOTARY_SIGNER_DEFAULT_ALIAS: "bench", NOTARY_SIGNER_BENCH: "a passphrase to measure by" },
    });
  const signing = start("notary-signer", "signer");
  const child = start("notary-server", "server");
  const url = new URL(`http://127.0.0.1:${port}`);
  const stopAll = async () => {
    for (const one of [child, signing]) await stop(one);
    await postgres.close();
  };
  // A key of a name that nobody uses: once the server has one, the signer is up too.
  await answers(new URL("/v2/ready/_trust/tuf/timestamp.key", url), child).catch(async (error: unknown) => {
    await stopAll();
    throw error;
  });
  return {
    ...{ kind: "peer", url, ca: undefined, pid: child.pid ?? 0, beside: [signing.pid ?? 0, postgres.pid()], data },
    ...{ databaseUrl: server, stop: stopAll },
  };
}

interface Tls {
  readonly cert: string;
  readonly key: string;
}

const serverConfig = ({ cert, key }: Tls, port: number, signerPort: number, databaseUrl: string) => ({
  server: { http_addr: `127.0.0.1:${port}` },
  trust_service: {
    ...{ type: "remote", hostname: "127.0.0.1", port: String(signerPort), key_algorithm: "ecdsa" },
    ...{ tls_ca_file: cert, tls_client_cert: cert, tls_client_key: key },
  },
  logging: { level: "error" },
  storage: { backend: "postgres", db_url: databaseUrl },
});

const signerConfig = ({ cert, key }: Tls, port: number, databaseUrl: string) => ({
  server: { grpc_addr: `127.0.0.1:${port}`, tls_cert_file: cert, tls_key_file: key, client_ca_file: cert },
  logging: { level: "error" },
  storage: { backend: "postgres", db_url: databaseUrl },
});

/** One for both, which is its own authority. */
async function makeCertificate(folder: string): Promise<Tls> {
  const [cert, key] = [join(folder, "tls.crt"), join(folder, "tls.key")];
  const name = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"];
  const kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-noenc", "-days", "2"];
  await mustRun(getTool("openssl"), ["req", "-x509", ...kind, ...name, "-out", cert, "-keyout", key]);
  return { cert, key };
}

/** With the tables that notary's own migrations make. Returns its URL. */
async function makeDatabase({ url }: RunningPostgres, name: "server" | "signer"): Promise<string> {
  await withClient(url, (client) => client.query(`create database ${name}`));
  const own = new URL(url);
  own.pathname = `/${name}`;
  own.searchParams.set("sslmode", "disable");
  const folder = join(MIGRATIONS, name, "postgresql");
  await withClient(own.href, async (client) => {
    for (const file of readdirSync(folder).sort()) {
      if (file.endsWith(".up.sql")) await client.query(readFileSync(join(folder, file), "utf8"));
    }
  });
  return own.href;
}

export async function withClient<T>(connectionString: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}
