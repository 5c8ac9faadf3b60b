/** nginx as operators put it before replicas: TLS ends here, requests go round, one replica can be taken out for a while. */
import { execFileSync, spawn } from "node:child_process";
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { connect } from "node:tls";
import { getTool, mustRun } from "../harness/tools.ts";

export interface Nginx {
  readonly url: string;
  readonly caPath: string;
  /** Sends requests to these ports only; those under way have ended when it resolves. */
  route(ports: readonly number[]): Promise<void>;
  stop(): Promise<void>;
}

export async function startNginx(folder: string, port: number, upstreams: readonly number[]): Promise<Nginx> {
  mkdirSync(folder, { recursive: true });
  chmodSync(folder, 0o755);
  const caPath = makeCertificate(folder);
  const file = join(folder, "nginx.conf");
  const args = ["-p", folder, "-c", file, "-e", join(folder, "error.log")];
  writeFileSync(file, configuration(folder, port, upstreams));
  const child = spawn(getTool("nginx"), args, { stdio: "ignore" });
  const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  process.once("exit", () => child.kill());
  await reachable(`https://127.0.0.1:${port}/healthz`, caPath);
  return {
    url: `https://127.0.0.1:${port}`,
    caPath,
    route: async (ports) => {
      writeFileSync(file, configuration(folder, port, ports));
      const before = workersOf(child.pid ?? 0);
      await mustRun(getTool("nginx"), [...args, "-s", "reload"]);
      // The old workers end with their last connection; until then they send requests where they used to.
      await until(() => !workersOf(child.pid ?? 0).some((pid) => before.includes(pid)));
    },
    stop: async () => {
      child.kill("SIGTERM");
      await ended;
    },
  };
}

/**
 * Bodies are passed on as they come, both ways. No request is sent to a second replica, and no connection of a client is
 * kept, so that whatever a replica does wrong reaches the suite, and nothing that a reload of nginx does.
 */
function configuration(folder: string, port: number, upstreams: readonly number[]): string {
  return `daemon off; worker_processes 2; pid ${folder}/nginx.pid;
user root;
events { worker_connections 1024; }
http {
  access_log off; keepalive_timeout 0;
  client_body_temp_path ${folder}/body; proxy_temp_path ${folder}/proxy; fastcgi_temp_path ${folder}/f; uwsgi_temp_path ${folder}/u; scgi_temp_path ${folder}/s;
  upstream goldseal { ${upstreams.map((upstream) => `server 127.0.0.1:${upstream};`).join(" ")} }
  server {
    listen 127.0.0.1:${port} ssl;
    ssl_certificate ${folder}/tls.crt; ssl_certificate_key ${folder}/tls.key;
    client_max_body_size 0; proxy_request_buffering off; proxy_buffering off; proxy_http_version 1.1;
    proxy_set_header Connection ""; proxy_set_header Host $http_host;
    proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
    location / { proxy_pass http://goldseal; proxy_next_upstream off; proxy_read_timeout 60s; }
  }
}
`;
}

/** Its own authority, as a self-signed certificate is. */
function makeCertificate(folder: string): string {
  const [key, certificate] = [join(folder, "tls.key"), join(folder, "tls.crt")];
  const subject = ["-subj", "/CN=replicas", "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"];
  const args = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"];
  execFileSync("openssl", [...args, "-keyout", key, "-out", certificate, ...subject], { stdio: "ignore" });
  return certificate;
}

function workersOf(master: number): number[] {
  return readFileSync(`/proc/${master}/task/${master}/children`, "utf8").split(" ").filter(Boolean).map(Number);
}

/** Whether nginx itself answers, with whatever status: nothing may be behind it yet. */
async function reachable(url: string, caPath: string): Promise<void> {
  const { hostname, port } = new URL(url);
  await until(async () => {
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const socket = connect({ host: hostname, port: Number(port), ca: readFileSync(caPath) }, () => resolve(true));
    socket.once("error", () => resolve(false));
    const answer = await promise;
    socket.destroy();
    return answer;
  });
}

/** Only a failure waits so long. */
const PATIENCE_MS = 60_000;

/** Asks again and again until it holds. @throws Error after a minute */
export async function until(holds: () => boolean | Promise<boolean>, patienceMs = PATIENCE_MS): Promise<void> {
  const end = performance.now() + patienceMs;
  while (!(await holds())) {
    if (performance.now() > end) throw new Error(`did not come to hold within ${patienceMs} ms: ${holds}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
