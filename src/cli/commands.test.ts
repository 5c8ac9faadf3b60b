import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { allCommands, COMMAND_TABLES, commandsOf } from "./commands.ts";

describe("the tables of commands", () => {
  it.each(COMMAND_TABLES.map((table) => [table.nouns.join(", "), table] as const))(
    "name all nouns of their commands, and no other: %s",
    async (_, { nouns, load }) => {
      const found = new Set((await load()).map(({ noun }) => noun));

      expect([...found].sort()).toEqual([...nouns].sort());
    },
  );

  it("give a noun all its commands, wherever they are", async () => {
    const verbs = (await commandsOf("services")).map(({ verb }) => verb);

    expect(verbs).toEqual(expect.arrayContaining(["rm", "ls", "logs"]));
    expect(await commandsOf("nothing")).toEqual([]);
    expect((await allCommands()).length).toBeGreaterThan(100);
  });

  it("load nothing heavy for a deployment: starting is most of what it takes on this machine", () => {
    const main = join(import.meta.dirname, "main.ts");
    const script = `
      const { registerHooks } = await import("node:module");
      const seen = [];
      registerHooks({ load: (url, context, next) => { seen.push(url); return next(url, context); } });
      const { runCli } = await import(${JSON.stringify(main)});
      await runCli(["deploy", "--help"], {}, { stdout: { write: () => true }, stderr: process.stderr });
      console.log(seen.filter((url) => url.includes("/node_modules/") || url === "node:http").join() + " " + seen.length);`;
    const { stdout, stderr } = spawnSync(process.execPath, ["--input-type=module", "-e", script], { encoding: "utf8" });

    const [libraries, count] = stdout.trimEnd().split(" ");
    expect([libraries, stderr]).toEqual(["", ""]);
    expect(Number(count)).toBeLessThan(60);
  });
});
