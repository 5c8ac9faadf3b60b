/**
 * Who is there: ann pushes and signs, olga deploys, the administrator makes organizations, and the bridge has an account that may
 * read what a team of its own may read, and nothing else.
 */
import { join } from "node:path";
import { ANN, addUser } from "../../clients/world.ts";
import type { Credentials } from "../../harness/registry-client.ts";
import { command, projectRoot, type RunningServer } from "../../harness/server.ts";
import { getTool, mustRun, type RunResult, run } from "../../harness/tools.ts";
import type { LabNode } from "../lab.ts";

export const OLGA: Credentials = { name: "olga", password: "olga-secret-1" };
/** As `account` of its file, and `GOLDSEAL_BRIDGE_ACCOUNT` of the registry. */
export const BRIDGE: Credentials = { name: "bridge", password: "bridge-secret-1" };
const ROOT_PASSPHRASE = "rootpass-123";

export class People {
  readonly #server: () => RunningServer;
  /** Docker's configuration, where ann is signed in and her keys are. */
  readonly #docker: string;

  /** @param server as it is now: it may have been started anew */
  constructor(server: () => RunningServer, folder: string) {
    [this.#server, this.#docker] = [server, join(folder, "docker")];
  }

  /** They have accounts, and ann is signed in at the engine's client. */
  async arrive(engine: LabNode): Promise<void> {
    for (const user of [ANN, OLGA, BRIDGE]) await addUser(this.#server(), user);
    await this.signIn(engine, ANN, this.#server().host);
  }

  /** At a registry, with docker's client. */
  async signIn(engine: LabNode, { name, password }: Credentials, host: string): Promise<void> {
    const args = ["login", "--username", name, "--password-stdin", host];
    const env = { DOCKER_CONFIG: this.#docker };
    await mustRun(getTool("docker-20.10"), ["--host", engine.socket, ...args], { env, input: password });
  }

  /** Docker's client, as ann. */
  async docker(engine: LabNode, args: readonly string[]): Promise<string> {
    const env = { DOCKER_CONFIG: this.#docker };
    return (await mustRun(getTool("docker-20.10"), ["--host", engine.socket, ...args], { env })).trim();
  }

  /** Our command line, whatever comes of it. */
  try(who: Credentials, args: readonly string[]): Promise<RunResult> {
    const { url, caPath } = this.#server();
    const env = {
      ...{ DOCKER_CONFIG: this.#docker, GOLDSEAL_PASSWORD: who.password },
      DOCKER_CONTENT_TRUST_ROOT_PASSPHRASE: ROOT_PASSPHRASE,
      DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE: ROOT_PASSPHRASE,
    };
    const where = ["--url", url, "--ca", caPath, "--as", who.name];
    return run(command, [...args, ...where], { cwd: projectRoot, env });
  }

  /** What it printed. @throws Error with all that was printed when it failed */
  async goldseal(who: Credentials, args: readonly string[]): Promise<string> {
    const { status, stdout, stderr } = await this.try(who, args);
    if (status !== 0) throw new Error(`goldseal exited ${status}\n${stdout}${stderr}`.trimEnd());
    return stdout;
  }

  /** An organization of ann's, where everything is private; the bridge's account reads it all. */
  async found(org: string): Promise<void> {
    const root = `/api/v1/orgs/${org}`;
    const asked: readonly (readonly [path: string, body: object])[] = [
      ["", {}],
      ["/members/ann", { role: "owner" }],
      [`/members/${BRIDGE.name}`, { role: "member" }],
      ["/teams/cluster", {}],
      [`/teams/cluster/members/${BRIDGE.name}`, {}],
      ["/teams/cluster/grants/*", { level: "read-only" }],
    ];
    for (const [path, body] of asked) await this.api("PUT", `${root}${path}`, JSON.stringify(body));
  }

  /** REST, as the administrator. */
  async api(method: string, path: string, body?: string): Promise<string> {
    const { admin, url, caPath } = this.#server();
    const who = `${admin.name}:${admin.password}`;
    const args = ["-sS", "--fail-with-body", "--cacert", caPath, "-u", who, "-X", method];
    if (body !== undefined) args.push("-H", "content-type: application/json", "--data-binary", "@-");
    return mustRun("curl", [...args, `${url}${path}`], { input: body ?? "" });
  }
}
