import { z } from "zod";
import { TrustError } from "../trust/error.ts";
import { readStrict } from "../trust/strict-json.ts";
import { BridgeError } from "./errors.ts";
import type { ServiceOfEnvironment } from "./managed-service.ts";
import { keyOf } from "./pull-states.ts";
import type { Declined, RegistryClient } from "./registry-client.ts";

/** What nodes can pull one service's image with. */
export interface PullSecret {
  readonly username: string;
  readonly expiresAt: Date;
  /** When the next one is due. */
  readonly renewAt: Date;
  readonly repository: string;
  /** Of `X-Registry-Auth`. */
  readonly auth: string;
}

const PATH = "/api/v1/cluster-agent/credentials";
/** The registry gives a day; one that gave a year would see its secrets renewed all the same. */
const MAX_LIFE_MS = 24 * 3_600_000;

const printable = z.string().regex(/^[\x21-\x7e]{1,255}$/);
const answerSchema = z.strictObject({ username: printable, secret: printable, expiresAt: z.iso.datetime() });

export interface PullSecretsDeps {
  readonly registry: Pick<RegistryClient, "tryCall">;
  /** Of the registry, as nodes know it: `host:port`. */
  readonly authority: string;
  readonly now: () => Date;
}

/** Secrets that the registry gives the bridge for nodes. */
export class PullSecrets {
  readonly #deps: PullSecretsDeps;
  /** In memory alone: a bridge that starts asks for another one. */
  readonly #known = new Map<string, PullSecret>();

  constructor(deps: PullSecretsDeps) {
    this.#deps = deps;
  }

  /** The one that was given last, while it is in the first half of its life, or another. @throws BridgeError REGISTRY */
  async get(key: ServiceOfEnvironment, repository: string): Promise<PullSecret | Declined> {
    const known = this.#known.get(keyOf(key));
    if (known?.repository === repository && this.#deps.now() < known.renewAt) return known;
    return this.#issue(key, repository);
  }

  /** The one before stays good for its time. */
  async #issue({ environment, service }: ServiceOfEnvironment, repository: string): Promise<PullSecret | Declined> {
    const { registry, authority, now } = this.#deps;
    const body = { environment, service, repositories: [repository] };
    const answer = await registry.tryCall({ method: "POST", path: PATH, body });
    if ("refused" in answer) return answer;
    const { username, secret, expiresAt } = readAnswer(answer.body);
    const nowMs = now().getTime();
    const lifeMs = Math.min(Date.parse(expiresAt) - nowMs, MAX_LIFE_MS);
    const issued = {
      ...{ username, repository, auth: toAuth({ username, password: secret, serveraddress: authority }) },
      ...{ expiresAt: new Date(nowMs + lifeMs), renewAt: new Date(nowMs + lifeMs / 2) },
    };
    this.#known.set(keyOf({ environment, service }), issued);
    return issued;
  }

  /** That there are none is well, too. @throws BridgeError REGISTRY */
  async revoke(key: ServiceOfEnvironment): Promise<void> {
    this.#known.delete(keyOf(key));
    const path = `${PATH}/${key.environment}/${key.service}`;
    const answer = await this.#deps.registry.tryCall({ method: "DELETE", path });
    if ("refused" in answer && answer.status !== 404) throw new BridgeError("REGISTRY", answer.refused);
  }
}

function readAnswer(body: Uint8Array): z.output<typeof answerSchema> {
  try {
    return readStrict(body, answerSchema, "the registry's answer");
  } catch (error) {
    if (!(error instanceof TrustError)) throw error;
    // Without the cause, which may quote what was read.
    throw new BridgeError("REGISTRY", `${PATH} answered no secret`);
  }
}

/** As the engine reads it: base64 for URLs, with its padding. */
function toAuth(auth: object): string {
  return Buffer.from(JSON.stringify(auth)).toString("base64").replaceAll("+", "-").replaceAll("/", "_");
}
