/** What each actor signs in with. Nobody guesses here, but a suspended user's good password counts as a wrong one. */
import type { ActorId, RepositoryId } from "./oracle.ts";
import { basic, bearer } from "./wire.ts";
import { NAMES, PASSWORD, ROBOTS, scopeOf, USERS, type World } from "./world.ts";

export const MODES = ["bearer", "basic"] as const;
export type Mode = (typeof MODES)[number];

/** What a request carries: credentials, and the address it comes from. */
export interface Carried {
  readonly authorization?: string | undefined;
  readonly from?: string | undefined;
}

const SUSPENDED = "lou";
/** Ten wrong passwords a minute end an account's sign-ins, and a source's; a cell sends up to nine requests. */
const triesOfOne = 1;
/** They live five minutes, and the machine may be slow. */
const maxTokenAgeMs = 120_000;
/** Held something on the R5 that was deleted: their tokens are those of then. */
const HEIRS = ["A2", "A3", "A4", "A9", "A10"] as const;

export class Credentials {
  readonly #world: World;
  readonly #tokens = new Map<string, { readonly token: Promise<string>; readonly asked: number }>();
  readonly #old = new Map<ActorId, string>();
  #tries = 0;
  #suspended: Promise<string> = Promise.resolve("");

  constructor(world: World) {
    this.#world = world;
  }

  /** Tokens of before: before R5 was deleted, before a member left the team, before a user was suspended. */
  async prepare(): Promise<void> {
    const world = this.#world;
    await world.addUser(SUSPENDED);
    await world.addMember(SUSPENDED, "former");
    const scopes = Object.values(NAMES).flatMap((name) => [scopeOf(name), scopeOf(world.trust.gunOf(name), "*")]);
    for (const actor of [...HEIRS, "A13"] as const) {
      this.#old.set(actor, await world.bearer(this.password(actor), scopes));
    }
    this.#old.set("A12", await world.bearer(basic(SUSPENDED, PASSWORD), scopes));
    await world.must(200, "PUT", `/api/v1/users/${SUSPENDED}`, { suspended: true });
  }

  /** Basic, of a user by password and of a robot by its secret; undefined for anonymous. */
  password(actor: Exclude<ActorId, "A12">): string | undefined {
    if (actor === "A0") return undefined;
    if (actor === "A9" || actor === "A10" || actor === "A11") return this.robot(ROBOTS[actor]);
    return basic(USERS[actor], PASSWORD);
  }

  robot(name: string): string {
    return basic(name, this.secretOf(name));
  }

  secretOf(name: string): string {
    const secret = this.#world.secrets.get(name);
    if (secret === undefined) throw new Error(`${name} has no secret`);
    return secret;
  }

  /** For `/v2/`, and the token service. */
  async forRegistry(actor: ActorId, mode: Mode, repository: RepositoryId, scopes: readonly string[]): Promise<Carried> {
    if (mode === "basic") return this.forPassword(actor);
    const old = actor === "A12" || actor === "A13" || repository === "R5" ? this.#old.get(actor) : undefined;
    if (old !== undefined || actor === "A12") return { authorization: old };
    return { authorization: await this.fresh(actor, scopes) };
  }

  async forPassword(actor: ActorId): Promise<Carried> {
    return actor === "A12" ? this.#wrong() : { authorization: this.password(actor) };
  }

  /** REST takes personal tokens, and secrets of robots, as bearer tokens. */
  async forRest(actor: ActorId, mode: Mode): Promise<Carried> {
    if (actor === "A0") return {};
    if (mode === "basic") return this.forPassword(actor);
    if (actor === "A12") return { authorization: bearer(this.secretOf(SUSPENDED)) };
    if (actor === "A9" || actor === "A10" || actor === "A11")
      return { authorization: bearer(this.secretOf(ROBOTS[actor])) };
    return { authorization: bearer(this.secretOf(USERS[actor])) };
  }

  /** A token of now. */
  fresh(actor: Exclude<ActorId, "A12">, scopes: readonly string[]): Promise<string> {
    const key = [actor, ...scopes].join(" ");
    const known = this.#tokens.get(key);
    if (known !== undefined && performance.now() - known.asked < maxTokenAgeMs) return known.token;
    const token = this.#world.bearer(this.password(actor), scopes);
    this.#tokens.set(key, { token, asked: performance.now() });
    return token;
  }

  /** Another suspended user, at another address, each time one has failed as often as it may. */
  async #wrong(): Promise<Carried> {
    const turn = Math.floor(this.#tries / triesOfOne);
    if (this.#tries++ % triesOfOne === 0) this.#suspended = this.#suspend(`lou${turn}`);
    const from = `127.1.${Math.floor(turn / 250)}.${(turn % 250) + 1}`;
    return { authorization: basic(await this.#suspended, PASSWORD), from };
  }

  async #suspend(name: string): Promise<string> {
    await this.#world.must(201, "PUT", `/api/v1/users/${name}`, { password: PASSWORD, suspended: true });
    return name;
  }
}

/** Whether what the actor has of R5 is of the one that was deleted. */
export function isHeir(actor: ActorId): boolean {
  return HEIRS.some((heir) => heir === actor);
}
