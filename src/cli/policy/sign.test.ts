import { copyFile, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { findPrivateKey } from "../docker-keys/key-file.ts";
import type { Machine } from "../trust/testing/trust-lab.ts";
import { makeKey, usePolicyLab } from "./testing/policy-lab.ts";

const lab = usePolicyLab();
const { keys, draft, signedBy } = lab;
let admin: Machine;
let alice: Machine;
let bob: Machine;
beforeAll(() => {
  [admin, alice, bob] = [lab.machineOf("admin"), lab.machineOf("alice"), lab.machineOf("bob")];
});

describe("goldseal policy sign", () => {
  it("signs once, and keeps what others signed", async () => {
    const signed = await signedBy(await draft("again.json"), alice);
    const before = await readFile(signed);

    const again = await alice.goldseal(`policy sign ${signed}`);

    expect(again).toMatchObject({ status: 0, err: expect.stringContaining("holds your signature already") });
    expect(await readFile(signed)).toEqual(before);
    await bob.goldseal(`policy sign ${signed}`);
    const [one, two] = [before, await readFile(signed)].map((bytes) => JSON.parse(bytes.toString()));
    expect(two).toEqual({ ...one, signatures: [one.signatures[0], expect.objectContaining({ keyid: keys.bob })] });
  });

  it("takes the key that the policy lists, whatever others there are", async () => {
    const machine = lab.openMachine("alice");
    await makeKey(machine, "spare", { owned: false });
    const own = `${keys.alice}.key`;
    await copyFile(join(alice.folder, "trust", "private", own), join(machine.folder, "trust", "private", own));

    const { status, err } = await machine.goldseal(`policy sign ${await draft("spare.json")}`);

    expect([status, err]).toEqual([0, expect.stringContaining(`by alice, key ${keys.alice}\n`)]);
  });

  it("never writes over a file in which others may have signed", async () => {
    const path = await draft("twice.json");
    await signedBy(path, alice);

    const { status, err } = await bob.goldseal(`policy sign ${path}`);

    expect([status, err]).toEqual([1, expect.stringContaining("is there already; to add a signature, sign that file")]);
  });

  it("notices a document that was changed after it was signed", async () => {
    const signed = await signedBy(await draft("changed.json"), alice);
    const envelope = JSON.parse(await readFile(signed, "utf8"));
    const document = JSON.parse(Buffer.from(envelope.payload, "base64").toString());
    document.environments.prod.images = ["**"];
    envelope.payload = Buffer.from(JSON.stringify(document)).toString("base64");
    await writeFile(signed, JSON.stringify(envelope));

    expect((await bob.goldseal(`policy show ${signed}`)).out).toContain("NOT signed by alice");
    expect(await alice.goldseal(`policy sign ${signed}`)).toMatchObject({
      status: 1,
      err: expect.stringContaining("it has been changed"),
    });
    expect(await admin.goldseal(`policy push ${signed}`)).toMatchObject({
      status: 1,
      err: expect.stringContaining("(400 policy-signature)"),
    });
  });

  it("takes the key that is named, by name or file, and asks which where several would do", async () => {
    const path = await draft("named.json");
    const carol = lab.openMachine("carol");
    const [first, second] = [
      await makeKey(carol, "one", { owned: false }),
      await makeKey(carol, "two", { owned: false }),
    ];

    const which = await carol.goldseal(`policy sign ${path}`);
    const named = await carol.goldseal(`policy sign ${path} --key two --output ${path}.two`);
    const file = join(carol.folder, "trust", "private", `${first}.key`);
    const byFile = await bob.goldseal(`policy sign ${path} --key ${file} --output ${path}.one`);

    expect(which).toMatchObject({ status: 1, err: expect.stringContaining("which key? name it with --key") });
    expect([named.status, named.err]).toEqual([
      0,
      expect.stringContaining(`a key that the policy does not list, ${second}`),
    ]);
    expect([byFile.status, byFile.err]).toEqual([0, expect.stringContaining(first)]);
    expect((await readdir(join(path, ".."))).length).toBe(3);
    expect(findPrivateKey(await readFile(file, "latin1"))).toBeDefined();
  });

  it("signs nothing that has ended, and nothing that is no policy", async () => {
    const path = await draft("ended.json");
    const document = JSON.parse(await readFile(path, "utf8"));
    await writeFile(path, JSON.stringify({ ...document, expires: "2020-01-01T00:00:00Z" }));
    const ended = await alice.goldseal(`policy sign ${path}`);
    await writeFile(path, JSON.stringify({ ...document, envirnments: {} }));
    const wrong = await alice.goldseal(`policy sign ${path}`);

    expect([ended.status, ended.err]).toEqual([1, expect.stringContaining("expired at 2020-")]);
    expect([wrong.status, wrong.err]).toEqual([1, expect.stringContaining("envirnments")]);
    expect(await alice.goldseal(`policy sign ${path}.none`)).toMatchObject({ status: 1 });
  });
});

describe("goldseal policy show and push", () => {
  it("say where there is nothing, and that a draft is no policy yet", async () => {
    const path = await draft("draft.json");

    expect(await alice.goldseal("policy show")).toMatchObject({
      status: 1,
      err: expect.stringContaining("has no policy"),
    });
    expect((await alice.goldseal(`policy show ${path}`)).out).toContain("a draft: nobody has signed it\n");
    expect(await admin.goldseal(`policy push ${path}`)).toMatchObject({
      status: 1,
      err: expect.stringContaining("sign it first"),
    });
  });
});
