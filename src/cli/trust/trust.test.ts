import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { HOST, pushImage, pushIndex, useTrustLab } from "./testing/trust-lab.ts";

const lab = useTrustLab();
const place = (repository: string, as = "alice") => ({ app: lab.app(), as, repository });

describe("goldseal trust init, sign, verify, inspect, revoke", () => {
  it("sign an image and an index as the registry holds them, and anybody who may pull verifies them", async () => {
    const image = `${HOST}/alice/story`;
    const [digest, index] = [
      await pushImage(place("alice/story"), "1"),
      await pushIndex(place("alice/story"), "multi"),
    ];
    const alice = lab.openMachine("alice");

    const init = await alice.goldseal(`trust init ${image}`);
    expect(init).toMatchObject({ status: 0 });
    expect(init.err).not.toContain("for the first time");
    expect(init.out).toMatch(/^founded the trust data of registry\.test\/alice\/story\n {2}root key {8}[0-9a-f]{64}\n/);
    expect(init.out).toMatch(/\n {2}targets\/alice {2}[0-9a-f]{64}\n {2}targets\/releases {2}[0-9a-f]{64}\n/);

    const sign = await alice.goldseal(`trust sign ${image}:multi`);
    expect(sign).toMatchObject({ status: 0, err: "" });
    const lines = sign.out.split("\n");
    expect(lines.slice(0, 2)).toEqual([
      `signed ${image}:multi`,
      expect.stringMatching(
        new RegExp(`^ {2}${index} \\(application/vnd\\.oci\\.image\\.index\\.v1\\+json, \\d+ bytes\\)$`),
      ),
    ]);
    expect(lines.slice(2).map((line) => line.split(" key ")[0]?.trim())).toEqual([
      "targets/alice",
      "targets/releases",
      "",
    ]);

    const verify = await alice.goldseal(`trust verify ${image}:multi`);
    expect(verify).toMatchObject({ status: 0, out: `${image}@${index}\n` });
    expect(verify.err).toMatch(
      /^multi signed in targets\/releases by [0-9a-f]{64} until 20\d\d-.*\nmulti signed in targets\/alice by/,
    );
    for (const name of [`${image}@${index}`, `${image}:multi@${index}`])
      expect((await alice.goldseal(`trust verify ${name}`)).out).toBe(`${image}@${index}\n`);
    const wrong = await alice.goldseal(`trust verify ${image}:multi@${digest}`);
    expect(wrong).toMatchObject({ status: 1, out: "" });
    expect(wrong.err).toContain(`is not what is signed: tag multi is signed as ${index}`);
    const unsigned = await alice.goldseal(`trust verify ${image}:1`);
    expect(unsigned).toMatchObject({ status: 1, out: "", err: `goldseal: ${image}:1 is not signed\n` });

    const again = await alice.goldseal(`trust sign ${image}:multi`);
    expect(again.out).toMatch(/^signed already: /);
    await alice.goldseal(`trust sign ${image}:1`);

    const json = JSON.parse((await alice.goldseal(`trust inspect ${image} --json`)).out);
    expect(json.tags.map((entry: { tag: string; digest: string }) => [entry.tag, entry.digest])).toEqual([
      ["1", digest],
      ["multi", index],
    ]);
    expect(json.roles.map(({ role, version }: { role: string; version: number }) => [role, version])).toEqual([
      ["targets", 1],
      ["targets/alice", 2],
      ["targets/releases", 2],
      ["targets/goldseal-auto", null],
      ["targets/goldseal-promote", null],
    ]);
    expect(Object.keys(json.keys)).toEqual(["root", "targets", "snapshot", "timestamp"]);
    const table = await alice.goldseal(`trust inspect ${image}:multi`);
    expect(table.out).toContain(`multi  ${index}  alice  yes  20`);
    expect(table.out).not.toContain(digest);

    const revoke = await alice.goldseal(`trust revoke ${image}:multi`);
    expect(revoke).toMatchObject({ status: 0 });
    expect(revoke.out).toBe(`revoked ${image}:multi in targets/alice\nrevoked ${image}:multi in targets/releases\n`);
    expect((await alice.goldseal(`trust verify ${image}:multi`)).status).toBe(1);
    expect((await alice.goldseal(`trust verify ${image}:1`)).status).toBe(0);
  });

  it("keep keys and what was trusted where docker keeps them", async () => {
    const image = `${HOST}/alice/files`;
    await pushImage(place("alice/files"), "1");
    const alice = lab.openMachine("alice");
    await alice.goldseal(`trust init ${image}`);
    await alice.goldseal(`trust sign ${image}:1`);

    const keys = await readdir(join(alice.folder, "trust", "private"));
    const heads = await Promise.all(
      keys.map(async (name) => (await readFile(join(alice.folder, "trust", "private", name), "utf8")).split("\n\n")[0]),
    );
    expect(heads.sort()).toEqual([
      "-----BEGIN ENCRYPTED PRIVATE KEY-----\ngun: registry.test/alice/files\nrole: targets",
      "-----BEGIN ENCRYPTED PRIVATE KEY-----\nrole: alice",
      "-----BEGIN ENCRYPTED PRIVATE KEY-----\nrole: root",
    ]);
    const kept = await readdir(join(alice.folder, "trust", "tuf", image, "metadata"), { recursive: true });
    expect(kept.sort()).toEqual([
      "root.json",
      "snapshot.json",
      "targets",
      "targets.json",
      "targets/alice.json",
      "targets/releases.json",
      "timestamp.json",
    ]);
  });

  it("found several repositories with one root key and one signer's key", async () => {
    const alice = lab.openMachine("alice");
    for (const name of ["one", "two"]) await pushImage(place(`alice/${name}`), "1");

    for (const name of ["one", "two"])
      expect((await alice.goldseal(`trust init ${HOST}/alice/${name}`)).status).toBe(0);

    expect(await readdir(join(alice.folder, "trust", "private"))).toHaveLength(4);
  });

  it("delegate to the registry's own keys, which release tags only with --releases, and add what an existing one lacks", async () => {
    const image = `${HOST}/alice/served`;
    await pushImage(place("alice/served"), "1");
    const alice = lab.openMachine("alice");
    const rolesOf = async (): Promise<Record<string, string[]>> => {
      const { roles } = JSON.parse((await alice.goldseal(`trust inspect ${image} --json`)).out);
      return Object.fromEntries(roles.map(({ role, keyIds }: { role: string; keyIds: string[] }) => [role, keyIds]));
    };
    const { body } = await lab.app().ask("GET", "/api/v1/orgs/alice/signers", { as: "alice" });
    const server = JSON.parse(body.toString()).signers.map(({ keyId }: { keyId: string }) => keyId);

    await alice.goldseal(`trust init ${image}`);
    const before = await rolesOf();
    expect(Object.keys(before)).toEqual([
      "targets",
      "targets/alice",
      "targets/releases",
      "targets/goldseal-auto",
      "targets/goldseal-promote",
    ]);
    expect([before["targets/goldseal-auto"], before["targets/goldseal-promote"]]).toEqual([[server[0]], [server[1]]]);
    expect(before["targets/releases"]).toEqual(before["targets/alice"]);

    const again = await alice.goldseal(`trust init ${image}`);
    expect(again).toMatchObject({ status: 0, out: `${image} has everything already\n` });
    const more = await alice.goldseal(`trust init ${image} --releases --signer bob`);
    expect(more).toMatchObject({ status: 0 });
    const after = await rolesOf();
    expect(after["targets/releases"]).toEqual([
      ...(before["targets/alice"] ?? []),
      ...(after["targets/bob"] ?? []),
      ...server,
    ]);
    expect((await alice.goldseal(`trust sign ${image}:1`)).out).toMatch(
      /targets\/alice .*\n {2}targets\/releases .*\n {2}targets\/bob /,
    );
  });
});
