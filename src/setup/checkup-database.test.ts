import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type RunningPostgres, startPostgres } from "../../conformance/harness/postgres.ts";
import { newKeyLine, parseKeyRing } from "../keys/key-ring.ts";
import { checkKeyRing } from "../keys/key-ring-store.ts";
import { Database } from "../storage/database.ts";
import { openTestDatabase } from "../storage/test-database.ts";
import type { Finding } from "./doctor.ts";
import { bad, look } from "./testing/look.ts";
import { newFolder, removeFolder } from "./testing/server-process.ts";

const told = (findings: readonly Finding[]) =>
  bad(findings).map(({ verdict, subject, text }) => `${verdict} ${subject}: ${text}`);

const unseen = (why: string) =>
  ["trust data", "quarantine", "policies"].map((subject) => `unseen ${subject}: not looked at: ${why}`);

describe("doctor on a database of one's own", () => {
  let data: string;
  let postgres: RunningPostgres;
  beforeAll(async () => {
    postgres = await startPostgres();
  });
  afterAll(() => postgres.close());
  beforeEach(async () => {
    data = await newFolder();
    await writeFile(join(data, "keys"), newKeyLine("ours"), { mode: 0o600 });
  });
  afterEach(() => removeFolder(data));
  const ask = (url: string): Promise<Finding[]> =>
    look(data, {
      GOLDSEAL_DATABASE_URL: url,
      GOLDSEAL_PUBLIC_URL: "https://localhost",
      GOLDSEAL_TLS: "off",
      GOLDSEAL_TRUSTED_PROXIES: "127.0.0.1",
      GOLDSEAL_MASTER_KEY_FILE: join(data, "keys"),
    });

  it("is content with one that keeps promises and is still empty", async () => {
    expect(told(await ask(postgres.url))).toEqual(unseen("the next start makes or changes its tables"));
  });

  it("names a wrong password once, with its mend, and what could not be looked at for it", async () => {
    const database = new Database({ url: postgres.url, maxConnections: 1 });
    await database.query("", "alter user goldseal password 'right'");
    const [{ file } = { file: "" }] = await database.query<{ file: string }>(
      "",
      "select current_setting('hba_file') as file",
    );
    await database.query("", `copy (select 'host all all 127.0.0.1/32 scram-sha-256') to '${file}'`);
    await database.close();
    await postgres.stop("fast");
    await postgres.start();

    const found = await ask(postgres.url.replace("goldseal@", "goldseal:wrong@"));
    const right = await ask(postgres.url.replace("goldseal@", "goldseal:right@"));

    expect(told(found)).toEqual([
      'wrong database: 127.0.0.1: password authentication failed for user "goldseal"',
      ...unseen("the database does not answer"),
    ]);
    expect(bad(found)[0]?.mend).toBe("put the right user and password into GOLDSEAL_DATABASE_URL");
    expect(told(right)).toEqual(unseen("the next start makes or changes its tables"));
  });

  it("says of a standby that it only reads, and of a port without PostgreSQL that nobody is there", async () => {
    await postgres.stop("fast");
    postgres.becomeStandby();
    await postgres.start();

    const standby = bad(await ask(postgres.url.replace("goldseal@", "goldseal:right@")));
    const nobody = await ask("postgres://goldseal:right@127.0.0.1:1/goldseal");

    expect(standby[0]).toEqual({
      ...{ verdict: "wrong", subject: "database", text: "127.0.0.1: this PostgreSQL is a read-only standby" },
      mend: "point GOLDSEAL_DATABASE_URL at the primary",
    });
    expect(told(nobody)).toEqual([
      "wrong database: 127.0.0.1: connect ECONNREFUSED 127.0.0.1:1",
      ...unseen("the database does not answer"),
    ]);
    expect(bad(nobody)[0]?.mend).toBe("start that PostgreSQL, or mend GOLDSEAL_DATABASE_URL");
  });

  it("says each setting by which it would lose what was acknowledged", async () => {
    const { database, url, close } = await openTestDatabase(); // on a server that syncs nothing
    const [{ name } = { name: "" }] = await database.query<{ name: string }>("", "select current_database() as name");
    await database.query("", `alter database ${name} set synchronous_commit = off`);

    const findings = bad(await ask(url.replace("goldseal@", "goldseal@localhost")));
    await close();

    expect(findings.map(({ subject, mend }) => `${subject}: ${mend}`)).toEqual([
      "database: set fsync = on",
      "database: set it to on",
      "database: set it to on",
    ]);
    expect(findings.map(({ text }) => /\w+(?= is off)/.exec(text)?.[0])).toEqual([
      "fsync",
      "synchronous_commit",
      "full_page_writes",
    ]);
  });

  it("says when its rows were sealed by other keys, and leaves no proof of these", async () => {
    const { database, url, close } = await openTestDatabase();
    const own = (findings: readonly Finding[]) => bad(findings).filter(({ subject }) => subject === "master key");

    const before = own(await ask(url.replace("goldseal@", "goldseal@localhost")));
    const [{ proofs } = { proofs: "" }] = await database.query<{ proofs: string }>(
      "",
      "select count(*) as proofs from key_ring_checks",
    );
    await checkKeyRing(database, parseKeyRing(newKeyLine("theirs")));
    const after = own(await ask(url.replace("goldseal@", "goldseal@localhost")));
    await close();

    expect([before, proofs]).toEqual([[], "0"]);
    expect(after).toMatchObject([
      {
        verdict: "wrong",
        text: expect.stringContaining("does not belong to this database: the master key file has no key theirs"),
        mend: expect.stringContaining("it holds key theirs, this one holds ours"),
      },
    ]);
  });
});
