import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { alice, spkiText } from "../trust/testing/signers.ts";
import { bad, look } from "./testing/look.ts";
import { newFolder, removeFolder } from "./testing/server-process.ts";

const BRIDGE = `registry: https://registry.example.org:5443
ca: ca.crt
engine: unix:///var/run/docker.sock
store: state
policyKeys: {keys: [], threshold: 1}
pins: []
`;
const KEY = spkiText(alice);
const PINS = `pins: [{gun: "registry.example.org:5443/ops/*", rootKeys: [${"a".repeat(64)}]}]`;

describe("doctor on files that settings name", () => {
  let data: string;
  beforeEach(async () => {
    data = await newFolder();
  });
  afterEach(() => removeFolder(data));

  it("says what start would refuse in the file of directories, each mistake with its mend", async () => {
    const file = join(data, "ldap.yaml");
    await writeFile(file, "directories: [");

    const findings = bad(await look(data, { GOLDSEAL_LDAP: file }));

    expect(findings.map(({ verdict, subject }) => `${verdict} ${subject}`)).toEqual(["wrong directories"]);
    expect(findings[0]?.text).toMatch(/^GOLDSEAL_LDAP: .*ldap\.yaml/);
    expect(findings[0]?.mend).toContain("docs/directories.md");
  });

  it("says that the bridge's file is not there", async () => {
    const findings = bad(await look(data, { GOLDSEAL_BRIDGE_CONFIG: join(data, "none.yaml") }));

    expect(findings.map(({ verdict, subject }) => `${verdict} ${subject}`)).toEqual(["wrong bridge"]);
    expect(findings[0]).toMatchObject({
      text: expect.stringContaining("ENOENT"),
      mend: expect.stringContaining("docs/bridge.md"),
    });
  });

  it("says every mistake in the bridge's file, then which file of those that it names is missing", async () => {
    const file = join(data, "bridge.yaml");
    const env = { GOLDSEAL_BRIDGE_CONFIG: file };
    await writeFile(file, BRIDGE);
    const mistakes = bad(await look(data, env));
    await writeFile(file, BRIDGE.replace("keys: []", `keys: ["${KEY}"]`).replace("pins: []", PINS));
    const missing = bad(await look(data, env));
    await writeFile(join(data, "ca.crt"), "-");
    const whole = await look(data, env);

    expect(mistakes.map(({ subject }) => subject)).toEqual(["bridge", "bridge"]);
    expect(missing.map(({ text }) => text)).toEqual([
      expect.stringContaining(`${join(data, "ca.crt")}: cannot be read`),
    ]);
    expect(bad(whole)).toEqual([]);
    expect(whole).toContainEqual({ verdict: "ok", subject: "bridge", text: `${file}: no mistakes` });
  });
});
