/** Eight operations on a repository of one's own, which show what a token opens there. */
import { digestOf, IMAGE, INDEX, indexOf, LAYER, MANIFEST } from "./content.ts";
import { type Answer, type Ask, basic, codeOf } from "./wire.ts";
import { PASSWORD, restPath, type World } from "./world.ts";

export type Action = "pull" | "push" | "delete";
/** In the order in which they are tried, with the action that each needs and its status with it. */
const EIGHT: readonly (readonly [Action, number])[] = [
  ["pull", 200],
  ["pull", 200],
  ["pull", 200],
  ["pull", 200],
  ["push", 202],
  ["push", 201],
  ["delete", 202],
  ["delete", 202],
];

/** A user with a namespace, where all is theirs, and one repository in it. */
export class Probe {
  readonly world: World;
  readonly user: string;
  readonly name: string;
  readonly authorization: string;
  #tries = 0;

  constructor(world: World, user: string) {
    this.world = world;
    this.user = user;
    this.name = `${user}/app`;
    this.authorization = basic(user, PASSWORD);
  }

  async prepare(): Promise<this> {
    await this.world.addUser(this.user);
    await this.world.makeRepository(this.name);
    return this;
  }

  /** A token of the owner's. */
  token(...scopes: readonly string[]): Promise<string> {
    return this.world.token(this.authorization, scopes);
  }

  /** @throws Error unless exactly what needs one of `actions` is done, and all else refused with `challenge` in the header */
  async mustOpen(actions: readonly Action[], ask: Ask, challenge = 'error="insufficient_scope"'): Promise<void> {
    const answers = await this.#tryAll(actions.includes("delete"), ask);
    for (const [index, [action, ok]] of EIGHT.entries()) {
      const answer = answers[index];
      if (answer === undefined) throw new Error("not tried");
      const isRefused = answer.status === 401 && hasChallenge(answer, challenge);
      const isRight = actions.includes(action) ? answer.status === ok : isRefused;
      if (isRight) continue;
      const wanted = actions.includes(action) ? ok : `401 with ${challenge || "no error"}`;
      const header = answer.headers["www-authenticate"] ?? "";
      throw new Error(
        `operation ${index + 1} (${action}): ${answer.status} ${header} instead of ${wanted}\n${answer.body}`,
      );
    }
  }

  /** @throws Error unless all eight are refused */
  mustOpenNothing(ask: Ask, challenge = 'error="invalid_token"'): Promise<void> {
    return this.mustOpen([], ask, challenge);
  }

  async #tryAll(deletes: boolean, ask: Ask): Promise<Answer[]> {
    const { world, name } = this;
    const mark = `probe-${++this.#tries}`;
    const v2 = `/v2/${name}`;
    // What may be deleted is there to be deleted; what may not needs nothing there.
    if (deletes) {
      await world.pushBlob(name, mark);
      await world.pushManifest(name, mark, indexOf(mark), INDEX);
    }
    const query = ask.headers?.["x-query"];
    const { "x-query": _, ...headers } = ask.headers ?? {};
    const send = (method: string, path: string, more: Ask = {}) =>
      world.wire.ask(method, query === undefined ? path : `${path}?${query}`, { ...ask, headers, ...more });
    return [
      await send("GET", `${v2}/tags/list`),
      await send("GET", `${v2}/manifests/v1`, { headers: { ...headers, accept: MANIFEST } }),
      await send("HEAD", `${v2}/blobs/${digestOf(LAYER)}`),
      await send("GET", `${v2}/referrers/${digestOf(IMAGE)}`),
      await send("POST", `${v2}/blobs/uploads/`),
      await send("PUT", `${v2}/manifests/pushed`, { body: indexOf("pushed"), type: INDEX }),
      await send("DELETE", `${v2}/manifests/${mark}`),
      await send("DELETE", `${v2}/blobs/${digestOf(mark)}`),
    ];
  }

  /** Eight requests of REST, each of which the owner may make. */
  async mustOpenNothingOfRest(ask: Ask): Promise<void> {
    const one = restPath(this.name);
    for (const [method, path] of [
      ["GET", `/api/v1/users/${this.user}`],
      ["GET", "/api/v1/orgs"],
      ["GET", `/api/v1/orgs/${this.user}/repositories`],
      ["GET", one],
      ["GET", "/api/v1/tokens"],
      ["GET", "/api/v1/audit"],
      ["GET", `/api/v1/explain?action=pull&repository=${this.name}`],
      ["DELETE", one],
    ] as const) {
      const answer = await this.world.wire.ask(method, path, ask);
      if (answer.status !== 401 || codeOf(answer) !== "unauthorized")
        throw new Error(`${method} ${path}: ${answer.status} ${answer.body}`);
    }
  }
}

function hasChallenge({ headers }: Answer, challenge: string): boolean {
  const header = headers["www-authenticate"] ?? "";
  return header.startsWith("Bearer ") && (challenge === "" ? !header.includes("error=") : header.includes(challenge));
}
