import { mkdtemp, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { useCli } from "./test-cli.ts";

const { goldseal, canSignIn, server } = useCli();

describe("goldseal login", () => {
  it("keeps a token that only its owner can read, uses it, and ends it at logout", async () => {
    const home = await mkdtemp(join(tmpdir(), "goldseal-home-"));
    const out = { GOLDSEAL_ADMIN_PASSWORD: "", HOME: home };
    const path = join(home, ".config", "goldseal", "credentials.json");

    const signedIn = await goldseal("login --as alice", { env: out, typed: ["alice's password\r"] });
    await goldseal("login --as alice", { env: out, typed: ["alice's password\r"] });
    const used = await goldseal("token list", { env: out });
    const file = JSON.parse(await readFile(path, "utf8"));
    const mode = (await stat(path)).mode & 0o777;
    const more = await goldseal("token create other", { env: out });
    const signedOut = await goldseal("logout", { env: out });
    const afterwards = await goldseal("token list --as alice", { env: out });
    const [login] = Object.values<{ user: string; token: string }>(file.logins);

    expect([signedIn.status, used.status, signedOut.status, afterwards.status]).toEqual([0, 0, 0, 2]);
    expect(used.out).toMatch(/^cli-[0-9a-f]{8} {2}- {2}\S+\n$/);
    expect([more.status, more.err]).toEqual([2, expect.stringMatching(/no password for alice/)]);
    expect([mode, login?.user]).toEqual([0o600, "alice"]);
    expect(signedIn.out + signedIn.err).not.toContain(login?.token);
    expect(await canSignIn("alice", login?.token ?? "")).toBe(false);
    expect(JSON.parse(await readFile(path, "utf8")).logins).toEqual({});
    await rm(home, { recursive: true });
  });
});

describe("goldseal login, twice", () => {
  it("ends the token of whoever was signed in before, and logout leaves other registries alone", async () => {
    const home = await mkdtemp(join(tmpdir(), "goldseal-home-"));
    const path = join(home, ".config", "goldseal", "credentials.json");
    const read = async () => JSON.parse(await readFile(path, "utf8"));
    const out = { GOLDSEAL_ADMIN_PASSWORD: "", GOLDSEAL_PUBLIC_URL: undefined, HOME: home };
    const [here, there] = ["127.0.0.1", "localhost"].map((host) => `http://${host}:${server().port}`);
    const alices = { env: out, typed: ["alice's password\r"] };

    await goldseal(`login --as alice --url ${here}`, alices);
    const before = Object.values<{ token: string }>((await read()).logins)[0]?.token ?? "";
    await goldseal(`login --url ${here}`, { env: out, typed: ["admin's password\r"] });
    await goldseal(`login --as alice --url ${there}`, alices);
    const wasGood = (await read()).current;
    const signedOut = await goldseal(`logout --url ${here}`, { env: out });

    expect(await canSignIn("alice", before)).toBe(false);
    expect([signedOut.status, wasGood, (await read()).current]).toEqual([0, there, there]);
    expect((await goldseal("token create typed", alices)).out).toMatch(/^gsp_/);
    await rm(home, { recursive: true });
  });
});
