/** Who is there: ann pushes and signs, olga deploys, the administrator makes organizations. Each by the real command line. */
import { join } from "node:path";
import { ANN, addUser } from "../../clients/world.ts";
import type { Credentials } from "../../harness/registry-client.ts";
import { command, projectRoot, type RunningServer } from "../../harness/server.ts";
import { getTool, mustRun, type RunResult, run } from "../../harness/tools.ts";
import type { LabNode } from "../lab.ts";

export const OLGA: Credentials = { name: "olga", password: "olga-secret-1" };
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
    for (const user of [ANN, OLGA]) await addUser(this.#server(), user);
    const args = ["login", "--username", ANN.name, "--password-stdin", this.#server().host];
    const env = { DOCKER_CONFIG: this.#docker };
    await mustRun(getTool("docker-20.10"), ["--host", engine.socket, ...args], { env, input: ANN.password });
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

  /** REST, as the administrator. */
  async api(method: string, path: string, body?: string): Promise<string> {
    const { admin, url, caPath } = this.#server();
    const who = `${admin.name}:${admin.password}`;
    const args = ["-sS", "--fail-with-body", "--cacert", caPath, "-u", who, "-X", method];
    if (body !== undefined) args.push("-H", "content-type: application/json", "--data-binary", "@-");
    return mustRun("curl", [...args, `${url}${path}`], { input: body ?? "" });
  }
}
