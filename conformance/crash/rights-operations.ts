/** Users, grants and the server's keys: each writer changes those of a repository and a team of its own. */
import type { Client } from "./client.ts";
import { type Hand, nextSeed } from "./hand.ts";
import { ANY, PRESENT, type Register, type Value } from "./history.ts";
import { trustPathOf } from "./trust-operations.ts";
import { Violation } from "./violation.ts";

const ORGANIZATION = "crash";
const PASSWORD = "crash-password-1";
const USERS = 4;
const LEVELS = ["read-only", "read-write", "admin"];
const ROLES = ["timestamp", "snapshot"];

/** `crash/w0`: its team and their one member have the same name. */
const nameOf = ({ repository }: Hand): string => repository.replace(/^.*-/, "");
const grantPath = (name: string): string => `/api/v1/orgs/${ORGANIZATION}/teams/${name}/grants/${name}`;
const userPath = (user: string): string => `/api/v1/users/${user}`;

async function put(hand: Hand, path: string, body: object = {}): Promise<void> {
  const headers = { "content-type": "application/json" };
  await hand.client.expect([200, 201], "PUT", path, { headers, body: Buffer.from(JSON.stringify(body)) });
}

/** Each of these may be said twice. */
async function setUp(hand: Hand): Promise<string> {
  const name = nameOf(hand);
  if (hand.hasTeam) return name;
  const org = `/api/v1/orgs/${ORGANIZATION}`;
  const member = `member-${name}`;
  await hand.history.attempt("rights.set-up", [], async () => {
    await put(hand, org);
    await put(hand, userPath(member), { password: PASSWORD });
    await put(hand, `${org}/members/${member}`, { role: "member" });
    await put(hand, `${org}/teams/${name}`);
    await put(hand, `${org}/teams/${name}/members/${member}`);
    await put(hand, `${org}/repositories/${name}`, { visibility: "private" });
  });
  hand.hasTeam = true;
  return name;
}

/** Grants something else, or takes it back. */
export async function changeGrant(hand: Hand): Promise<void> {
  const name = await setUp(hand);
  const register = hand.history.register("grant", `${ORGANIZATION}/${name}`, name);
  const current = register.current();
  if (current === "unknown") return;
  if (current !== undefined && hand.random.chance(0.5)) {
    await hand.history.attempt("grant.delete", [{ register, value: undefined }], () =>
      hand.client.expect([204], "DELETE", grantPath(name)),
    );
    return;
  }
  const level = hand.random.pick(LEVELS.filter((each) => each !== current));
  await hand.history.attempt("grant.put", [{ register, value: level }], () => put(hand, grantPath(name), { level }));
}

export async function changeUser(hand: Hand): Promise<void> {
  const user = `user-${nameOf(hand)}-${hand.random.between(1, USERS)}`;
  const register = hand.history.register("user", "-", user);
  const current = register.current();
  if (current === "unknown") return;
  if (current === undefined) {
    await hand.history.attempt("user.add", [{ register, value: PRESENT }], () =>
      put(hand, userPath(user), { password: PASSWORD }),
    );
  } else {
    await hand.history.attempt("user.delete", [{ register, value: undefined }], () =>
      hand.client.expect([204], "DELETE", userPath(user)),
    );
  }
}

/** Which key it will be only the answer says. */
export async function rotateKey(hand: Hand): Promise<void> {
  const repository = `${ORGANIZATION}/${await setUp(hand)}`;
  const role = hand.random.pick(ROLES) ?? "";
  const change = { register: hand.history.register("key", repository, role), value: ANY };
  await hand.history.attempt("key.rotate", [change], async () => {
    const path = `${trustPathOf(repository)}${role}.key`;
    const { body } = await hand.client.expect([200], "POST", path, { headers: { "x-seed": nextSeed(hand) } });
    change.value = publicKey(body);
  });
}

const publicKey = (body: Buffer): string => JSON.parse(body.toString()).keyval.public;

/** What is there, and that it works. @throws Violation */
export async function readRight(client: Client, { kind, repository, name }: Register): Promise<Value> {
  if (kind === "key") {
    return publicKey((await client.expect([200], "GET", `${trustPathOf(repository)}${name}.key`)).body);
  }
  const path = kind === "user" ? userPath(name) : grantPath(name);
  const { status, body } = await client.expect([200, 404], "GET", path);
  const value = status === 404 ? undefined : kind === "user" ? PRESENT : JSON.parse(body.toString()).level;
  // Wrong names and passwords, some in a row, would have the server refuse everybody here for a while.
  if (kind === "user" && value === undefined) return undefined;
  const user = kind === "user" ? name : `member-${name}`;
  const basic = `Basic ${Buffer.from(`${user}:${PASSWORD}`).toString("base64")}`;
  const probe = kind === "user" ? "/v2/" : `/v2/${repository}/tags/list`;
  const works = (await client.ask("GET", probe, { headers: { authorization: basic } })).status === 200;
  if (works === (value !== undefined)) return value;
  throw new Violation(
    "TORN",
    `${kind} ${repository} ${name} is ${value ?? "not there"}, but ${user} may${works ? "" : " not"}`,
  );
}
