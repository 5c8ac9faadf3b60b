import { afterAll, beforeAll, expect } from "vitest";
import { type Ask, basic, openTestServer, type TestServer } from "./test-server.ts";

type Headers = Ask["headers"];

/** By password. */
export const as = (name: string) => basic(name, `${name}'s password`);
export const root = as("root");

/**
 * For every test of a file: a server with the organizations `lab` (owner; keeper, who administers lab/app; member) and
 * `other`, with private repositories.
 */
export function useTokenLab() {
  let server: TestServer;

  const rest = (method: string, path: string, body: unknown, headers: Headers = root) => {
    const sent = body === undefined ? {} : { body: JSON.stringify(body) };
    return server.send(method, `/api/v1/${path}`, { headers: { ...headers }, ...sent });
  };
  const must = async (method: string, path: string, body?: unknown) => {
    const answer = await rest(method, path, body);
    if (answer.status >= 300) throw new Error(`${method} ${path} answered ${answer.status}: ${answer.text}`);
    return answer.body;
  };
  const tokenOf = async (headers: Headers, scope: string): Promise<string> => {
    const { status, body } = await server.send("GET", `/token?scope=${scope}`, { headers: { ...headers } });
    expect(status).toBe(200);
    return body.token;
  };

  beforeAll(async () => {
    server = await openTestServer();
    await server.addUser("root", "root's password", { systemAdmin: true });
    for (const name of ["owner", "keeper", "member"]) await server.addUser(name, `${name}'s password`);
    for (const org of ["lab", "other"]) await must("PUT", `orgs/${org}`, {});
    await must("PUT", "orgs/lab/members/owner", { role: "owner" });
    for (const name of ["keeper", "member"]) await must("PUT", `orgs/lab/members/${name}`, { role: "member" });
    for (const repo of ["app", "team%2Fone", "team%2Ftwo", "teamwork"])
      await must("PUT", `orgs/lab/repositories/${repo}`, { visibility: "private" });
    await must("PUT", "orgs/other/repositories/app", { visibility: "private" });
    await must("PUT", "orgs/lab/teams/keepers", {});
    await must("PUT", "orgs/lab/teams/keepers/members/keeper", {});
    await must("PUT", "orgs/lab/teams/keepers/grants/app", { level: "admin" });
  });
  afterAll(() => server.close());

  return { rest, must, tokenOf, server: () => server };
}
