/** The organizations, people, robots and repositories that the cells are about, made by the public API alone. */
import { CONFIG, digestOf, IMAGE, INDEX, indexOf, LAYER, LOOSE, MANIFEST } from "./content.ts";
import { memberKey } from "./member-key.ts";
import type { RepositoryId } from "./oracle.ts";
import { TrustData } from "./trust-data.ts";
import { type Answer, type Ask, basic, bearer, type Sent, Wire } from "./wire.ts";

export const PASSWORD = "correct horse battery";
/** The other organizations: one has R3, in the third nobody of the matrix has anything. */
export const [ORG, OTHER, HOARD] = ["acme", "glob", "hoard"] as const;

/** Names of one length within an organization: what hides one must answer as what is missing, to the byte. */
export const NAMES: Readonly<Record<RepositoryId, string>> = {
  R1: `${ORG}/one`,
  R2: `${ORG}/two`,
  R3: `${OTHER}/tri`,
  R4: `${ORG}/non`,
  R5: `${ORG}/ded`,
  R6: `${ORG}/old`,
};
export const RENAMED = `${ORG}/new`;
/** Where there is nothing and never was. */
export const MISSING: Readonly<Record<string, string>> = { [ORG]: `${ORG}/nil`, [OTHER]: `${OTHER}/nil` };
export const SOURCES = { readable: `${ORG}/src`, unreadable: `${HOARD}/src`, missing: `${HOARD}/nil` } as const;
export const SOURCE_BLOB = "mounted from where everybody may read";
export const HIDDEN_BLOB = "only where nobody may read";

export const USERS = {
  ...{ A1: "ann", A2: "bob", A3: "cid", A4: "dan", A5: "eve", A6: "fay", A7: "gus" },
  ...{ A8: "hal", A13: "moe", A14: "ned", A15: "oda", A16: "sid" },
} as const;
/** Team of each, its level, and what it is given: single repositories, or everything. */
const TEAMS = [
  { team: "readers", user: USERS.A2, level: "read-only", on: ["R1", "R2", "R5"], extra: [] },
  { team: "writers", user: USERS.A3, level: "read-write", on: ["R1", "R2", "R5"], extra: [] },
  { team: "keepers", user: USERS.A4, level: "admin", on: ["R1", "R2", "R5"], extra: [] },
  { team: "signers", user: USERS.A16, level: "read-only", on: ["R1", "R2"], extra: ["sign"] },
  { team: "all-readers", user: USERS.A6, level: "read-only", on: ["*"], extra: [] },
  { team: "all-writers", user: USERS.A7, level: "read-write", on: ["*"], extra: ["sign"] },
  { team: "former", user: USERS.A13, level: "admin", on: ["R1", "R2", "R5"], extra: [] },
] as const;
export const SPARE_TEAM = "spare";
export const ROBOTS = { A9: `${ORG}+puller`, A10: `${ORG}+pusher`, A11: `${OTHER}+puller` } as const;

export const restPath = (name: string): string => {
  const [org, ...path] = name.split("/");
  return `/api/v1/orgs/${org}/repositories/${encodeURIComponent(path.join("/"))}`;
};
export const shortName = (name: string): string => name.slice(name.indexOf("/") + 1);
export const scopeOf = (name: string, actions = "pull,push,delete"): string => `repository:${name}:${actions}`;

export class World {
  readonly wire: Wire;
  readonly admin: string;
  readonly trust: TrustData;
  /** Secrets of robots by full name, and personal tokens of users. */
  readonly secrets = new Map<string, string>();
  #names = 0;

  constructor(url: string, adminPassword: string) {
    this.wire = new Wire(url);
    this.admin = basic("admin", adminPassword);
    this.trust = new TrustData({ wire: this.wire, authority: new URL(url).host, admin: this.admin });
  }

  /** As the administrator of the installation, who is none of the actors. */
  must(status: number, method: string, path: string, body?: unknown, more: Ask = {}): Promise<Answer> {
    const text = body === undefined || typeof body === "string" ? body : JSON.stringify(body);
    return this.wire.must(status, method, path, { authorization: this.admin, body: text, ...more });
  }

  json(answer: Answer): Record<string, never> & { readonly [key: string]: unknown } {
    return JSON.parse(answer.body.toString());
  }

  newName(prefix = "copy", org: string = ORG): string {
    return `${org}/${prefix}-${++this.#names}`;
  }

  async prepare(): Promise<void> {
    for (const name of Object.values(USERS)) await this.addUser(name);
    await this.must(200, "PUT", `/api/v1/users/${USERS.A14}`, { roles: ["admin"] });
    await this.must(200, "PUT", `/api/v1/users/${USERS.A15}`, { roles: ["auditor"] });
    for (const org of [ORG, OTHER, HOARD]) {
      await this.must(201, "PUT", `/api/v1/orgs/${org}`, {});
      await this.must(201, "PUT", `/api/v1/orgs/${org}/teams/${SPARE_TEAM}`, {});
    }
    await this.makeRepository(NAMES.R1, "public");
    for (const name of [NAMES.R2, NAMES.R3, NAMES.R5, NAMES.R6]) await this.makeRepository(name);
    for (const name of [NAMES.R1, NAMES.R2, NAMES.R3, NAMES.R5, NAMES.R6]) await this.trust.publish(name);
    await this.must(200, "POST", `${restPath(NAMES.R6)}/rename`, { name: RENAMED, dropTrust: true });
    for (const name of [NAMES.R4, NAMES.R6]) await this.trust.prepare(name);
    await this.#makeSources();
    await this.#join();
    await this.putRobot(ROBOTS.A9, [NAMES.R2, NAMES.R5], ["pull"]);
    await this.putRobot(ROBOTS.A10, [NAMES.R2, NAMES.R5], ["pull", "push"]);
    await this.putRobot(ROBOTS.A11, [NAMES.R3], ["pull"]);
  }

