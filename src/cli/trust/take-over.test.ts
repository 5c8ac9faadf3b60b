import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { openSigner } from "../../notary/testing/signer.ts";
import { parsePublicKeyFile } from "../../notary/tuf/public-key-file.ts";
import { HOST, type Machine, pushImage, useTrustLab } from "./testing/trust-lab.ts";

const lab = useTrustLab();
const place = (repository: string, as = "alice") => ({ app: lab.app(), as, repository });

/** A repository under a rule, in which a tag was pushed. */
async function founded(repository: string, alice: Machine): Promise<{ image: string; digest: string }> {
  const name = `alice/${repository}`;
  expect((await alice.goldseal(`repository create ${name}`)).status).toBe(0);
  const set = await alice.goldseal(`auto-sign set ${name} all v* latest`);
  expect(set).toEqual({ status: 0, out: "", err: `pushes to ${name} of tags v* latest are signed\n` });
  return { image: `${HOST}/${name}`, digest: await pushImage(place(name), "v1") };
}

describe("goldseal auto-sign", () => {
  it("sets, lists and deletes rules", async () => {
    const alice = lab.openMachine("alice");
    const { image, digest } = await founded("rules", alice);

    const listed = await alice.goldseal("auto-sign list alice/rules");
    const verified = await alice.goldseal(`trust verify ${image}:v1`);
    const deleted = await alice.goldseal("auto-sign delete alice/rules all");
    const again = await alice.goldseal("auto-sign delete alice/rules all");

    expect(listed.out).toMatch(/^all {2}v\*,latest\n$/);
    expect(verified).toMatchObject({ status: 0, out: `${image}@${digest}\n` });
    expect([deleted.status, deleted.err]).toEqual([0, "deleted auto-sign rule all of alice/rules\n"]);
    expect(again).toMatchObject({ status: 1 });
  });

  it("is refused where people hold the root and said nothing of it; the key for docker is printed", async () => {
    const alice = lab.openMachine("alice");
    const signer = await openSigner(lab.app(), "alice/owned");

    const refused = await alice.goldseal("auto-sign set alice/owned all *");
    const printed = await alice.goldseal("org signer alice goldseal-auto");
    const unknown = await alice.goldseal("org signer alice goldseal-else");

    expect(refused).toMatchObject({ status: 1, out: "" });
    expect(refused.err).toContain(`the owner of the trust data of ${signer.gun} does not let this server sign there`);
    expect(printed.status).toBe(0);
    expect(refused.err).toContain(`does not list its key ${parsePublicKeyFile(printed.out).key.id}`);
    expect(unknown).toMatchObject({ status: 2, out: "" });
    expect(unknown.err).toContain("none of the server's signers: goldseal-auto, goldseal-promote");
  });
});

describe("goldseal trust init", () => {
  it("takes over what the server founded: machines that trusted the old root follow to people's", async () => {
    const [alice, other] = [lab.openMachine("alice"), lab.openMachine("alice")];
    const { image, digest } = await founded("taken", alice);
    expect((await other.goldseal(`trust verify ${image}:v1`)).status).toBe(0);

    const init = await alice.goldseal(`trust init ${image}`);
    const again = await alice.goldseal(`trust init ${image}`);

    expect(init).toMatchObject({ status: 0 });
    expect(init.out).toMatch(
      new RegExp(
        `^took over the trust data of ${image}, which the server had founded\n {2}root key {8}([0-9a-f]{64})\n {2}repository key {2}[0-9a-f]{64}\n`,
      ),
    );
    const [, rootKey = ""] = /root key +([0-9a-f]{64})/.exec(init.out) ?? [];
    expect(await readFile(join(alice.folder, "trust", "private", `${rootKey}.key`), "utf8")).toContain("role: root");
    expect(again).toMatchObject({ status: 0, out: `${image} has everything already\n` });
    expect((await other.goldseal(`trust verify ${image}:v1`)).out).toBe(`${image}@${digest}\n`);
    await pushImage(place("alice/taken"), "hand");
    expect((await alice.goldseal(`trust sign ${image}:hand`)).status).toBe(0);
    const { tags } = JSON.parse((await other.goldseal(`trust inspect ${image} --json`)).out);
    expect(tags.map(({ tag }: { tag: string }) => tag)).toEqual(["hand", "v1"]);
    expect((await other.goldseal(`trust verify ${image}:v1 --root-key ${rootKey}`)).status).toBe(1);
  });

  it("leaves the root to the server where whoever asks may only sign", async () => {
    const [alice, bob] = [lab.openMachine("alice"), lab.openMachine("bob")];
    const { image } = await founded("kept", alice);
    const { app } = place("");
    await app.ask("PUT", "/api/v1/orgs/alice/repositories/kept", { as: "alice", body: '{"visibility":"public"}' });

    const refused = await bob.goldseal(`trust init ${image}`);

    expect(refused).toMatchObject({ status: 1, out: "" });
    expect(refused.err).toContain(
      `does not let bob take over the trust data of ${image}: bob does not administer alice/kept`,
    );
    expect((await alice.goldseal(`trust init ${image}`)).out).toContain("took over");
  });
});
