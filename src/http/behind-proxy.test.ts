/** The whole system behind a proxy: this machine's loopback is the proxy, and asks for others. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { basic, type Node, openTestApp, type TestApp } from "../testing/open-test-app.ts";

let app: TestApp;
let behind: Node;
beforeAll(async () => {
  app = await openTestApp();
  behind = await app.openAnother({ GOLDSEAL_TRUSTED_PROXIES: "127.0.0.1" });
});
beforeEach(() => app.database.query("", "delete from sign_in_failures"));
afterAll(async () => {
  expect(app.errors()).toEqual([]);
  await behind[Symbol.asyncDispose]();
  await app[Symbol.asyncDispose]();
});

const ten401 = Array<number>(10).fill(401);

async function signIn(client: string, password: string | undefined, node: Node = behind): Promise<number> {
  const headers = { authorization: basic("alice", password), "x-forwarded-for": client };
  return (await node.ask("GET", "/v2/", { headers })).status;
}

async function guess(times: number, client: (n: number) => string, node?: Node): Promise<number[]> {
  const statuses: number[] = [];
  for (let n = 0; n < times; n++) statuses.push(await signIn(client(n), `guess ${n}`, node));
  return statuses;
}

describe("behind a trusted proxy", () => {
  it("one stranger's wrong passwords stop nobody else", async () => {
    expect(await guess(11, () => "198.51.100.7")).toEqual([...ten401, 429]);

    expect(await signIn("198.51.100.7", undefined)).toBe(429);
    expect(await signIn("203.0.113.9", undefined)).toBe(200);
  });

  it("a stranger who writes another address before each guess stays one source", async () => {
    expect(await guess(11, (n) => `192.0.2.${n}, 198.51.100.7`)).toEqual([...ten401, 429]);
  });

  it("a stranger who writes the proxy's address or rubbish does not guess as the proxy", async () => {
    const written = ["127.0.0.1, 198.51.100.7", "%, 198.51.100.7", ", 198.51.100.7"];
    expect(await guess(11, (n) => written[n % 3] ?? "")).toEqual([...ten401, 429]);

    expect(await signIn("", undefined)).toBe(200);
  });

  it("audit and log tell the client's address", async () => {
    const headers = { "x-forwarded-for": "2001:DB8::7, 127.0.0.1" };
    const { status } = await behind.ask("PUT", "/api/v1/orgs/proxied", { as: "admin", headers, body: "{}" });

    const rows = await app.database.query<{ source: string }>(
      "",
      "select source from audit_log where action = 'org-put' order by at desc limit 1",
    );
    const line = app.log.findLast(({ event }) => event === "http");
    expect([status, rows, line?.remote]).toEqual([201, [{ source: "2001:db8::7" }], "2001:db8::7"]);
  });
});

it("somebody who is no trusted proxy chooses no address", async () => {
  await using other = await app.openAnother({ GOLDSEAL_TRUSTED_PROXIES: "127.0.0.2,10.0.0.0/8" });

  expect(await guess(11, (n) => `198.51.100.${n}`, other)).toEqual([...ten401, 429]);
});
