import { beforeAll, describe, expect, it } from "vitest";
import { useDirectory } from "../orgs/ldap/test-directory.ts";
import { hasSlapd, personDn, setJob } from "../orgs/ldap/test-slapd.ts";
import { useCli } from "./test-cli.ts";

describe.skipIf(!hasSlapd)("goldseal directory sync (skipped without slapd: conformance/provision)", () => {
  const directory = useDirectory([
    { filter: "(employeeType=dev)", team: "acme/dev" },
    { filter: "(employeeType=boss)", base: personDn("ann"), owners: "acme" },
    { filter: "(uid=nobody)", owners: "nowhere" },
  ]);
  const { goldseal } = useCli();
  const setJobs = (...jobs: string[]) => directory.slapd().modify((client) => setJob(client, "ann", ...jobs));
  const run = (line: string) =>
    goldseal(line, { env: { GOLDSEAL_PUBLIC_URL: `http://127.0.0.1:${directory.server().port}` } });

  beforeAll(() => directory.server().addUser("admin", "admin's password", { systemAdmin: true }));

  it("prints what it would do, what it did and what it could not, teams and owners", async () => {
    await setJobs("dev", "boss");
    const planned = await run("directory sync corp --dry-run");
    const done = await run("directory sync corp");
    await run("member add acme local --owner");
    await setJobs();
    const undone = await run("directory sync corp");

    const refused = "refused: there is no organization nowhere\n";
    expect(planned).toMatchObject({
      ...{ status: 0, out: "+ user ann\n+ team acme/dev ann\n+ owner of acme ann\n" },
      err: `${refused}nothing was changed: this was a dry run\n`,
    });
    expect(done).toMatchObject({ status: 0, out: planned.out, err: `${refused}corp is synced\n` });
    expect(undone.out).toBe("- team acme/dev ann\n- owner of acme ann\n");
  });
});
