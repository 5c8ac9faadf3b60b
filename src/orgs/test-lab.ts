import { afterAll, beforeAll } from "vitest";
import { type Ask, basic, openTestServer, type TestServer } from "./test-server.ts";

export const PEOPLE = [
  "none",
  "member",
  "reader",
  "writer",
  "signer",
  "deleter",
  "keeper",
  "wholly",
  "maker",
  "owner",
  "ann",
];
const as = (name: string) => basic(name, `${name}'s password`);
const root = as("root");

/**
 * For every test of a file: a server with the organizations `lab` and `other`, and in lab a team of one for each kind of
 * grant, called as its member.
 */
export function useLab() {
  let server: TestServer;

  const rest = (method: string, path: string, body: unknown, headers: Ask["headers"] = root) => {
    const sent = body === undefined ? {} : { body: JSON.stringify(body) };
    return server.send(method, `/api/v1/${path}`, { headers: { ...headers }, ...sent });
  };
  const must = async (method: string, path: string, body?: unknown): Promise<void> => {
    const { status, text } = await rest(method, path, body);
    if (status >= 300) throw new Error(`${method} ${path} answered ${status}: ${text}`);
  };
  const team = async (name: string, scope: string, grant: unknown): Promise<void> => {
    await must("PUT", `orgs/lab/teams/${name}`, {});
    await must("PUT", `orgs/lab/teams/${name}/members/${name}`, {});
    await must("PUT", `orgs/lab/teams/${name}/grants/${scope}`, grant);
  };

  beforeAll(async () => {
    server = await openTestServer();
    await server.addUser("root", "root's password", { systemAdmin: true });
    for (const name of [...PEOPLE, "auditor"]) await server.addUser(name, `${name}'s password`);
    await must("PUT", "users/auditor", { roles: ["auditor"] });
    for (const org of ["lab", "other"]) await must("PUT", `orgs/${org}`, {});
    for (const name of PEOPLE.slice(1, -1)) await must("PUT", `orgs/lab/members/${name}`, { role: "member" });
    await must("PUT", "orgs/lab/members/owner", { role: "owner" });
    for (const [org, repo, visibility] of [
      ["lab", "open", "public"],
      ["lab", "shut", "private"],
      ["lab", "second", "private"],
      ["other", "shut", "private"],
    ])
      await must("PUT", `orgs/${org}/repositories/${repo}`, { visibility });
    await team("reader", "shut", { level: "read-only" });
    await team("writer", "shut", { level: "read-write" });
    await team("signer", "shut", { level: "read-only", extra: ["sign", "promote"] });
    await team("deleter", "shut", { level: "read-only", extra: ["delete"] });
    await team("keeper", "shut", { level: "admin" });
    await team("wholly", "*", { level: "read-write" });
    await team("maker", "*", { level: "admin" });
  });
  afterAll(() => server.close());

  return { rest, must, team, as, root, server: () => server };
}
