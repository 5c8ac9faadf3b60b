import { basic, Client } from "../client.ts";
import { sha256 } from "../content.ts";
import { manifestOf } from "../seed.ts";
import type { Server } from "../servers.ts";
import type { Target } from "./loads.ts";

const TAG = "v1";
const OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json";

export interface Person {
  readonly name: string;
  /** `Basic …` by the password, and by a personal token. */
  readonly byPassword: string;
  readonly byToken: string;
  readonly repository: string;
  /** Of the one image in it, whose tag is v1. */
  readonly digest: string;
}

/** Users with a private repository each, called `prefix` and a number. */
export async function makePeople(server: Server, count = 32, prefix = "person"): Promise<Person[]> {
  const client = new Client(server);
  try {
    const people: Person[] = [];
    for (let n = 0; n < count; n++) people.push(await makePerson(client, `${prefix}${n}`));
    return people;
  } finally {
    client.close();
  }
}

async function makePerson(client: Client, name: string): Promise<Person> {
  const password = `a password of ${name}`;
  const as = (secret: string) => `Basic ${Buffer.from(`${name}:${secret}`).toString("base64")}`;
  const send = (path: string, method: string, authorization: string, body: object) =>
    client.ask(path, { method, headers: { authorization }, body: Buffer.from(JSON.stringify(body)), expect: 201 });
  await send(`/api/v1/users/${name}`, "PUT", basic, { password });
  const made = await send("/api/v1/tokens", "POST", as(password), { name: "bench" });
  const { secret }: { secret: string } = JSON.parse(made.body.toString());
  const repository = `${name}/app`;
  const digest = await pushImage(client, repository, as(secret));
  return { name, byPassword: as(password), byToken: as(secret), repository, digest };
}

async function pushImage(client: Client, repository: string, authorization: string): Promise<string> {
  const config = Buffer.from(JSON.stringify({ of: repository }));
  const headers = { authorization };
  const whole = `/v2/${repository}/blobs/uploads/?digest=${sha256(config)}`;
  await client.ask(whole, { method: "POST", headers, body: config, expect: 201 });
  const manifest = Buffer.from(JSON.stringify(manifestOf(config, [config])));
  await client.ask(`/v2/${repository}/manifests/${TAG}`, {
    method: "PUT",
    headers: { ...headers, "content-type": OCI_MANIFEST },
    body: manifest,
    expect: 201,
  });
  return sha256(manifest);
}

/** Where each asks the token service for what a push needs. */
export function tokenTargets(people: readonly Person[], by: "byPassword" | "byToken"): Target[] {
  return people.map((person) => ({
    path: `/token?scope=repository:${person.repository}:pull,push`,
    authorization: person[by],
  }));
}

/** Each one's image, with an access token that is fresh enough for one run. */
export async function pullTargets(
  server: Server,
  people: readonly Person[],
  by: "digest" | "tag" = "digest",
): Promise<Target[]> {
  const client = new Client(server);
  try {
    const targets: Target[] = [];
    for (const { repository, digest, byToken } of people) {
      const path = `/token?scope=repository:${repository}:pull`;
      const { body } = await client.ask(path, { headers: { authorization: byToken }, expect: 200 });
      const { token }: { token: string } = JSON.parse(body.toString());
      targets.push({
        path: `/v2/${repository}/manifests/${by === "tag" ? TAG : digest}`,
        authorization: `Bearer ${token}`,
      });
    }
    return targets;
  } finally {
    client.close();
  }
}
