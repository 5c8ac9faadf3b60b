import type { Env } from "../connection.ts";
import { CliError } from "../errors.ts";
import { askSecret, type CliIo } from "../terminal.ts";

const MIN_LENGTH = 8;
const SHOWN_ID_LENGTH = 7;

/**
 * Passphrases of keys, from where docker takes them: the environment, else the person at the terminal, who is asked once
 * for each kind of key.
 */
export class Passphrases {
  readonly #env: Env;
  readonly #io: CliIo;
  /** By kind, those that a person typed. */
  readonly #typed = new Map<string, string>();

  constructor(env: Env, io: CliIo) {
    this.#env = env;
    this.#io = io;
  }

  /**
   * Of a key that is there already.
   * @param attempt from 0; only a person has more than one
   * @throws CliError
   */
  async find(role: string, keyId: string, attempt: number): Promise<string> {
    const { kind, variable } = kindOf(role);
    const given = this.#env[variable];
    if (given && attempt === 0) return given;
    if (given || attempt > 2) throw wrong(role, keyId, given ? variable : "what was typed");
    const known = this.#typed.get(kind);
    if (known !== undefined && attempt === 0) return known;
    const typed = await this.#ask(`passphrase of the ${nameOf(role)} ${shorten(keyId)}: `, variable);
    this.#typed.set(kind, typed);
    return typed;
  }

  /** For a key that is being made: typed twice, as long as docker asks for. @throws CliError */
  async choose(role: string, keyId: string): Promise<string> {
    const { kind, variable } = kindOf(role);
    const given = this.#env[variable] || this.#typed.get(kind);
    if (given) return given;
    const what = `${nameOf(role)} ${shorten(keyId)}`;
    const typed = await this.#ask(`passphrase for the new ${what}: `, variable);
    if (typed.length < MIN_LENGTH) {
      throw new CliError(`a passphrase has at least ${MIN_LENGTH} characters; nothing was made`);
    }
    if ((await this.#ask(`the same once more: `, variable)) !== typed) {
      throw new CliError("the two passphrases differ; nothing was made");
    }
    this.#typed.set(kind, typed);
    return typed;
  }

  async #ask(question: string, variable: string): Promise<string> {
    if (this.#io.stdin.isTTY !== true) {
      throw new CliError(`no ${question.replace(/: $/, "")}: set ${variable}, or run this at a terminal to be asked`);
    }
    return (await askSecret(this.#io, question)).trim();
  }
}

/** docker knows two: for the root, and for everything else. */
function kindOf(role: string) {
  return role === "root"
    ? ({ kind: "root", variable: "DOCKER_CONTENT_TRUST_ROOT_PASSPHRASE" } as const)
    : ({ kind: "repository", variable: "DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE" } as const);
}

const nameOf = (role: string): string =>
  role === "root" ? "root key" : role === "targets" ? "repository key" : `key of ${role || "a signer"}`;

const shorten = (keyId: string): string => keyId.slice(0, SHOWN_ID_LENGTH);

function wrong(role: string, keyId: string, source: string): CliError {
  return new CliError(
    `the ${nameOf(role)} ${keyId} does not open: ${source} is not its passphrase, or its file is damaged`,
  );
}
