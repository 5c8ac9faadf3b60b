import { execFileSync } from "node:child_process";
import { describe, expect, it } from "vitest";
import { basic } from "../orgs/test-server.ts";
import { useCli } from "./test-cli.ts";

const { goldseal, canSignIn, server } = useCli();

describe("goldseal user", () => {
  it("adds a user with a generated password that is printed once, alone on stdout", async () => {
    const { status, out, err } = await goldseal("user add bob");

    expect(status).toBe(0);
    expect(out).toMatch(/^[\w-]{24}\n$/);
    expect(err).toContain("added user bob");
    expect(await canSignIn("bob", out.trim())).toBe(true);
  });

  it("adds a user with the password of stdin, and prints none", async () => {
    const { status, out } = await goldseal("user add carol --password-stdin", { stdin: "carol's password\n" });

    expect([status, out]).toEqual([0, ""]);
    expect(await canSignIn("carol", "carol's password")).toBe(true);
  });

  it("does not change the password of a user who is there", async () => {
    const { status, err } = await goldseal("user add alice");

    expect(status).toBe(1);
    expect(err).toContain("goldseal user password alice");
    expect(await canSignIn("alice", "alice's password")).toBe(true);
  });

  it("changes passwords: by stdin, and typed twice without being shown", async () => {
    const byAdmin = await goldseal("user password alice --password-stdin", { stdin: "second password\n" });
    const typed = ["second password\r", "thrird\b\b\b\bird password\r", "third password\n"];

    const byAlice = await goldseal("user password alice --as alice", { typed });

    expect([byAdmin.status, byAlice.status]).toEqual([0, 0]);
    expect(byAlice.err).not.toContain("third");
    expect(byAlice.raw).toEqual([true, false, true, false, true, false]);
    expect(await canSignIn("alice", "third password")).toBe(true);
    await goldseal("user password alice --password-stdin", { stdin: "alice's password" });
  });

  it("changes nothing when the two differ, or when it is interrupted", async () => {
    const differ = await goldseal("user password alice", { typed: ["one password\r", "two password\r"] });
    const interrupted = await goldseal("user password alice", { typed: ["one pass\u0003"] });

    expect([differ.status, interrupted.status]).toEqual([1, 1]);
    expect(interrupted.raw).toEqual([true, false]);
    expect(await canSignIn("alice", "alice's password")).toBe(true);
  });

  it("does not make a user of a misspelt name when a password is changed", async () => {
    const { status, err } = await goldseal("user password alcie --password-stdin", { stdin: "long enough" });

    expect(status).toBe(1);
    expect(err).toContain("there is no user alcie");
  });

  it("sets roles, suspends, resumes and deletes", async () => {
    await goldseal("user add gone --password-stdin", { stdin: "gone's password" });
    const roles = await goldseal("user roles gone auditor");
    const suspended = [(await goldseal("user suspend gone")).status, await canSignIn("gone", "gone's password")];
    const resumed = [(await goldseal("user resume gone")).status, await canSignIn("gone", "gone's password")];
    const listed = await goldseal("user list --json");
    const deleted = await goldseal("user delete gone");

    expect([roles.status, ...suspended, ...resumed, deleted.status]).toEqual([0, 0, false, 0, true, 0]);
    const users = listed.out.trimEnd().split("\n");
    expect(users.map((line) => JSON.parse(line))).toContainEqual(
      expect.objectContaining({ name: "gone", roles: ["auditor"] }),
    );
    expect((await goldseal("user list")).out).not.toContain("gone");
  });

  it("lists users with their roles", async () => {
    const { status, out } = await goldseal("user list");

    expect(status).toBe(0);
    expect(out).toMatch(/^admin {2}admin\nalice\n/);
  });
});

describe("goldseal repository", () => {
  it("makes a repository public, shows it, and hides it again", async () => {
    const made = await goldseal("repository visibility alice/team/app public");
    const shown = await goldseal("repository show alice/team/app");
    const hidden = await goldseal("repository visibility alice/team/app private");

    expect([made.status, hidden.status]).toEqual([0, 0]);
    expect(shown.out).toBe("alice/team/app  public\n");
    expect((await goldseal("repository show alice/team/app")).out).toBe("alice/team/app  private\n");
  });
});

