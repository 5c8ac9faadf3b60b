import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { toSource } from "./sign-in-limits.ts";
import { type Ask, basic, openTestServer, type TestServer } from "./test-server.ts";

type Worker = Pick<TestServer, "send">;

let server: TestServer;

beforeAll(async () => {
  server = await openTestServer();
  for (const name of ["alice", "bob"]) await server.addUser(name, `${name}'s password`);
});

beforeEach(() => server.database.query("", "delete from sign_in_failures"));

afterAll(() => server.close());

const right = (name: string) => basic(name, `${name}'s password`);

async function ping(headers: Ask["headers"], from: string, worker: Worker = server): Promise<number> {
  return (await worker.send("GET", "/v2/", { headers: headers ?? {}, from })).status;
}

async function guess(times: number, from: string, account: (n: number) => string = () => "alice", worker?: Worker) {
  const statuses: number[] = [];
  for (let n = 0; n < times; n++) statuses.push(await ping(basic(account(n), `guess ${n}`), from, worker));
  return statuses;
}

const ten401 = Array<number>(10).fill(401);

describe("sign-in limits", () => {
  it("answer the eleventh bad password from one source with 429, whatever the accounts", async () => {
    const statuses = await guess(11, "127.0.0.2", (n) => `user${n}`);

    expect(statuses).toEqual([...ten401, 429]);
    expect(await ping(right("alice"), "127.0.0.2")).toBe(429);
  });

  it("answer the eleventh bad password for one account with 429, whatever the sources", async () => {
    const statuses: number[] = [];
    for (let n = 0; n < 11; n++) statuses.push(...(await guess(1, `127.0.1.${n + 1}`)));

    expect(statuses).toEqual([...ten401, 429]);
  });

  it("let who knows the password in from a clean source while the account is attacked from another", async () => {
    await guess(11, "127.0.0.2");

    expect(await ping(right("alice"), "127.0.0.3")).toBe(200);
    expect(await ping(right("alice"), "127.0.0.2")).toBe(429);
  });

  it("close an account under attack to a source that guessed wrong, and to it alone", async () => {
    await guess(10, "127.0.0.2");
    await guess(1, "127.0.0.3", () => "bob");

    expect(await ping(right("alice"), "127.0.0.3")).toBe(429);
    expect(await ping(right("bob"), "127.0.0.3")).toBe(200);
  });

  it("treat an unknown account as a known one", async () => {
    const seen = async (account: string, from: string) => {
      await guess(10, from, () => account);
      const { status, headers, text } = await server.send("GET", "/v2/", { headers: basic(account, "guess"), from });
      return { status, retry: headers["retry-after"], text: text.replace(/decision \w+/, "") };
    };

    expect(await seen("nobody", "127.0.0.2")).toEqual(await seen("alice", "127.0.0.3"));
  });

  it("say when to try again, in the words of each protocol, and mean it", async () => {
    await guess(10, "127.0.0.2");
    server.clock.now = new Date(server.clock.now.getTime() + 20_000);
    const ask = { headers: right("bob"), from: "127.0.0.2" };

    const [registry, token, rest] = [
      await server.send("GET", "/v2/", ask),
      await server.send("GET", "/token", ask),
      await server.send("GET", "/api/v1/users/bob", ask),
    ];

    expect([registry.status, token.status, rest.status]).toEqual([429, 429, 429]);
    for (const { headers } of [registry, token, rest]) expect(headers["retry-after"]).toBe("40");
    expect([registry.body.errors[0].code, token.body.errors[0].code]).toEqual(["TOOMANYREQUESTS", "TOOMANYREQUESTS"]);
    expect(rest.headers["content-type"]).toBe("application/problem+json");
    expect(rest.body.code).toBe("too-many-requests");
    server.clock.now = new Date(server.clock.now.getTime() + 40_000);
    expect(await ping(right("bob"), "127.0.0.2")).toBe(200);
  });

  it("count Basic, the token service's two ways and REST together", async () => {
    const [from, headers] = ["127.0.0.2", basic("alice", "guess")];
    const form = {
      headers: { "content-type": "application/x-www-form-urlencoded" },
      body: "grant_type=password&username=alice&password=guess",
      from,
    };
    const statuses: number[] = [];
    for (let n = 0; n < 3; n++) {
      statuses.push((await server.send("GET", "/v2/", { headers, from })).status);
      statuses.push((await server.send("GET", "/token", { headers, from })).status);
      statuses.push((await server.send("POST", "/token", form)).status);
      statuses.push((await server.send("GET", "/api/v1/users/alice", { headers, from })).status);
    }

    expect(statuses).toEqual([...ten401, 429, 429]);
  });

  it("are shared by all workers, and outlive them", async () => {
    const second = await server.openWorker();
    const statuses = [...(await guess(5, "127.0.0.2")), ...(await guess(6, "127.0.0.2", undefined, second))];
    await second.close();
    const restarted = await server.openWorker();

    expect(statuses).toEqual([...ten401, 429]);
    expect(await ping(right("bob"), "127.0.0.2", restarted)).toBe(429);
    await restarted.close();
  });

  it("tell no more than ten of many guesses sent at once that they were wrong", async () => {
    const second = await server.openWorker();
    const crowd = Array.from({ length: 40 }, (_, n) =>
      ping(basic("alice", `guess ${n}`), "127.0.0.2", n % 2 === 0 ? server : second),
    );

    const statuses = await Promise.all(crowd);

    expect(statuses.filter((status) => status === 401)).toHaveLength(10);
    expect(statuses.filter((status) => status === 429)).toHaveLength(30);
    await second.close();
  });

  it("do not listen to X-Forwarded-For and its like", async () => {
    await guess(10, "127.0.0.2");
    for (const name of ["x-forwarded-for", "x-real-ip", "forwarded", "client-ip"]) {
      expect(await ping({ ...right("alice"), [name]: "for=192.0.2.9" }, "127.0.0.2")).toBe(429);
    }
  });

  it("leave tokens alone, and right passwords write nothing", async () => {
    const { body } = await server.send("GET", "/token", { headers: right("alice"), from: "127.0.0.2" });
    const rows = await server.database.query("", "select 1 from sign_in_failures");
    await guess(11, "127.0.0.2");

    expect(rows).toEqual([]);
    expect(await ping({ authorization: `Bearer ${body.token}` }, "127.0.0.2")).toBe(200);
  });
});

describe("a source", () => {
  it.each([
    ["127.0.0.1", "127.0.0.1"],
    ["::ffff:192.0.2.7", "192.0.2.7"],
    ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"],
    ["2001:DB8::6", "2001:db8:0:0::/64"],
    ["::1", "0:0:0:0::/64"],
    ["fe80::1%eth0", "fe80:0:0:0::/64"],
    ["", ""],
  ])("%s is %s", (address, source) => {
    expect(toSource(address)).toBe(source);
  });
});
