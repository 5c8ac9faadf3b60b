import { PassThrough } from "node:stream";
import { pipeline } from "node:stream/promises";
import { describe, expect, it } from "vitest";
import { CliError } from "../errors.ts";
import { LogPrinter } from "./log-printer.ts";

const line = {
  at: "2026-11-22T10:00:00Z",
  stream: "stdout",
  task: "t",
  name: "web.1",
  node: "w2",
  text: "hi",
  partial: false,
};

async function print(pieces: readonly (string | Buffer)[], asJson = false) {
  const io = { stdin: new PassThrough(), stdout: new PassThrough(), stderr: new PassThrough() };
  const told = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"] as const) io[name].on("data", (piece: Buffer) => (told[name] += piece));
  const printer = new LogPrinter(io, asJson);
  await pipeline(async function* () {
    yield* pieces.map((piece) => Buffer.from(piece));
  }, printer);
  await new Promise(setImmediate);
  return { printer, out: told.stdout, err: told.stderr };
}

describe("goldseal services logs", () => {
  it("prints a line for each, wherever what comes is cut, and nothing for the empty ones", async () => {
    const bytes = Buffer.from(`${JSON.stringify({ ...line, text: "€ 1" })}\n\n${JSON.stringify(line)}\n`);

    for (let at = 0; at <= bytes.length; at++)
      expect((await print([bytes.subarray(0, at), bytes.subarray(at)])).out).toBe("web.1@w2 | € 1\nweb.1@w2 | hi\n");
  });

  it("lets no task move the cursor", async () => {
    const { out } = await print([`${JSON.stringify({ ...line, text: "a\tb\u001b[2J\r\u202ec" })}\n`]);

    expect(out).toBe("web.1@w2 | a\tb\\u001b[2J\\u000d\\u202ec\n");
  });

  it("fails when something could not be read, after what could; the end is no failure", async () => {
    const { printer, out, err } = await print([
      `${JSON.stringify(line)}\n{"error":"node w1 is away"}\n{"end":"900 s at most"}\n`,
    ]);

    expect([out, err]).toEqual(["web.1@w2 | hi\n", "900 s at most\n"]);
    expect(() => printer.finish()).toThrow(new CliError("not all of the log could be read: node w1 is away"));
  });

  it("prints with --json what came", async () => {
    const { out } = await print([`${JSON.stringify(line)}\n\n{"end":"x"}\n`], true);

    expect(out).toBe(`${JSON.stringify(line)}\n{"end":"x"}\n`);
  });

  it.each(["{", "[]", '{"a":1,"a":2}'])("refuses what is no log: %s", async (text) => {
    await expect(print([`${text}\n`])).rejects.toThrow("the log that came is none");
  });
});
