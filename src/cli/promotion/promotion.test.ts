import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Lab, openLab } from "../../promotion/testing/lab.ts";
import { PASSWORD } from "../../testing/open-test-app.ts";
import { DockerKeys } from "../docker-keys/folder.ts";
import { Passphrases } from "../docker-keys/passphrases.ts";
import { generateSigningKey } from "../docker-keys/signing-key.ts";
import { runCli } from "../main.ts";

let lab: Lab;
let folder: string;

beforeAll(async () => {
  lab = await openLab();
  folder = await mkdtemp(join(tmpdir(), "goldseal-cli-"));
  for (const user of ["dora", "olga"]) await lab.addUser(user);
  await lab.join("dev", "builders", "dora", { on: "*", level: "admin" });
  await lab.join("ops", "release", "olga", { on: "*", level: "admin" });
});

afterAll(async () => {
  expect(lab.app.errors()).toEqual([]);
  await lab[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

const envOf = (user: string) => ({
  GOLDSEAL_PUBLIC_URL: `http://127.0.0.1:${lab.app.port}`,
  GOLDSEAL_PASSWORD: PASSWORD,
  GOLDSEAL_DATA: "/nonexistent",
  DOCKER_CONFIG: join(folder, user),
  DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE: "a passphrase",
});

async function goldseal(user: string, ...line: string[]) {
  const io = {
    stdin: Object.assign(new PassThrough(), { isTTY: false }),
    stdout: new PassThrough(),
    stderr: new PassThrough(),
  };
  const [out, err]: [string[], string[]] = [[], []];
  io.stdout.on("data", (chunk: Buffer) => out.push(chunk.toString()));
  io.stderr.on("data", (chunk: Buffer) => err.push(chunk.toString()));
  const status = await runCli([...line, "--as", user], envOf(user), io as never);
  await new Promise(setImmediate);
  return { status, out: out.join(""), err: err.join("") };
}

async function addKey(user: string): Promise<void> {
  const env = envOf(user);
  const keys = new DockerKeys(
    join(env.DOCKER_CONFIG, "trust"),
    new Passphrases(env, { stdin: process.stdin } as never),
  );
  await keys.add(generateSigningKey(), { role: user, gun: undefined });
  const { status, err } = await goldseal(user, "key", "add", user, "--server", "https://registry.test");
  expect([status, err]).toEqual([0, expect.stringContaining("proved")]);
}

describe("goldseal promote, approve, history", () => {
  it("bring an image from dev to gold, with the other side's agreement and an approval", async () => {
    await lab.push("ops/app", "0", "before");
    const digest = await lab.push("dev/app", "v1", "image", "dora");
    await addKey("olga");

    const set = [
      "set",
      "dev/app",
      "gold",
      "ops/app",
      "--tag",
      "gold",
      "--rules",
      "starts:v",
      "--approvals",
      "ops/release",
    ];
    expect(await goldseal("dora", "promotions", ...set)).toMatchObject({
      status: 0,
      err: expect.stringContaining("has to agree"),
    });
    const offers = await goldseal("olga", "promotions", "offers", "ops/app");
    expect(offers.out).toMatch(/^\d+ +dev\/app +gold +on +ops\/app +gold +nobody yet +starts:v +ops\/release:1 +-\n$/);
    const offer = offers.out.split(" ")[0] ?? "";
    expect((await goldseal("olga", "promotions", "accept", "ops/app", offer)).status).toBe(0);

    const asked = await goldseal("dora", "promote", `127.0.0.1:${lab.app.port}/dev/app:v1`, "ops/app");
    expect(asked).toMatchObject({ status: 0, err: expect.stringContaining("waits for approvals: goldseal approve") });
    const id = asked.out.trim();
    const wrong = await goldseal(
      "olga",
      "approve",
      id,
      "--digest",
      `sha256:${"0".repeat(64)}`,
      "--server",
      "registry.test",
    );
    expect(wrong).toMatchObject({ status: 1, err: expect.stringContaining("nothing was signed") });
    const elsewhere = await goldseal("olga", "approve", id);
    expect(elsewhere).toMatchObject({ status: 1, err: expect.stringContaining("approves another source") });
    const approved = await goldseal("olga", "approve", id, "--server", "registry.test");
    expect(approved).toMatchObject({ status: 0, err: expect.stringContaining("the promotion is done") });
    expect(await lab.tagDigest("ops/app", "gold")).toBe(digest);

    const list = await goldseal("olga", "promotions", "list", "--state", "done");
    expect(list.out).toBe(`${id}  done  dev/app:v1  ops/app:gold  ${digest}  dora  gold  olga  -\n`);
    const history = await goldseal("admin", "history", "dev/app:v1");
    const kinds = history.out
      .trim()
      .split("\n")
      .map((line) => line.split(/ +/)[1]);
    expect(kinds.filter((kind) => kind !== "signed" && kind !== "attached")).toEqual([
      "pushed",
      "approved",
      "promoted",
    ]);
    expect((await goldseal("olga", "promotions", "reverse", id)).err).toContain("ops/app:gold is gone");
    expect(await lab.tagDigest("ops/app", "gold")).toBeUndefined();
  });

  it("say what is wrong with what was typed", async () => {
    expect(await goldseal("dora", "promote", "other.example/dev/app:1", "ops/app")).toMatchObject({ status: 2 });
    expect(await goldseal("dora", "approve", "x")).toMatchObject({
      status: 2,
      err: expect.stringContaining("is no promotion"),
    });
    expect(await goldseal("dora", "promotions", "set", "dev/app", "x", "ops/app", "--rules", "starts")).toMatchObject({
      status: 2,
    });
    expect(await goldseal("dora", "approve", "999999")).toMatchObject({
      status: 1,
      err: expect.stringContaining("404"),
    });
  });

  it("list, reject and end", async () => {
    await lab.push("dev/app", "v2", "second", "dora");
    const asked = await goldseal("dora", "promote", "dev/app:v2", "ops/app:gold");
    const id =
      asked.out.trim() ||
      String(((await lab.must(200, "GET", "promotions?state=pending")).promotions as { id: number }[])[0]?.id);
    expect((await goldseal("olga", "promotions", "reject", id, "--reason", "no")).status).toBe(0);
    expect((await goldseal("olga", "promotions", "show", id)).out).toContain("rejected by olga: no");
    expect((await goldseal("dora", "promotions", "policies", "dev/app")).out).toContain("by olga");
    expect((await goldseal("dora", "promotions", "unset", "dev/app", "gold")).status).toBe(0);
    expect((await goldseal("dora", "promotions", "policies", "dev/app")).out).toBe("");
  });
});
