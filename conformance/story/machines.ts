/** People at machines of their own: a home folder, docker's credentials and keys, the CA of the server. */
import { copyFileSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Dockerd } from "../clients/dockerd.ts";
import { type Credentials, RegistryClient } from "../harness/registry-client.ts";
import { launcher, type RunningServer } from "../harness/server.ts";
import { getTool, type RunResult, run } from "../harness/tools.ts";

/** Passphrases of every kind of key: no client may ask. */
const PASSPHRASES = {
  DOCKER_CONTENT_TRUST_ROOT_PASSPHRASE: "rootpass123",
  DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE: "repopass123",
  NOTARY_ROOT_PASSPHRASE: "rootpass123",
  NOTARY_TARGETS_PASSPHRASE: "repopass123",
  NOTARY_SNAPSHOT_PASSPHRASE: "repopass123",
  NOTARY_DELEGATION_PASSPHRASE: "repopass123",
  COSIGN_PASSWORD: "cosignpass123",
};

/** What the REST API answers: a check reads the fields that it expects. */
// biome-ignore lint/suspicious/noExplicitAny: answers have as many forms as there are nouns
export type Json = Record<string, any>;

export class Machine {
  readonly name: string;
  readonly home: string;
  /** As this person, without any client's help. */
  readonly direct: RegistryClient;
  readonly #server: RunningServer;
  readonly #password: string;
  readonly #docker: { readonly program: string; readonly socket: string };

  constructor({ server, dockerd, docker, folder }: MachineParts, { name, password }: Credentials) {
    this.name = name;
    this.home = join(folder, name);
    this.direct = new RegistryClient(server, { name, password });
    this.#server = server;
    this.#password = password;
    this.#docker = { program: docker, socket: dockerd.socket };
    const tls = join(this.home, ".docker", "tls", server.host);
    mkdirSync(tls, { recursive: true });
    copyFileSync(server.caPath, join(tls, "ca.crt"));
    const auth = Buffer.from(`${name}:${password}`).toString("base64");
    writeFileSync(join(this.home, ".docker", "config.json"), JSON.stringify({ auths: { [server.host]: { auth } } }));
  }

  run(program: string, args: readonly string[], input = ""): Promise<RunResult> {
    const { caPath } = this.#server;
    const own = { HOME: this.home, DOCKER_CONFIG: join(this.home, ".docker"), SSL_CERT_FILE: caPath };
    const env = { ...PASSPHRASES, ...own, GOLDSEAL_PASSWORD: this.#password, GOLDSEAL_ADMIN_PASSWORD: "" };
    return run(getTool(program), args, { cwd: this.home, env, input, timeoutSeconds: 120 });
  }

  docker(line: string): Promise<RunResult> {
    const { program, socket } = this.#docker;
    return this.run(program, ["--host", socket, ...line.split(" ")]);
  }

  /** Our own command line; arguments with spaces in them are given apart. */
  goldseal(line: string, ...more: readonly string[]): Promise<RunResult> {
    const { url, caPath } = this.#server;
    const where = ["--url", url, "--ca", caPath, "--as", this.name];
    return this.run("node", [launcher, ...line.split(" "), ...more, ...where]);
  }

  notary(line: string): Promise<RunResult> {
    const { url, caPath } = this.#server;
    const trust = join(this.home, ".docker", "trust");
    const auth = Buffer.from(`${this.name}:${this.#password}`).toString("base64");
    return this.run("env", [
      ...[`NOTARY_AUTH=${auth}`, getTool("notary"), "-s", url, "--tlscacert", caPath, "-d", trust],
      ...line.split(" "),
    ]);
  }

  /** One of the REST API's. @throws Error where it is refused */
  async rest(method: string, noun: string, body?: object): Promise<Json> {
    const answer = await this.direct.ask(`/api/v1/${noun}`, {
      method,
      headers: { "content-type": "application/json" },
      ...(body === undefined ? {} : { body: Buffer.from(JSON.stringify(body)) }),
    });
    const text = answer.body.toString();
    if (answer.status >= 300)
      throw new Error(`${method} ${noun} of ${this.name} was answered ${answer.status}: ${text}`);
    return text === "" ? {} : JSON.parse(text);
  }

  put(noun: string, body: object): Promise<Json> {
    return this.rest("PUT", noun, body);
  }
}

export interface MachineParts {
  readonly server: RunningServer;
  readonly dockerd: Dockerd;
  /** `docker-20.10` or `docker-28`. */
  readonly docker: string;
  /** Homes are in it. */
  readonly folder: string;
}
