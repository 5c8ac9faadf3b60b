import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { parseConfig } from "../config.ts";
import { checkTrustData } from "./checkup-trust.ts";

const external = parseConfig({
  GOLDSEAL_DATABASE_URL: "postgres://goldseal:secret@127.0.0.1/goldseal",
  GOLDSEAL_PUBLIC_URL: "https://reg.example.com",
  GOLDSEAL_MASTER_KEY_FILE: "/etc/goldseal/master.key",
  GOLDSEAL_TLS: "off",
});

const look = (old: readonly (readonly [string, number])[], orphans: readonly string[] = []) =>
  checkTrustData({ config: external, isServed: false, inspectTrust: async () => ({ old: new Map(old), orphans }) });

describe("doctor on trust data", () => {
  it("is content where nothing is old and every GUN has its repository", async () => {
    expect(await look([])).toMatchObject([{ verdict: "ok" }]);
  });

  it("warns of each role that is past 70 % of its life, and says who can mend it", async () => {
    const findings = await look([
      ["timestamp", 2],
      ["targets/", 1],
    ]);

    expect(findings.map(({ verdict, text }) => `${verdict} ${text}`)).toEqual([
      "warning 2 current timestamp files are past 70 % of life",
      "warning 1 current targets/ file is past 70 % of life",
    ]);
    expect(findings.every(({ mend }) => mend !== undefined)).toBe(true);
  });

  it("lists GUNs that no repository has", async () => {
    const [finding] = await look([], ["old.example.com/lab/app"]);

    expect(finding).toMatchObject({ verdict: "warning", text: expect.stringContaining("old.example.com/lab/app") });
  });

  it("says that an embedded database that does not run is not looked at", async () => {
    const folder = await mkdtemp(join(tmpdir(), "goldseal-doctor-"));
    const config = parseConfig({ GOLDSEAL_DATA: folder });

    const inspectTrust = async () => Promise.reject(new Error("must not be asked"));
    const findings = await checkTrustData({ config, isServed: false, inspectTrust });

    expect(findings).toMatchObject([{ verdict: "ok", text: "is looked at while the server runs" }]);
    await rm(folder, { recursive: true });
  });
});
