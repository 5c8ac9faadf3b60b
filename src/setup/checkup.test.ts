import { once } from "node:events";
import { chmod, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type Finding, reportFindings } from "./doctor.ts";
import { bad, look as lookAt } from "./testing/look.ts";
import { newFolder, postmasterOf, removeFolder, startServer } from "./testing/server-process.ts";

describe("goldseal doctor", () => {
  let data: string;
  beforeEach(async () => {
    data = await newFolder();
  });
  afterEach(() => removeFolder(data));
  const look = (env: Record<string, string> = {}, now = new Date()): Promise<Finding[]> => lookAt(data, env, now);

  it("finds nothing wrong before the first start, while it runs, and after", async () => {
    expect(bad(await look())).toEqual([]);
    {
      await using server = startServer({ data });
      await server.ready();
      expect(bad(await look())).toEqual([]);
    }
    expect(bad(await look())).toEqual([]);
  });

  it("names every mistake in the settings", async () => {
    const findings = await look({ GOLDSEAL_WORKERS: "x", GOLDSEAL_NAME: "y" });

    expect(findings.map(({ verdict, subject }) => `${verdict} ${subject}`)).toEqual([
      "wrong settings",
      "wrong settings",
    ]);
  });

  it("says how to mend what went wrong with the files of an installation", async () => {
    {
      await using server = startServer({ data });
      await server.ready();
    }
    await chmod(join(data, "ca.key"), 0o644);
    await rm(join(data, "master.key"));
    await rm(join(data, "postgres"), { recursive: true });
    await writeFile(join(data, "postgres.folder"), `${join(data, "elsewhere")}\n`);

    const findings = bad(await look({}, new Date(Date.now() + 340 * 86_400_000)));

    const wrong = findings.filter(({ verdict }) => verdict !== "unseen");
    expect(wrong.map(({ subject, mend }) => `${subject}: ${mend}`)).toEqual([
      `secrets: chmod 600 ${join(data, "ca.key")}`,
      "database: put it back from your backup, or start with an empty GOLDSEAL_DATA",
      "tls: start again: it is made anew",
      "master key: put it back from your backup: without it nothing sealed can be opened",
    ]);
  });

  it("notices a database that hangs behind a running server", async () => {
    await using server = startServer({ data });
    await server.ready();
    const postmaster = await postmasterOf(data);
    await rm(join(data, "run", ".s.PGSQL.5432"));

    const findings = bad(await look());

    expect(postmaster).toBeGreaterThan(0);
    expect(findings.map(({ verdict, subject }) => `${verdict} ${subject}`)).toEqual([
      "wrong database",
      "unseen trust data",
      "unseen quarantine",
      "unseen policies",
    ]);
  });

  it("notices a taken port, a database nobody answers for, and a clock behind the data", async () => {
    const other = createServer().listen(0, "127.0.0.1");
    await once(other, "listening");
    const address = other.address();
    const port = typeof address === "object" ? address?.port : undefined;
    await writeFile(join(data, "postgres.log"), "");

    const findings = await look(
      {
        GOLDSEAL_LISTEN: `127.0.0.1:${port}`,
        GOLDSEAL_DATABASE_URL: "postgres://u:p@127.0.0.1:1/d",
        GOLDSEAL_PUBLIC_URL: "https://localhost",
        GOLDSEAL_TLS: "off",
        GOLDSEAL_MASTER_KEY_FILE: join(data, "none"),
      },
      new Date(Date.now() - 3_600_000),
    );
    other.close();

    const wrong = findings.filter(({ verdict }) => verdict === "wrong").map(({ subject }) => subject);
    expect(wrong).toEqual(["database", "master key", "port", "clock"]);
  });

  it.each([
    [{}, "ok: none is believed who asks: it is the other end of a connection"],
    [
      { GOLDSEAL_TLS: "off" },
      "warning: TLS ends before this server, but no proxy is trusted: all clients behind one count as one",
    ],
    [
      { GOLDSEAL_TLS: "off", GOLDSEAL_TRUSTED_PROXIES: "10.0.0.5,fd00:1::/64" },
      "ok: 10.0.0.5/32, fd00:1::/64 are believed who asks",
    ],
  ])("says which proxies are trusted with %o", async (env, expected) => {
    const findings = (await look(env)).filter(({ subject }) => subject === "proxies");

    expect(findings.map(({ verdict, text }) => `${verdict}: ${text}`)).toEqual([expected]);
  });

  it("answers 1 and the mend when something is wrong, 0 when not", () => {
    const lines: string[] = [];
    const fine: Finding = { verdict: "ok", subject: "a", text: "b" };

    expect(reportFindings([fine], () => undefined)).toBe(0);
    expect(reportFindings([fine, { verdict: "wrong", subject: "x", text: "y", mend: "z" }], (l) => lines.push(l))).toBe(
      1,
    );
    expect(lines.join("\n")).toContain("mend: z");
    reportFindings([fine, { verdict: "unseen", subject: "x", text: "not looked at: y" }], (l) => lines.push(l));
    expect(lines.at(-1)).toBe("1 looked at, 0 wrong, 0 warnings, 1 not looked at");
  });
});
