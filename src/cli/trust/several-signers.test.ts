import { copyFile, cp, mkdir, readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { afterEach, describe, expect, it, vi } from "vitest";
import { multipart } from "../../notary/testing/signer.ts";
import { toCanonical } from "../../notary/tuf/canonical-json.ts";
import { toFileBytes } from "../../notary/tuf/signed-file.ts";
import { parseJson } from "../../oci/json.ts";
import { DockerKeys, type StoredKey } from "../docker-keys/folder.ts";
import { Passphrases } from "../docker-keys/passphrases.ts";
import { signWith } from "../docker-keys/signing-key.ts";
import { HOST, type Machine, pushImage, useTrustLab } from "./testing/trust-lab.ts";

const lab = useTrustLab();
const place = (repository: string, as = "alice") => ({ app: lab.app(), as, repository });
afterEach(() => void vi.useRealTimers());

let count = 0;

/** A repository in which alice signed tag 1. */
async function signed(): Promise<{ image: string; repository: string; alice: Machine; digest: string }> {
  const repository = `alice/refused-${++count}`;
  const image = `${HOST}/${repository}`;
  const digest = await pushImage(place(repository), "1");
  const alice = lab.openMachine("alice");
  expect((await alice.goldseal(`trust init ${image}`)).status).toBe(0);
  expect((await alice.goldseal(`trust sign ${image}:1`)).status).toBe(0);
  return { image, repository, alice, digest };
}

describe("several signers", () => {
  it("publish at once, and none loses what it signed", async () => {
    const { image, repository, alice } = await signed();
    const tags = ["a", "b", "c", "d"];
    for (const tag of tags) await pushImage(place(repository), tag);
    const machines = await Promise.all(
      tags.map(async () => {
        const machine = lab.openMachine("alice");
        await cp(join(alice.folder, "trust", "private"), join(machine.folder, "trust", "private"), { recursive: true });
        return machine;
      }),
    );

    const runs = await Promise.all(tags.map((tag, index) => machines[index]?.goldseal(`trust sign ${image}:${tag}`)));

    expect(runs.map((run) => run?.status)).toEqual([0, 0, 0, 0]);
    const { tags: all } = JSON.parse((await alice.goldseal(`trust inspect ${image} --json`)).out);
    expect(all.map(({ tag }: { tag: string }) => tag)).toEqual(["1", ...tags]);
  });

  it("are told apart, revoke only their own, and say what is left", async () => {
    const { image, alice } = await signed();
    // bob's key is made and delegated to where the repository key is, and goes to his own machine.
    expect((await alice.goldseal(`trust init ${image} --signer bob`)).status).toBe(0);
    const bob = lab.openMachine("alice");
    await mkdir(join(bob.folder, "trust", "private"), { recursive: true });
    for (const name of await keysOf(alice, "bob")) {
      await copyFile(join(alice.folder, "trust", "private", name), join(bob.folder, "trust", "private", name));
      await rm(join(alice.folder, "trust", "private", name));
    }
    expect((await bob.goldseal(`trust sign ${image}:1`)).status).toBe(0);

    const table = await alice.goldseal(`trust inspect ${image}:1`);
    expect(table.out).toMatch(/^1 {2}sha256:[0-9a-f]{64} {2}alice,bob {2}yes {2}20/m);
    const revoke = await alice.goldseal(`trust revoke ${image}:1`);
    expect(revoke).toMatchObject({ status: 1 });
    expect(revoke.out).toBe(`revoked ${image}:1 in targets/alice\nrevoked ${image}:1 in targets/releases\n`);
    expect(revoke.err).toContain("is still signed in targets/bob, where no key of yours counts");
    const verify = await alice.goldseal(`trust verify ${image}:1`);
    expect(verify.err).toContain(":1 is not signed, only by bob and not released");
    expect((await alice.goldseal(`trust revoke ${image}:none`)).err).toContain(":none is not signed");
  });

  it("go: what one who was removed had signed last is signed anew, with a word about the rest", async () => {
    const { image, repository, alice } = await signed();
    await pushImage(place(repository), "2");
    expect((await alice.goldseal(`trust init ${image} --signer bob`)).status).toBe(0);
    const bob = lab.openMachine("alice");
    await cp(join(alice.folder, "trust", "private"), join(bob.folder, "trust", "private"), { recursive: true });
    for (const name of await keysOf(bob, "alice")) await rm(join(bob.folder, "trust", "private", name));
    // As docker trust signer remove does it: alice's key goes, and what she signed last has no signature that counts.
    await removeDelegate(alice, image, "alice");
    const verify = await bob.goldseal(`trust verify ${image}:1`);
    expect(verify.err).toContain("targets/releases does not count: valid signatures did not meet threshold");

    const sign = await bob.goldseal(`trust sign ${image}:2`);

    expect(sign).toMatchObject({ status: 0 });
    expect(sign.err).toContain("targets/releases was signed last by a key that may no longer; it begins anew");
    expect((await bob.goldseal(`trust verify ${image}:2`)).status).toBe(0);
    expect((await bob.goldseal(`trust verify ${image}:1`)).err).toContain(":1 is not signed");
    expect((await bob.goldseal(`trust sign ${image}:1`)).status).toBe(0);
    expect((await bob.goldseal(`trust verify ${image}:1`)).status).toBe(0);
  });

  it("name one digest under two tags, and verify prints the name to pull by once", async () => {
    const { image, repository, alice, digest } = await signed();
    expect(await pushImage(place(repository), "same", "1")).toBe(digest);
    await alice.goldseal(`trust sign ${image}:same`);

    const verify = await alice.goldseal(`trust verify ${image}@${digest}`);

    expect(verify).toMatchObject({ status: 0, out: `${image}@${digest}\n` });
    expect(verify.err).toMatch(/^1 signed in [\s\S]*\nsame signed in /);
  });

  /** Signed with the repository key in alice's folder. */
  async function removeDelegate(machine: Machine, image: string, name: string): Promise<void> {
    const io = { stdin: new PassThrough(), stdout: new PassThrough(), stderr: new PassThrough() };
    const env = { DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE: "repopass123" };
    const keys = new DockerKeys(join(machine.folder, "trust"), new Passphrases(env, io));
    const stored = (await keys.list()).find((one) => one.role === "targets" && one.gun === image);
    const key = await keys.open(stored as StoredKey);
    const path = `/v2/${image}/_trust/tuf/`;
    const { signed: old } = JSON.parse(
      (await lab.app().ask("GET", `${path}targets.json`, { as: "alice" })).body.toString(),
    );
    const [gone] = old.delegations.roles.find((role: { name: string }) => role.name === `targets/${name}`).keyids;
    for (const role of old.delegations.roles) role.keyids = role.keyids.filter((id: string) => id !== gone);
    old.delegations.roles = old.delegations.roles.filter(({ keyids }: { keyids: string[] }) => keyids.length > 0);
    delete old.delegations.keys[gone];
    const message = toCanonical(parseJson(Buffer.from(JSON.stringify({ ...old, version: old.version + 1 }))));
    const bytes = toFileBytes(message, [{ keyId: key.key.id, ...signWith(key, message) }]);
    const headers = { "content-type": "multipart/form-data; boundary=boundary-of-a-test" };
    const body = multipart([{ filename: "targets", bytes }]);
    expect((await lab.app().ask("POST", path, { as: "alice", headers, body })).status).toBe(200);
  }

  async function keysOf(machine: Machine, role: string): Promise<string[]> {
    const folder = join(machine.folder, "trust", "private");
    const names = await readdir(folder);
    const texts = await Promise.all(names.map((name) => readFile(join(folder, name), "utf8")));
    return names.filter((_name, index) => texts[index]?.includes(`\nrole: ${role}\n`));
  }
});