  /** R5 becomes what it is: whatever was given on it was given on the one before. */
  async replaceR5(): Promise<void> {
    await this.must(204, "DELETE", `${restPath(NAMES.R5)}?dropTrust=true`);
    await this.makeRepository(NAMES.R5);
    await this.trust.prepare(NAMES.R5);
  }

  async removeFromTeam(): Promise<void> {
    await this.must(204, "DELETE", `/api/v1/orgs/${ORG}/teams/former/members/${USERS.A13}`);
  }

  async addUser(name: string): Promise<void> {
    await this.must(201, "PUT", `/api/v1/users/${name}`, { password: PASSWORD });
    const answer = await this.wire.must(201, "POST", "/api/v1/tokens", {
      authorization: basic(name, PASSWORD),
      body: JSON.stringify({ name: "matrix" }),
    });
    this.secrets.set(name, String(this.json(answer).secret));
  }

  async addMember(name: string, team: string): Promise<void> {
    await this.must(201, "PUT", `/api/v1/orgs/${ORG}/members/${name}`, { role: "member" });
    await this.must(201, "PUT", `/api/v1/orgs/${ORG}/teams/${team}/members/${name}`, {});
  }

  async putRobot(robot: string, repositories: readonly string[], actions: readonly string[]): Promise<void> {
    const [org, name] = robot.split("+");
    const grants = repositories.map((repository) => ({ scope: shortName(repository), actions }));
    const answer = await this.must(201, "PUT", `/api/v1/orgs/${org}/robots/${name}`, { grants });
    this.secrets.set(robot, String(this.json(answer).secret));
  }

  async grant(team: string, repository: string, level: string, extra: readonly string[] = []): Promise<void> {
    const [org = ""] = repository.split("/");
    const path = `/api/v1/orgs/${org}/teams/${team}/grants/${encodeURIComponent(shortName(repository))}`;
    await this.must(201, "PUT", path, { level, extra });
  }

  async makeRepository(name: string, visibility: "public" | "private" = "private"): Promise<void> {
    await this.must(201, "PUT", restPath(name), { visibility });
    for (const blob of [CONFIG, LAYER, LOOSE]) await this.pushBlob(name, blob);
    await this.pushManifest(name, "v1", IMAGE, MANIFEST);
    await this.pushManifest(name, "list", indexOf("list", IMAGE), INDEX);
  }

  async pushBlob(name: string, content: string): Promise<void> {
    await this.must(201, "POST", `/v2/${name}/blobs/uploads/?digest=${digestOf(content)}`, content);
  }

  async pushManifest(name: string, reference: string, text: string, type: string): Promise<void> {
    await this.must(201, "PUT", `/v2/${name}/manifests/${reference}`, text, { type });
  }

  /** Path of an upload that the administrator began. */
  async beginUpload(name: string): Promise<string> {
    const { headers } = await this.must(202, "POST", `/v2/${name}/blobs/uploads/`);
    return new URL(headers.location ?? "").pathname;
  }

  /** Scopes of a token in its own words. */
  async token(authorization: string | undefined, scopes: readonly string[], ask: Ask = {}): Promise<string> {
    const query = scopes.map((scope) => `scope=${encodeURIComponent(scope)}`).join("&");
    const sent: Sent = ["GET", `/token?${query}`, { authorization, ...ask }];
    return String(this.json(await this.wire.must(200, ...sent)).token);
  }

  async bearer(authorization: string | undefined, scopes: readonly string[]): Promise<string> {
    return bearer(await this.token(authorization, scopes));
  }

  async #makeSources(): Promise<void> {
    await this.makeRepository(SOURCES.readable, "public");
    await this.pushBlob(SOURCES.readable, SOURCE_BLOB);
    await this.makeRepository(SOURCES.unreadable);
    await this.pushBlob(SOURCES.unreadable, HIDDEN_BLOB);
  }

  async #join(): Promise<void> {
    await this.must(201, "PUT", `/api/v1/orgs/${ORG}/members/${USERS.A5}`, { role: "member" });
    await this.must(201, "PUT", `/api/v1/orgs/${ORG}/members/${USERS.A8}`, { role: "owner" });
    await memberKey.prove(this.wire, USERS.A5, PASSWORD);
    for (const { team, user, level, on, extra } of TEAMS) {
      await this.must(201, "PUT", `/api/v1/orgs/${ORG}/teams/${team}`, {});
      await this.addMember(user, team);
      for (const each of on) await this.grant(team, each === "*" ? `${ORG}/*` : NAMES[each], level, extra);
    }
  }
}

/** Teams that hold a grant on single repositories, and so need one on a copy of them. */
export const teamOf = (user: string) => TEAMS.find((one) => one.user === user && one.on[0] !== "*");
