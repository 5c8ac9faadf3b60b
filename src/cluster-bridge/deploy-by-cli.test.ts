import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { generateSigningKey } from "../cli/docker-keys/signing-key.ts";
import { useOperatorLab } from "./testing/operator-lab.ts";

const { lab, bob, digestOf, pinned } = useOperatorLab({ signed: ["1", "2"], unsigned: ["unsigned"] });

/** A file that says no more than that nobody waits for what came up to stay. */
async function quick(): Promise<string> {
  const file = join(lab().home, "quick.yaml");
  await writeFile(file, "update: {monitor: 1ms}\n");
  return `-f ${file}`;
}

describe("goldseal deploy", () => {
  it("orders by the operator's key in docker's folder, tells how it goes, and prints the digest that runs", async () => {
    const { status, out, err } = await bob(`deploy alice/app:1 --name web --replicas 3 ${await quick()}`);

    expect([status, out]).toEqual([0, `${pinned("1")}\n`]);
    expect(err).toContain(`${pinned("1")}: 3 of 3 running, created\n`);
    expect(err).toContain("web runs\n");
    expect(lab().engine.images).toEqual({ web: pinned("1") });
  });

  it("takes the specification from a file, in YAML or JSON, and options over it", async () => {
    const file = join(lab().home, "web.yaml");
    await writeFile(
      file,
      `image: alice/app:1\nname: other\nreplicas: 2\nenv: {COLOUR: red}\nlabels: {team: web}\nupdate: {monitor: 1ms}\n`,
    );

    const run = await bob(`deploy -f ${file} --name web --env COLOUR=blue,SHAPE=round --publish 8080:80/udp`);

    expect(run).toMatchObject({ status: 0, out: `${pinned("1")}\n` });
    const { Name, Labels, TaskTemplate, Mode } = lab().engine.find("web")?.Spec ?? {};
    expect([Name, Labels?.team, Mode?.Replicated?.Replicas]).toEqual(["web", "web", 2]);
    expect(TaskTemplate?.ContainerSpec).toMatchObject({ Env: ["COLOUR=blue", "SHAPE=round"] });
  });

  it("prints every line as it came with --json", async () => {
    const { status, out, err } = await bob(`deploy alice/app:1 --json ${await quick()}`);

    const lines = out
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect([status, err]).toEqual([0, ""]);
    expect(lines.at(-1)).toEqual({ outcome: { kind: "deployed", pinned: pinned("1") } });
    expect(lines.length).toBeGreaterThan(1);
  });

  it.each<[string, string, string]>([
    [
      "what is not signed",
      "deploy alice/app:unsigned",
      "does not let bob deploy .*nothing that is signed as the tag unsigned \\(403 unsigned\\)",
    ],
    [
      "what the environment forbids",
      "deploy alice/app:1 -f SPEC",
      "a command of its own \\(specLimits\\) \\(403 spec\\)",
    ],
    ["an image of another host", "deploy evil.example.com/alice/app:1", "is no image of .* \\(400 image\\)"],
  ])("says who refused %s, why, and what to do next", async (_what, line, expected) => {
    const file = join(lab().home, "evil.json");
    await writeFile(file, JSON.stringify({ command: ["sh"] }));

    const { status, out, err } = await bob(line.replace("SPEC", file));

    expect([status, out]).toEqual([1, ""]);
    expect(err).toMatch(new RegExp(expected));
    expect(err).toMatch(/goldseal why [a-z0-9]{16}\n/);
    expect(lab().engine.images).toEqual({});
  });

  it("fails, and says what it was rolled back to, when it does not come up", async () => {
    await bob(`deploy alice/app:1 ${await quick()}`);
    lab().engine.broken.add(pinned("2"));

    const { status, err } = await bob("deploy alice/app:2");

    expect(status).toBe(1);
    expect(err).toContain("update paused due to failure");
    expect(err).toContain(`rolled back to ${pinned("1")}\n`);
  });

  it("orders in nobody's name whose key is not the operator's", async () => {
    await lab().giveKey("stranger", "stranger", generateSigningKey());

    const { status, err } = await lab().goldseal("bob", "deploy alice/app:1 --environment prod", "stranger");

    expect([status, err]).toEqual([1, expect.stringContaining("by a key that the policy does not know (403 order)")]);
  });

  it.each([
    ["deploy alice/app:1", "--environment NAME"],
    ["deploy alice/app --environment prod", "which one?"],
    ["deploy --environment prod", "which IMAGE?"],
    ["deploy alice/app:1 --environment prod --replicas many", "--replicas"],
    ["deploy alice/app:1 --environment prod --publish http", "--publish"],
    ["deploy alice/app:1 --environment prod --env COLOUR", "--env"],
  ])("is wrong as %s", async (line, why) => {
    expect(await lab().goldseal("bob", line)).toMatchObject({ status: 2, err: expect.stringContaining(why) });
  });

  it("says that the bridge is away when it is", async () => {
    await lab().stopBridge();
    try {
      const { status, err } = await bob("deploy alice/app:1");

      expect([status, err]).toEqual([1, expect.stringContaining("(503 bridge-away)")]);
    } finally {
      await lab().startBridge();
    }
  });
});