describe("goldseal org, member, team, grant, robot", () => {
  it("let Dev push, QA sign and promote, Ops pull what they deploy, and nobody else do anything", async () => {
    for (const name of ["dev1", "qa1", "ops1"])
      await goldseal(`user add ${name} --password-stdin`, { stdin: "long enough" });
    const lines = [
      "org create shop --owner alice",
      "member add shop dev1 qa1 ops1",
      "repository create shop/app",
      "team create shop dev dev1",
      "team create shop qa qa1",
      "team create shop ops",
      "team add shop ops ops1 --admin",
      "grant set shop/app dev read-write",
      "grant set shop/app qa read-only --sign --promote",
      "grant set shop/* ops read-only",
    ];
    for (const line of lines) expect([line, (await goldseal(line)).status]).toEqual([line, 0]);
    const may = async (name: string, method: string, path: string) =>
      (await server().send(method, `/v2/shop/app/${path}`, { headers: basic(name, "long enough") })).status;

    expect([await may("dev1", "PUT", "tags/list"), await may("dev1", "POST", "sign")]).toEqual([200, 403]);
    expect([await may("qa1", "PUT", "tags/list"), await may("qa1", "POST", "promote")]).toEqual([403, 200]);
    expect([await may("ops1", "PUT", "tags/list"), await may("ops1", "GET", "manifests/x")]).toEqual([403, 200]);
    expect(await may("bob", "GET", "manifests/x")).toBe(401);
    expect((await goldseal("repository grants shop/app")).out).toBe(
      "dev  app  read-write  \nops  *    read-only   \nqa   app  read-only   promote,sign\n".replace(/ +$/gm, ""),
    );
    expect((await goldseal("team members shop ops")).out).toBe("ops1  team administrator\n");
    expect((await goldseal("member list shop")).out).toMatch(/^alice {2}owner\ndev1 {3}member\n/);
    expect((await goldseal("org list")).out).toBe("shop  private\n");
    expect((await goldseal("repository list shop --json")).out).toBe('{"name":"shop/app","visibility":"private"}\n');
  });

  it("make robots whose secret is printed once, alone on stdout, and rotate it", async () => {
    const made = await goldseal("robot set shop ci app:pull,push team/*:pull --expires 90d");
    const rotated = await goldseal("robot rotate shop ci --overlap 1h");
    const again = await goldseal("robot set shop ci app:pull");

    expect(made.out).toMatch(/^gsb_[\w-]{43}\n$/);
    expect(rotated.out).toMatch(/^gsb_[\w-]{43}\n$/);
    expect(again).toMatchObject({ status: 0, out: "" });
    expect(await canSignIn("shop+ci", made.out.trim())).toBe(true);
    expect((await goldseal("robot list shop")).out).toMatch(/^shop\+ci {2}app:pull {2}- {2}\d{4}-/);
    expect((await goldseal("robot delete shop ci")).status).toBe(0);
    expect(await canSignIn("shop+ci", rotated.out.trim())).toBe(false);
  });

  it("rename, delete and take back, as REST does", async () => {
    for (const line of [
      "repository rename shop/app shop/store",
      "repository delete shop/store --yes",
      "grant remove shop/* ops",
      "team remove shop ops ops1",
      "team delete shop ops",
      "member remove shop ops1",
      "org delete shop",
    ])
      expect([line, (await goldseal(line)).status]).toEqual([line, 0]);
    expect((await goldseal("org list")).out).toBe("");
  });
});

describe("goldseal, making what is there", () => {
  it("changes nothing: a private repository stays private", async () => {
    await goldseal("repository create alice/kept");
    const again = await goldseal("repository create alice/kept --public");

    expect([again.status, again.err]).toEqual([1, expect.stringContaining("it is there already")]);
    expect((await goldseal("repository show alice/kept")).out).toBe("alice/kept  private\n");
    await goldseal("org create kept --public");
    expect((await goldseal("org create kept")).status).toBe(1);
  });
});

