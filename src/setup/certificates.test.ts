import { X509Certificate } from "node:crypto";
import { readFile, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { findFlaw, openCertificates } from "./certificates.ts";
import { newFolder, removeFolder } from "./testing/server-process.ts";

const NAMES = ["registry.example.org", "127.0.0.1", "::1"];
const NOW = new Date("2026-06-01T00:00:00Z");
const daysLater = (days: number): Date => new Date(NOW.getTime() + days * 86_400_000);

describe("openCertificates", () => {
  let folder: string;
  beforeEach(async () => {
    folder = await newFolder();
  });
  afterEach(() => removeFolder(folder));
  const readCa = (): Promise<string> => readFile(join(folder, "ca.crt"), "utf8");

  it("makes a CA for ten years and a server certificate for one, with every name", async () => {
    const made = await openCertificates(folder, NAMES, NOW);

    const [ca, leaf] = [new X509Certificate(await readCa()), new X509Certificate(made.cert)];
    expect(ca.ca && leaf.checkIssued(ca) && leaf.verify(ca.publicKey) && !leaf.ca).toBe(true);
    expect(leaf.subjectAltName).toBe("DNS:registry.example.org, IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1");
    expect([ca.validToDate, leaf.validToDate]).toEqual([daysLater(3650), daysLater(365)]);
    expect(((await stat(join(folder, "ca.key"))).mode & 0o777).toString(8)).toBe("600");
    expect(((await stat(join(folder, "ca.crt"))).mode & 0o777).toString(8)).toBe("644");
  });

  it("keeps what it has while it is good", async () => {
    const made = await openCertificates(folder, NAMES, NOW);

    expect(await openCertificates(folder, NAMES, daysLater(334))).toEqual(made);
  });

  it.each([
    ["fewer than 30 days are left", NAMES, daysLater(336)],
    ["a name was added", [...NAMES, "other.example.org"], NOW],
    ["a name was taken away", NAMES.slice(1), NOW],
  ])("makes a new server certificate under the same CA when %s", async (_, names, now) => {
    const made = await openCertificates(folder, NAMES, NOW);
    const ca = await readCa();

    const next = await openCertificates(folder, names, now);

    expect(next.cert).not.toBe(made.cert);
    expect(findFlaw(next.cert, { names, now })).toBeUndefined();
    expect(await readCa()).toBe(ca);
  });

  it.each(["server.crt", "server.key"])("makes the pair again when a crash left half of %s", async (file) => {
    await openCertificates(folder, NAMES, NOW);
    await writeFile(join(folder, file), "-----BEGIN");

    const next = await openCertificates(folder, NAMES, NOW);

    expect(new X509Certificate(next.cert).verify(new X509Certificate(await readCa()).publicKey)).toBe(true);
  });

  it("goes on with a CA key whose certificate was not written yet", async () => {
    await openCertificates(folder, NAMES, NOW);
    const key = await readFile(join(folder, "ca.key"), "utf8");
    await rm(join(folder, "ca.crt"));

    const next = await openCertificates(folder, NAMES, NOW);

    expect(await readFile(join(folder, "ca.key"), "utf8")).toBe(key);
    expect(new X509Certificate(next.cert).verify(new X509Certificate(await readCa()).publicKey)).toBe(true);
  });

  it("does not replace a CA that clients trust when its key is gone", async () => {
    await openCertificates(folder, NAMES, NOW);
    await rm(join(folder, "ca.key"));

    await expect(openCertificates(folder, NAMES, daysLater(360))).rejects.toThrow(/ca\.key is missing/);
  });
});
