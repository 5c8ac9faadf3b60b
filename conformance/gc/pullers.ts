import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { type Dockerd, startDockerd } from "../clients/dockerd.ts";
import type { RunningServer } from "../harness/server.ts";
import { findTool, mustRun, run } from "../harness/tools.ts";
import type { LivePusher } from "./live-pusher.ts";

/** A client that people use; it checks every digest itself. */
interface PullingClient {
  readonly name: string;
  login(host: string, user: string): readonly string[];
  pull(image: string, folder: string): readonly string[];
  /** What takes the pulled image away again, where that is no folder. */
  forget?(image: string): readonly string[];
}

const CLIENTS: readonly PullingClient[] = [
  {
    name: "crane",
    login: (host, user) => ["auth", "login", host, "-u", user, "--password-stdin"],
    pull: (image, folder) => ["pull", "--format=oci", image, folder],
  },
  {
    name: "skopeo",
    login: (host, user) => ["login", "-u", user, "--password-stdin", host],
    pull: (image, folder) => ["copy", "--preserve-digests", `docker://${image}`, `oci:${folder}:pulled`],
  },
];

export interface Puller {
  readonly name: string;
  readonly pulls: number;
  run(until: { isOver(): boolean }, pushers: readonly LivePusher[]): Promise<void>;
}

/** Both speak to one engine, which does the pulling. */
const dockers = ({ socket }: Dockerd): PullingClient[] =>
  ["docker-20.10", "docker-28"].map((name) => ({
    name,
    login: (host, user) => ["--host", socket, "login", "-u", user, "--password-stdin", host],
    pull: (image) => ["--host", socket, "pull", "--quiet", image],
    forget: (image) => ["--host", socket, "rmi", "--force", image],
  }));

export interface Pullers {
  readonly pullers: readonly Puller[];
  close(): Promise<void>;
}

/** One for each client that is on this machine. */
export async function openPullers(server: RunningServer, folder: string): Promise<Pullers> {
  const pullers: Puller[] = [];
  const engine = await openEngine(server);
  for (const client of [...CLIENTS, ...(engine === undefined ? [] : dockers(engine))]) {
    const program = findTool(client.name);
    if (program === undefined) {
      console.log(`skipped ${client.name}: conformance/provision provides it`);
      continue;
    }
    const home = join(folder, client.name);
    mkdirSync(home);
    const env = {
      HOME: home,
      DOCKER_CONFIG: home,
      REGISTRY_AUTH_FILE: join(home, "auth.json"),
      SSL_CERT_FILE: server.caPath,
    };
    const input = server.admin.password;
    await mustRun(program, client.login(server.host, server.admin.name), { env, input });
    pullers.push(new ClientPuller(client, server.host, { program, home, env }));
  }
  return { pullers, close: async () => engine?.stop() };
}

async function openEngine({ caPath }: RunningServer): Promise<Dockerd | undefined> {
  if (findTool("dockerd") !== undefined && process.getuid?.() === 0) return startDockerd(caPath);
  console.log("skipped docker: needs root, and conformance/provision");
  return undefined;
}

class ClientPuller implements Puller {
  pulls = 0;
  readonly #client: PullingClient;
  readonly #host: string;
  readonly #tool: { readonly program: string; readonly home: string; readonly env: Record<string, string> };

  constructor(
    client: PullingClient,
    host: string,
    tool: { program: string; home: string; env: Record<string, string> },
  ) {
    this.#client = client;
    this.#host = host;
    this.#tool = tool;
  }

  get name(): string {
    return this.#client.name;
  }

  async run({ isOver }: { isOver(): boolean }, pushers: readonly LivePusher[]): Promise<void> {
    for (let turn = 0; !isOver(); turn++) {
      const image = pushers[turn % pushers.length]?.tagged[0];
      if (image === undefined) {
        await wait(10);
        continue;
      }
      image.pulling++;
      const folder = join(this.#tool.home, `pulled-${turn}`);
      const { program, env } = this.#tool;
      const reference = `${this.#host}/${image.repository}:${image.tag}`;
      await mustRun(program, this.#client.pull(reference, folder), { env });
      rmSync(folder, { recursive: true, force: true });
      // Another client of the same engine may have been quicker.
      if (this.#client.forget !== undefined) await run(program, this.#client.forget(reference), { env });
      image.pulling--;
      this.pulls++;
    }
  }
}
