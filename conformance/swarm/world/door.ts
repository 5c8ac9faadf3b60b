/** The bridge's door, as olga and the registry knock at it. */
import { randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { makeOrder, type OrderOptions, type SigningKey } from "../signing.ts";
import { BRIDGE } from "./people.ts";

/** By which the bridge believes who looks. */
const RELAY_SECRET = randomBytes(24).toString("hex");

export interface Answer {
  readonly status: number;
  readonly lines: readonly Loose[];
  readonly last: Loose;
}

type Loose = { readonly [name: string]: unknown } | undefined;

export interface Told {
  readonly status: number;
  readonly text: string;
}

export class Door {
  readonly #url: string;
  readonly #operator: SigningKey;

  constructor(url: string, operator: SigningKey) {
    [this.#url, this.#operator] = [url, operator];
  }

  makeOrder(spec: string, options: OrderOptions = {}): string {
    return makeOrder(spec, this.#operator, options);
  }

  /** What the bridge answered: the problem, or the last line. */
  async post(path: string, body: string, order: string): Promise<Answer> {
    const answer = await fetch(`${this.#url}${path}`, { method: "POST", headers: { "goldseal-order": order }, body });
    const lines = (await answer.text())
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line));
    return { status: answer.status, lines, last: lines.at(-1) };
  }

  async get(path: string, headers: Readonly<Record<string, string>> = {}): Promise<Told> {
    const answer = await fetch(`${this.#url}${path}`, { headers });
    return { status: answer.status, text: await answer.text() };
  }

  /** Below `/api/v1/cluster/`, as the registry's relay asks for `user`. */
  view(path: string, user: string): Promise<Told> {
    return this.get(`/api/v1/cluster/${path}`, { "goldseal-user": user, "goldseal-relay": RELAY_SECRET });
  }
}

/** What `serve` must know to hand orders and looks on to the bridge, and whose account is the bridge's. */
export function relayTo(bridgePort: number, folder: string): Record<string, string> {
  const secretFile = secretFileIn(folder);
  writeFileSync(secretFile, `${RELAY_SECRET}\n`, { mode: 0o600 });
  return {
    GOLDSEAL_BRIDGE_ACCOUNT: BRIDGE.name,
    GOLDSEAL_BRIDGE_URL: `http://127.0.0.1:${bridgePort}`,
    GOLDSEAL_BRIDGE_SECRET_FILE: secretFile,
  };
}

export const secretFileIn = (folder: string): string => join(folder, "relay-secret");
