import { createHash, timingSafeEqual } from "node:crypto";
import { readFile } from "node:fs/promises";
import { ProblemError } from "../../http/problem.ts";
import type { Request } from "../../http/request.ts";
import type { PolicyDocument } from "../../trust/policy-document.ts";
import type { BridgeConfig } from "../bridge-config.ts";
import type { Core } from "../core.ts";
import { BridgeError, toRefusal } from "../errors.ts";
import { ENVIRONMENT_LABEL } from "../managed-service.ts";

/** Who looks, and at what. */
export interface Viewer {
  readonly user: string;
  /** Those that the user may view. */
  readonly environments: ReadonlySet<string>;
  /** The one environment that was asked for: what belongs to none is left out then. */
  readonly only: string | undefined;
}

/** The label of what makes up a stack. */
export const STACK = "com.docker.stack.namespace";

/** Not to be guessed, and good in a header. */
const SECRET = /^[\x21-\x7e]{32,1024}$/;

type Policies = Pick<Core["policy"], "fetch" | "last">;

export interface ViewersDeps {
  readonly policy: Policies;
  readonly clock: Pick<Core["decisions"]["clock"], "read">;
  readonly secret: Buffer | undefined;
}

/**
 * Believes whoever shows the relay's secret who it is that looks, for reading alone; what that user may look at, the policy
 * document says. Every change takes an order, and this secret is none.
 */
export class Viewers {
  readonly #deps: ViewersDeps;

  constructor(deps: ViewersDeps) {
    this.#deps = deps;
  }

  /** @throws ProblemError 403 relay, denied; 404 not-found for an environment that the user may not view; BridgeError POLICY, CLOCK */
  async find(request: Request, only: string | undefined): Promise<Viewer> {
    const user = this.#believe(request);
    const environments = environmentsOf(await this.#document(), user);
    if (environments.size === 0) throw new ProblemError(403, "denied", `${user} may view no environment`);
    if (only === undefined) return { user, environments, only };
    if (!environments.has(only)) throw new ProblemError(404, "not-found", `there is no environment ${only}`);
    return { user, environments: new Set([only]), only };
  }

  #believe(request: Request): string {
    const [shown, user] = [request.header("goldseal-relay"), request.header("goldseal-user")];
    const { secret } = this.#deps;
    if (secret === undefined)
      throw new ProblemError(403, "relay", "this bridge shows nothing: its configuration names no relay.secretFile");
    if (shown === undefined || !isEqual(Buffer.from(shown), secret))
      throw new ProblemError(403, "relay", "the bridge shows this to the registry's relay alone");
    if (user === undefined || user === "") throw request.badRequest("header Goldseal-User is missing");
    return user;
  }

  /** While the registry is away what was in force last counts, until it expires: to look is what an outage needs. */
  async #document(): Promise<PolicyDocument> {
    const { policy, clock } = this.#deps;
    const { document } = await policy.fetch().catch((cause: unknown) => {
      const { code, reason } = toRefusal(cause);
      if (code === "REGISTRY" && policy.last !== undefined) return policy.last;
      throw new BridgeError(code, reason, { cause });
    });
    if (!(clock.read() < document.expiresAt))
      throw new BridgeError("POLICY", `the policy expired at ${document.expiresAt.toISOString()}: nobody may view now`);
    return document;
  }
}

/** @throws Error for a file that cannot be read, or holds too little */
export async function readRelaySecret({ relay }: Pick<BridgeConfig, "relay">): Promise<Buffer | undefined> {
  if (relay === undefined) return undefined;
  const secret = (await readFile(relay.secretFile, "utf8")).trim();
  if (SECRET.test(secret)) return Buffer.from(secret);
  throw new Error(`${relay.secretFile}: a secret has 32 characters or more, without blanks`);
}

/** Whether it belongs to an environment that is looked at, by its labels; to none is for everybody to see. */
export function maySee({ environments, only }: Viewer, labels: Readonly<Record<string, string>>): boolean {
  const environment = labels[ENVIRONMENT_LABEL];
  return environment === undefined ? only === undefined : environments.has(environment);
}

/** Every right lets its holder look. */
function environmentsOf({ environments, teams }: PolicyDocument, user: string): Set<string> {
  const seen = [...environments].filter(([, { rights }]) =>
    [...rights.keys()].some((team) => teams.get(team)?.has(user) === true),
  );
  return new Set(seen.map(([name]) => name));
}

/** By their hashes: how long it takes tells nothing of either. */
function isEqual(one: Buffer, other: Buffer): boolean {
  const hash = (bytes: Buffer): Buffer => createHash("sha256").update(bytes).digest();
  return timingSafeEqual(hash(one), hash(other));
}