describe("goldseal rollback and goldseal services rm", () => {
  it("go back to what ran before, and remove the service", async () => {
    await bob(`deploy alice/app:1 --name back ${await quick()}`);
    await bob("deploy alice/app:2 --name back");

    const back = await bob("rollback back");
    const again = await bob("rollback back");
    const gone = await bob("services rm back");
    const nothing = await bob("services rm back");

    expect([back.status, back.out]).toEqual([0, `${pinned("1")}\n`]);
    expect([again.status, again.err]).toEqual([1, expect.stringContaining("(404 missing)")]);
    expect([gone.status, gone.err]).toEqual([0, "removed back\n"]);
    expect([nothing.status, nothing.err]).toEqual([
      1,
      expect.stringContaining("there is no service back (404 missing)"),
    ]);
    expect(lab().engine.images).toEqual({});
  });
});

describe("goldseal break-glass", () => {
  const draft = (more = "") =>
    lab().goldseal(
      "bob",
      `break-glass draft alice/app@${digestOf("unsigned")} --environment prod --reason "the signer's token is broken" ${more}`,
    );

  it("lets what nobody signed run, once the holder of the policy key has signed the draft", async () => {
    const file = join(lab().home, "glass.json");
    await writeFile(file, (await draft()).out);
    const signed = await lab().goldseal("bob", `break-glass sign ${file}`, "officer");

    const refused = await bob(`deploy --break-glass ${file}`);
    const run = await bob(`deploy --break-glass ${join(lab().home, "glass.dsse.json")} ${await quick()}`);

    expect([signed.status, signed.err]).toEqual([0, expect.stringContaining(`in prod, until`)]);
    expect([refused.status, refused.err]).toEqual([1, expect.stringContaining("sign it first")]);
    expect(run).toMatchObject({ status: 0, out: `${pinned("unsigned")}\n` });
    const journal = await readFile(join(lab().home, "bridge", "journal"), "utf8");
    expect(journal).toContain('"event":"break-glass"');
  });

  it("drafts nothing for a tag, for longer than a day, or without a reason", async () => {
    const long = await draft("--expires 25h");
    const tag = await lab().goldseal("bob", `break-glass draft alice/app:1 --environment prod --reason "broken token"`);
    const short = await lab().goldseal(
      "bob",
      `break-glass draft alice/app@${digestOf("unsigned")} --environment prod --reason x`,
    );

    expect([long.status, tag.status, short.status]).toEqual([2, 2, 2]);
    expect(long.err).toContain("24h at most");
    expect(tag.err).toContain("by its digest alone");
    expect(short.err).toContain("reason");
  });

  it("signs once, and nothing that was changed after it was signed or has ended", async () => {
    const [file, signed] = [join(lab().home, "once.json"), join(lab().home, "once.dsse.json")];
    await writeFile(file, (await draft()).out);
    await lab().goldseal("bob", `break-glass sign ${file}`, "officer");

    const again = await lab().goldseal("bob", `break-glass sign ${signed}`, "officer");
    const envelope = JSON.parse(await readFile(signed, "utf8"));
    const statement = JSON.parse(Buffer.from(envelope.payload, "base64").toString());
    const payload = Buffer.from(JSON.stringify({ ...statement, reason: "something else" })).toString("base64");
    await writeFile(signed, JSON.stringify({ ...envelope, payload }));
    const changed = await lab().goldseal("bob", `break-glass sign ${signed}`, "officer");
    await writeFile(file, JSON.stringify({ ...statement, expires: "2026-01-01T00:00:00Z" }));
    const ended = await lab().goldseal("bob", `break-glass sign ${file}`, "officer");

    expect([again.status, again.err]).toEqual([0, expect.stringContaining("holds your signature already")]);
    expect([changed.status, changed.err]).toEqual([1, expect.stringContaining("it has been changed")]);
    expect([ended.status, ended.err]).toEqual([1, expect.stringContaining("expired at")]);
  });
});
