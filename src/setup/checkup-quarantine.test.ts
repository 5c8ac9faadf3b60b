import { describe, expect, it } from "vitest";
import { parseConfig } from "../config.ts";
import { checkQuarantine } from "./checkup-quarantine.ts";

const external = parseConfig({
  GOLDSEAL_DATABASE_URL: "postgres://goldseal:secret@127.0.0.1/goldseal",
  GOLDSEAL_PUBLIC_URL: "https://reg.example.com",
  GOLDSEAL_MASTER_KEY_FILE: "/etc/goldseal/master.key",
  GOLDSEAL_TLS: "off",
});

describe("doctor on damaged bytes", () => {
  it("is content where nothing is in quarantine", async () => {
    const inspectQuarantine = async () => ({ some: [], count: 0 });

    expect(await checkQuarantine({ config: external, isServed: true, inspectQuarantine })).toMatchObject([
      { verdict: "ok" },
    ]);
  });

  it("names what is, whose it is, and how it heals", async () => {
    const some = [
      { kind: "blob", digest: "sha256:aa", repositories: ["lab/app", "lab/web"] },
      { kind: "manifest", digest: "sha256:bb", repositories: [] },
    ];

    const [finding] = await checkQuarantine({
      ...{ config: external, isServed: true },
      inspectQuarantine: async () => ({ some, count: 3 }),
    });

    expect(finding).toMatchObject({
      verdict: "wrong",
      text: "3 damaged: blob sha256:aa of lab/app, lab/web; manifest sha256:bb of none; …",
      mend: expect.stringContaining("push these images again"),
    });
  });
});
