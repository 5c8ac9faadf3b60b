import { afterAll, beforeAll } from "vitest";
import { parseRepositoryName } from "../oci/repository-name.ts";
import { type Answer, type Ask, basic, openTestServer, type TestServer } from "./test-server.ts";

export const alice = basic("alice", "alice's password");
export const bob = basic("bob", "bob's password");
export const realm = 'realm="https://registry.test:5443/token",service="registry.test:5443"';

type Operation = readonly [method: string, rest: string];
export const PULL: Operation = ["GET", "manifests/x"];
export const PUSH: Operation = ["PUT", "tags/list"];
export const UNTAG: Operation = ["DELETE", "tags/list"];
export const DELETE: Operation = ["DELETE", "blobs/x"];
export const ADMIN: Operation = ["POST", "admin"];
export const ALL = [PULL, PUSH, UNTAG, DELETE, ADMIN];

/** For every test of a file: a server with alice's repositories `open` (public) and `shut`, bob, root, and sue, who is suspended. */
export function useGate() {
  let server: TestServer;

  const ask = ([method, rest]: Operation, repository: string, headers: Ask["headers"] = {}) =>
    server.send(method, `/v2/${repository}/${rest}`, { headers });
  const statuses = (repository: string, headers?: Ask["headers"]): Promise<number[]> =>
    Promise.all(ALL.map(async (operation) => (await ask(operation, repository, headers)).status));

  beforeAll(async () => {
    server = await openTestServer();
    for (const name of ["alice", "bob", "sue"]) await server.addUser(name, `${name}'s password`);
    await server.addUser("root", "root's password", { systemAdmin: true });
    for (const name of ["alice/open", "alice/shut"]) await server.repositories.create(parseRepositoryName(name));
    await server.repositories.setVisibility(parseRepositoryName("alice/open"), "public");
    await server.database.query("", "update users set suspended = true where name = 'sue'");
  });
  afterAll(() => server.close());

  return { ask, statuses, server: () => server };
}

/** Everything of an answer that tells it from another one. */
export function seen({ status, headers, text }: Answer, repository: string): string {
  const { date: _, "x-request-id": __, ...rest } = headers;
  // Each refusal has an id of its own.
  return JSON.stringify({ status, rest, text })
    .replaceAll(/(decision\W+)[a-z2-9]{16}/g, "$1<id>")
    .replaceAll(repository, "<name>");
}