describe("goldseal completion bash", () => {
  it("completes nouns, verbs and options in a real bash", async () => {
    const { out } = await goldseal("completion bash", { env: { GOLDSEAL_PUBLIC_URL: "http://127.0.0.1:1" } });
    const complete = (...words: string[]) => {
      const line = `COMP_WORDS=(goldseal ${words.map((word) => `'${word}'`).join(" ")}); COMP_CWORD=${words.length}; _goldseal`;
      const script = `${out}\n${line}; echo "\${COMPREPLY[*]}"`;
      return execFileSync("bash", ["-c", script], { encoding: "utf8" }).trim();
    };

    expect(complete("repo")).toBe("repository");
    expect(complete("team", "")).toBe("list create delete members add remove");
    expect(complete("grant", "set", "lab/app", "dev", "--s")).toBe("--sign");
    expect(complete("log")).toBe("login logout");
  });
});

describe("goldseal, refused", () => {
  it.each([
    [
      "who is not let",
      "user list --as alice",
      /does not let alice list users: .*system administrator.*\(403 forbidden\)/,
    ],
    ["a weak password", "user add dora --password-stdin", /does not let admin add user dora: password: .*at least 8/],
    ["what is hidden", "repository show lab/none", /does not let admin see repository lab\/none: .*\(404 not-found\)/],
    ["a bad name", "user add UPPER", /a name is 2 to 32/],
  ])("says %s, why, and what next", async (_, line, message) => {
    const { status, out, err } = await goldseal(line, {
      stdin: "short",
      env: { GOLDSEAL_PASSWORD: "alice's password" },
    });

    expect([status, out]).toEqual([1, ""]);
    expect(err).toMatch(message);
  });

  it("tells a wrong password from a registry that is not there", async () => {
    const wrong = await goldseal("user list", { env: { GOLDSEAL_ADMIN_PASSWORD: "guess" } });
    const nowhere = await goldseal("user list --url http://127.0.0.1:1");

    expect([wrong.status, nowhere.status]).toEqual([1, 1]);
    expect(wrong.err).toMatch(/401 unauthorized.*set GOLDSEAL_PASSWORD/s);
    expect(nowhere.err).toMatch(/cannot talk to http:\/\/127\.0\.0\.1:1: .*is it running/s);
  });

  it("finds a registry by the environment that it was started with", async () => {
    const started = { GOLDSEAL_PUBLIC_URL: undefined, GOLDSEAL_LISTEN: `127.0.0.1:${server().port}` };
    const plain = await goldseal("user list", { env: { ...started, GOLDSEAL_TLS: "off" } });
    const tls = await goldseal("user list", { env: started });

    expect([plain.status, tls.status]).toEqual([0, 1]);
    expect(tls.err).toContain(`cannot talk to https://127.0.0.1:${server().port}`);
  });

  it.each([
    ["an unknown command", "users add bob"],
    ["an unknown verb", "user remove bob"],
    ["a level that is none", "grant set lab/app dev write"],
    ["no USER for USER...", "member add lab"],
    ["a time that is none", "token create ci --expires soon"],
    ["a deletion that is not sure", "repository delete alice/app"],
    ["a missing argument", "user add"],
    ["one argument too many", "user add bob carol"],
    ["an unknown option", "user add bob --admin"],
    ["another visibility", "repository visibility alice/app secret"],
    ["a name that is no repository", "repository show alice"],
    ["a URL that is none", "user list --url localhost"],
    ["no password anywhere", "user list --as alice"],
  ])("ends with status 2 for %s", async (_, line) => {
    const { status, out, err } = await goldseal(line);

    expect([status, out]).toEqual([2, ""]);
    expect(err).toMatch(/^goldseal: /);
  });

  it("ends with status 1 for a CA file that is not there", async () => {
    expect((await goldseal("user list --ca /nonexistent/ca.crt")).status).toBe(1);
  });
});

describe("goldseal --help", () => {
  it.each(["--help", "user", "user --help", "user add --help", "repository show -h", "token-keys help"])(
    "%s explains and does nothing",
    async (line) => {
      const { status, out } = await goldseal(line);

      expect(status).toBe(0);
      expect(out).toContain(`goldseal ${line.split(" ")[0]?.replace("--help", "user")}`);
      expect(out).toContain("--as NAME");
    },
  );
});
